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
}

static void
fill_disk(const Vm *vm, const QmpBlockStats *stats, DiskSample *disk)
{
    g_autofree char *name = disk_name(stats->qdev, stats->device, stats->node_name);
    const ArgvDisk *argv = vm_argv_disk(vm, name);

    if (!argv)
        argv = vm_argv_disk(vm, stats->device);
    if (!argv)
        argv = vm_argv_disk(vm, stats->node_name);
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
    disk->driver = argv->driver ? units_printable(argv->driver, -1) : NULL;
    disk->storage = storage_identity(vm, argv);
    fill_limit(vm, argv, disk);
}

void
sample_fill_disks(Sampling *sampling, const GArray *stats)
{
    Sample *sample = &sampling->sample;

    sample->has_disks = true;
    sampling->drives = g_ptr_array_new_with_free_func(g_free);
    sample->disks = g_new0(DiskSample, stats->len);
    for (guint i = 0; i < stats->len; i++) {
        const QmpBlockStats *entry = &g_array_index(stats, QmpBlockStats, i);

        /* an empty CD drive has nothing to freeze; an entry without any name cannot be followed */
        if (!entry->has_medium || (!entry->qdev && !entry->device && !entry->node_name))
            continue;
        fill_disk(sampling->vm, entry, &sample->disks[sample->n_disks]);
        canary_note(sampling->vm, &sample->disks[sample->n_disks++], sample->now_us);
        g_ptr_array_add(sampling->drives, g_strdup(entry->device));
    }
}

static void
read_group(Vm *vm, MemorySample *memory)
{
    CgroupReading reading = {0};

    if (!vm->cgroup || !cgroup_read(vm->cgroup, &reading, NULL))
        return;
    memory->has_group = reading.charge.has_usage && reading.charge.has_unreclaimable;
    memory->group_usage_bytes = reading.charge.usage_bytes;
    memory->group_unreclaimable_bytes = reading.charge.unreclaimable_bytes;
    memory->limit_is_known = reading.limit_is_known;
    memory->has_limit = reading.has_limit;
    memory->limit_bytes = reading.limit_bytes;
    memory->limited_unreclaimable_bytes = reading.limit_charge.unreclaimable_bytes;
    vm->limit_path = reading.limit_path ? units_printable(reading.limit_path, -1) : NULL;
    cgroup_reading_clear(&reading);
}

static void
read_memory(Vm *vm, gint64 now_us)
{
    MemorySample memory = {0};
    ProcStatus status;

    vm->memory_us = now_us;
    g_clear_pointer(&vm->limit_path, g_free);
    memory.has_guest_ram = vm->has_guest_ram || vm->argv->has_memory;
    memory.guest_ram_bytes = vm->has_guest_ram ? vm->guest_ram_bytes : vm->argv->memory_bytes;
    memory.guest_ram_is_shared =
        vm->has_guest_ram ? vm->guest_ram_is_shared : vm->argv->memory_is_shared;
    if (proc_read_status(vm->proc, &status, NULL)) {
        vm->uid = status.uid;
        memory.has_rss = status.has_rss;
        memory.rss_anon_bytes = status.rss_anon_bytes;
        memory.rss_file_bytes = status.rss_file_bytes;
        memory.rss_shmem_bytes = status.rss_shmem_bytes;
        memory.page_table_bytes = status.page_table_bytes;
        memory.hugetlb_bytes = status.hugetlb_bytes;
    }
    read_group(vm, &memory);
    vm->memory = memory;
}

void
sample_fill_process(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    Sample *sample = &sampling->sample;
    gint64 now = sampling->context.now_us;
    ProcStat stat;

    if (!proc_read_stat(vm->proc, &stat, NULL)) {
        sample->process_is_gone = !proc_is_alive(vm->proc);
        return;
    }
    sample->process_is_gone = stat.state == 'Z' || stat.state == 'X';
    sample->process_state = stat.state;
    sample->age_us = proc_age_us(sampling->context.host, stat.start_ticks);
    if (vm->memory_us == 0 || now - vm->memory_us >= vm->limits.memory_period_us ||
        !vm->memory.has_guest_ram)
        read_memory(vm, now);
}
