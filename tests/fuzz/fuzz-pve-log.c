/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "pve-log.h"

/* Any bytes are a log: what it tells of VM 102 is printable, and told again it is nothing new. */
int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(Writers) writers = writers_new();
    g_autofree char *line = NULL;
    WritersCount count;

    pve_log_take((const char *)data, size, "102", writers);
    count = writers_count(writers, G_MAXINT64 / 2);
    line = writers_describe(writers, count.last != NULL ? count.last->at_us : 0);
    for (const char *p = line; p != NULL && *p != '\0'; p++)
        g_assert(!g_ascii_iscntrl(*p));
    if (count.last != NULL) {
        guint n = writers_count(writers, count.last->at_us).n_writes;

        pve_log_take((const char *)data, size, "102", writers);
        g_assert(writers_count(writers, count.last->at_us).n_writes == n);
    }
    return 0;
}
