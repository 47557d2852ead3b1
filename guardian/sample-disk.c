/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sample-private.h"

#include "canary.h"
#include "query.h"
#include "storage.h"
#include "units.h"

#include <string.h>

/* "/machine/peripheral/scsi0/virtio-backend" -> "scsi0"; "/machine/peripheral-anon/device[3]" and
 * its like have no name worth showing: NULL. */
static char *
qdev_name(const char *qdev)
{
    static const char prefix[] = "/machine/peripheral/";
    const char *name, *end;

    if (*qdev != '/')
        return g_strdup(qdev);
    if (!g_str_has_prefix(qdev, prefix))
        return NULL;
    name = qdev + strlen(prefix);
    end = strchr(name, '/');
    return end ? g_strndup(name, (gsize)(end - name)) : g_strdup(name);
}

static char *
disk_name(const char *qdev, const char *device, const char *node_name)
{
    char *name = qdev ? qdev_name(qdev) : NULL;

    if (name)
        return name;
    if (device)
        return g_strdup(g_str_has_prefix(device, "drive-") ? device + strlen("drive-") : device);
    return g_strdup(node_name ? node_name : qdev ? qdev : "?");
}

char *
sample_disk_label(const char *qdev, const char *device, const char *node_name)
{
    g_autofree char *name = disk_name(qdev, device, node_name);

    return units_printable(name, -1);
}

static void
fill_limit(const Vm *vm, const ArgvDisk *argv, DiskSample *disk)
{
    const QmpThrottle *throttle =
        argv->throttle_group ? g_hash_table_lookup(vm->throttles, argv->throttle_group) : NULL;

    disk->has_limit = throttle || argv->has_limit;
    disk->limit_bps = throttle ? throttle->bps : argv->limit_bps;
    disk->limit_iops = throttle ? throttle->iops : argv->limit_iops;
    disk->limit_is_of_start = !throttle && argv->has_limit;
}

static void
fill_disk(const Vm *vm, const QmpBlockStats *stats, DiskSample *disk, DiskOrigin *ret_origin)
{
    g_autofree char *name = disk_name(stats->qdev, stats->device, stats->node_name);
    const ArgvDisk *argv = vm_argv_disk(vm, name);
    const char *model;

    if (!argv)
        argv = vm_argv_disk(vm, stats->device);
    if (!argv)
        argv = vm_argv_disk(vm, stats->node_name);
    ret_origin->argv = argv;
    ret_origin->device = g_strdup(stats->device);
    ret_origin->node_name = g_strdup(stats->node_name);
    disk->id = g_strdup(stats->qdev     ? stats->qdev
                        : stats->device ? stats->device
                                        : stats->node_name);
    disk->label = units_printable(name, -1);
    disk->has_counters = stats->has_counters;
    disk->rd_ops = stats->rd_ops;
    disk->wr_ops = stats->wr_ops;
    disk->flush_ops = stats->flush_ops;
    disk->unmap_ops = stats->unmap_ops;
    disk->rd_bytes = stats->rd_bytes;
    disk->wr_bytes = stats->wr_bytes;
    disk->total_time_ns = stats->total_time_ns;
    disk->failed_ops = stats->failed_ops;
    disk->has_idle_time = stats->has_idle_time;
    disk->idle_time_ns = stats->idle_time_ns;
    if (!argv)
        return;
    model = argv_disk_model(argv);
    disk->driver = model ? units_printable(model, -1) : NULL;
    disk->storage = storage_identity(vm, argv);
    fill_limit(vm, argv, disk);
}

static void
origin_clear(gpointer data)
{
    DiskOrigin *origin = data;

    g_free(origin->device);
    g_free(origin->node_name);
}

GArray *
sample_origins_new(guint n)
{
    GArray *origins = g_array_sized_new(FALSE, TRUE, sizeof(DiskOrigin), n);

    g_array_set_clear_func(origins, origin_clear);
    return origins;
}

void
sample_fill_disks(Sampling *sampling, const GArray *stats)
{
    Sample *sample = &sampling->sample;

    sample->has_disks = true;
    sample->disks = g_new0(DiskSample, stats->len);
    sampling->origins = sample_origins_new(stats->len);
    for (guint i = 0; i < stats->len; i++) {
        const QmpBlockStats *entry = &g_array_index(stats, QmpBlockStats, i);
        DiskOrigin origin;

        /* an empty CD drive has nothing to freeze; an entry without any name cannot be followed */
        if (!entry->has_medium || (!entry->qdev && !entry->device && !entry->node_name))
            continue;
        fill_disk(sampling->vm, entry, &sample->disks[sample->n_disks], &origin);
        canary_note(sampling->vm, &sample->disks[sample->n_disks++], sample->now_us);
        g_array_append_val(sampling->origins, origin);
    }
    sample_tighten_limits(sampling);
}

const DiskOrigin *
sample_disk_origin(const Sampling *sampling, guint index)
{
    return &g_array_index(sampling->origins, DiskOrigin, index);
}
