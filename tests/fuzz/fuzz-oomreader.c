/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any bytes are a log. What comes out keeps its promises: names are strings, a whole report knows
 * its victim and its limit, parts sum up to the usage. The first byte says how the log is split. */

#include "fuzz.h"

#include "oomreader.h"

#include <string.h>

static void
check_report(const OomReport *report)
{
    const OomParts *parts = &report->parts;
    guint64 sum = parts->guest.bytes + parts->qemu.bytes + parts->helpers.bytes +
                  parts->strangers.bytes + parts->kernel.bytes + parts->unexplained.bytes;

    g_assert(report->blame.why && report->source);
    g_assert(memchr(report->victim.name, '\0', OOM_NAME_SIZE));
    if (report->usage.is_known)
        g_assert(sum == report->usage.bytes);
    if (report->is_complete)
        g_assert(report->domain && report->limit.is_known && report->outcome);
    if (report->is_complete && report->outcome == OOM_OUTCOME_KILLED)
        g_assert(report->has_victim && report->victims->len > 0 && report->tasks->len > 0);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(OomReader) reader = oomreader_new();
    gsize step = size > 0 ? (gsize)data[0] + 1 : 1;
    OomSize guest = {.is_known = step % 2 == 0, .bytes = (guint64)1 << (step % 63)};
    const GPtrArray *reports;

    for (gsize i = 1; i < size; i += step)
        oomreader_feed(reader, (const char *)data + i, MIN(step, size - i));
    reports = oomreader_finish(reader, guest);
    for (guint i = 0; i < reports->len; i++)
        check_report(reports->pdata[i]);
    return 0;
}
