/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-reason.h"

#include "neighbour.h"
#include "units.h"

/* The disk that a verdict of the whole VM speaks of: the gravest with the same words; NULL. */
static const DiskTrack *
disk_behind(const Vm *vm)
{
    const Verdict *verdict = &vm->track.verdict;

    for (guint i = 0; i < vm->track.disks->len; i++) {
        const DiskTrack *disk = vm->track.disks->pdata[i];

        if (disk->verdict.state == verdict->state && disk->verdict.layer == verdict->layer &&
            disk->verdict.since_us == verdict->since_us)
            return disk;
    }
    return NULL;
}

char *
report_limit(const DiskSample *disk)
{
    g_autofree char *bytes = NULL, *operations = NULL;

    if (disk && disk->has_limit && disk->limit_bps > 0) {
        g_autofree char *size = units_format_size(disk->limit_bps);

        bytes = g_strdup_printf("%s B/s", size);
    }
    if (disk && disk->has_limit && disk->limit_iops > 0)
        operations = g_strdup_printf("%" G_GUINT64_FORMAT " operations/s", disk->limit_iops);
    if (!bytes && !operations)
        return NULL;
    return g_strconcat(bytes ? bytes : "", bytes && operations ? ", " : "",
                       operations ? operations : "", NULL);
}

static char *
top_writer(const Vm *vm, const DiskTrack *disk)
{
    guint64 bps;
    const char *name = neighbours_top_writer(vm, disk->id, &bps);
    g_autofree char *rate = NULL;

    if (!name)
        return NULL;
    rate = units_format_size_short(bps);
    return g_strdup_printf("%s writes most there: %s/s", name, rate);
}

char *
report_reason(const Vm *vm, const DiskTrack *disk, const Verdict *verdict)
{
    const char *reason = verdict->reason ? verdict->reason : "";
    const DiskTrack *subject = disk ? disk : disk_behind(vm);
    const DiskSample *sample = subject ? sample_find_disk(&vm->sample, subject->id) : NULL;
    g_autofree char *limit = verdict->layer == LAYER_THROTTLE ? report_limit(sample) : NULL;
    g_autofree char *writer = NULL;

    if (subject && g_strcmp0(verdict->cause, "storage-saturated") == 0)
        writer = top_writer(vm, subject);
    if (writer)
        return g_strdup_printf("%s (%s)", reason, writer);
    return limit ? g_strdup_printf("%s (limit %s)", reason, limit) : g_strdup(reason);
}
