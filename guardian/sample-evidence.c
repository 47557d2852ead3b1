/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Evidence that needs no monitor: threads asleep on a file, io_urings, the host's block devices.
 *
 * A thread belongs to the disk whose image its descriptor leads to. Where that cannot be told, and
 * the VM has one disk only that QEMU itself can have open, it belongs to that one; with several
 * such disks it belongs to none.
 *
 * A ring belongs to all disks with aio=io_uring that can live in it. Without iothreads that is all
 * of them, and they share it. With iothreads a virtio disk has a ring that cannot be told from
 * another's: then the rings speak only while nothing at all is in flight in them, or when there is
 * one such disk. */

#include "sample-private.h"

#include "blockdev.h"
#include "ring.h"
#include "storage.h"
#include "task.h"

bool
sample_disk_wants_evidence(const Sampling *sampling, const DiskSample *disk)
{
    const DiskTrack *track = track_find_disk(&sampling->vm->track, disk->id);
    guint64 ops = disk_operations(disk);

    if (sampling->context.wants_all_evidence)
        return true;
    if (track && track->has_last && track->verdict.state < STATE_SUSPECT && ops != track->last.ops)
        return false; /* it moves: nothing to prove */
    return freeze_wants_evidence(track, sampling->context.now_us);
}

bool
sample_anyone_wants_evidence(const Sampling *sampling)
{
    if (sampling->vm->run != RUN_RUNNING)
        return false;
    for (guint i = 0; i < sampling->sample.n_disks; i++)
        if (sample_disk_wants_evidence(sampling, &sampling->sample.disks[i]))
            return true;
    return false;
}

/* A virtqueue that holds nothing has answered already. */
static bool
disk_is_open_question(const Sampling *sampling, const DiskSample *disk)
{
    return sample_disk_wants_evidence(sampling, disk) &&
           (!disk->has_queue || disk->queue_inflight > 0);
}

static guint
count_open_disks(const Sampling *sampling)
{
    guint n = 0;

    for (guint i = 0; i < sampling->sample.n_disks; i++)
        n += storage_may_be_open(sample_disk_origin(sampling, i)->argv);
    return n;
}

static bool
task_is_of_disk(const Sampling *sampling, const BlockedTask *task, guint index, guint n_open)
{
    const ArgvDisk *argv = sample_disk_origin(sampling, index)->argv;

    /* pipes, sockets and KVM's own descriptors are no images */
    if (!task->link || *task->link != '/')
        return false;
    return storage_is_at(sampling->vm, argv, task->link) ||
           (n_open == 1 && storage_may_be_open(argv));
}

/* The thread seen last time, when it still waits; else the first one. 0 none. */
static guint32
find_task(const Sampling *sampling, const GArray *tasks, guint index, guint n_open)
{
    const DiskSample *before =
        sample_find_disk(&sampling->vm->sample, sampling->sample.disks[index].id);
    guint32 first = 0;

    for (guint i = 0; i < tasks->len; i++) {
        const BlockedTask *task = &g_array_index(tasks, BlockedTask, i);

        if (!task_is_of_disk(sampling, task, index, n_open))
            continue;
        if (before && before->has_thread && before->blocked_thread == task->tid)
            return task->tid;
        if (first == 0)
            first = task->tid;
    }
    return first;
}

static void
fill_threads(Sampling *sampling)
{
    bool is_complete;
    g_autoptr(GArray) tasks = tasks_read_blocked(sampling->vm->proc, &is_complete);
    guint n_open = count_open_disks(sampling);

    for (guint i = 0; tasks && i < sampling->sample.n_disks; i++) {
        DiskSample *disk = &sampling->sample.disks[i];

        if (!disk_is_open_question(sampling, disk))
            continue;
        disk->blocked_thread = find_task(sampling, tasks, i, n_open);
        disk->has_thread = is_complete || disk->blocked_thread != 0;
    }
}

static bool
disk_may_use_ring(const Sampling *sampling, guint index)
{
    const ArgvDisk *argv = sample_disk_origin(sampling, index)->argv;

    return !argv || g_strcmp0(argv->aio, "io_uring") == 0;
}

static void
fill_rings(Sampling *sampling)
{
    guint n_users = 0;
    Ring ring;

    for (guint i = 0; i < sampling->sample.n_disks; i++)
        n_users += disk_may_use_ring(sampling, i);
    if (n_users == 0 || !rings_read(sampling->vm->proc, &ring))
        return;
    if (ring.inflight > 0 && n_users > 1 && sampling->vm->argv->n_iothreads > 0)
        return;
    for (guint i = 0; i < sampling->sample.n_disks; i++) {
        DiskSample *disk = &sampling->sample.disks[i];

        if (!disk_may_use_ring(sampling, i) || !disk_is_open_question(sampling, disk))
            continue;
        disk->has_ring = true;
        disk->ring_is_shared = n_users > 1;
        disk->ring_inflight = ring.inflight;
        disk->ring_completed = ring.completed;
    }
}

static void
fill_device(Sampling *sampling, DiskSample *disk, const StorageFacts *facts)
{
    DeviceNumber number = facts->has_held ? facts->held : facts->today;
    bool has_moved = facts->has_held && (facts->held.major != facts->today.major ||
                                         facts->held.minor != facts->today.minor);
    BlockDevice device = {0};
    BlockDeviceAnswer answer =
        block_device_read(sampling->context.host, number.major, number.minor, &device);

    /* a file system without a device (NFS, FUSE, ZFS) has a number that is none */
    disk->has_device =
        answer == BLOCK_DEVICE_READ || (answer == BLOCK_DEVICE_GONE && facts->is_device);
    disk->device_inflight = device.inflight;
    disk->device_completed = device.completed;
    disk->device_time_ns = device.time_ms * 1000000;
    disk->device_is_shared = !facts->is_device;
    disk->device_is_stale =
        facts->is_device && (has_moved || (facts->has_held && answer == BLOCK_DEVICE_GONE));
}

static void
fill_devices(Sampling *sampling)
{
    const SampleContext *context = &sampling->context;

    if (context->children &&
        (context->wants_all_evidence || freeze_is_suspect(&sampling->vm->track)))
        storage_look_again(sampling->vm, context->children, context->now_us);
    for (guint i = 0; i < sampling->sample.n_disks; i++) {
        DiskSample *disk = &sampling->sample.disks[i];
        const StorageFacts *facts =
            storage_facts(sampling->vm, sample_disk_origin(sampling, i)->argv);

        if (facts && disk_is_open_question(sampling, disk))
            fill_device(sampling, disk, facts);
    }
}

void
sample_fill_evidence(Sampling *sampling)
{
    const Sample *sample = &sampling->sample;
    bool is_wanted = false;

    if (sample->monitor != MONITOR_ANSWERED || sampling->vm->run != RUN_RUNNING)
        return;
    for (guint i = 0; i < sample->n_disks; i++)
        is_wanted = is_wanted || disk_is_open_question(sampling, &sample->disks[i]);
    if (!is_wanted)
        return;
    fill_threads(sampling);
    fill_rings(sampling);
    fill_devices(sampling);
}
