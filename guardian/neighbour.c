/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A neighbour counts when it was busy, that is, when it moved within the minute before the disk in
 * question last did, or since: a disk that had been idle for hours says nothing. It moves when it
 * did so within STILL_AFTER_US, else it stands still.
 *
 * Who writes how much is measured over RATE_US: what one sample shows is a burst. */

#include "neighbour.h"

#include <string.h>

/* Who wrote within it was busy: an idle Linux guest writes its journal every 30 s at most. */
#define BUSY_WITHIN_US (60 * G_USEC_PER_SEC)
/* Half of the patience a freeze is granted: when it is named, neighbours on the same dead storage
 * are still for sure; and a guest that writes every 5 s is not. */
#define STILL_AFTER_US (10 * G_USEC_PER_SEC)

/* Twice the disks that one answer can hold; ids that come and go without end are no disks. */
#define MOTIONS_MAX 2048

/* As long as a suspicion takes to arise. */
#define RATE_US (10 * G_USEC_PER_SEC)

typedef struct {
    char *top_writer; /* on its storage, printable; NULL: nobody known */
    guint64 top_bps;
    guint64 rate_bytes; /* written when the measurement began */
    gint64 rate_us;     /* that moment */
    guint64 bps;        /* written by this disk, at the last measurement */
    guint64 ops;        /* completed, at the newest sample */
    gint64 moved_us;    /* newest sample at which they had changed; 0: never seen to */
} Motion;

static void
motion_free(gpointer data)
{
    Motion *motion = data;

    g_free(motion->top_writer);
    g_free(motion);
}

GHashTable *
neighbours_table_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, motion_free);
}

static void
note_rate(Motion *motion, const DiskSample *disk, gint64 now_us)
{
    gint64 elapsed = now_us - motion->rate_us;

    if (motion->rate_us > 0 && disk->wr_bytes >= motion->rate_bytes && elapsed < RATE_US)
        return;
    motion->bps = 0;
    if (motion->rate_us > 0 && disk->wr_bytes >= motion->rate_bytes)
        motion->bps = (guint64)((double)(disk->wr_bytes - motion->rate_bytes) * G_USEC_PER_SEC /
                                (double)elapsed);
    motion->rate_us = now_us;
    motion->rate_bytes = disk->wr_bytes;
}

void
neighbours_note(Vm *vm)
{
    if (g_hash_table_size(vm->motions) > MOTIONS_MAX)
        g_hash_table_remove_all(vm->motions);
    for (guint i = 0; i < vm->sample.n_disks; i++) {
        const DiskSample *disk = &vm->sample.disks[i];
        guint64 ops = disk_operations(disk);
        Motion *motion = g_hash_table_lookup(vm->motions, disk->id);

        if (!disk->has_counters)
            continue;
        if (!motion) {
            motion = g_new0(Motion, 1);
            motion->ops = ops;
            g_hash_table_insert(vm->motions, g_strdup(disk->id), motion);
        }
        if (ops != motion->ops)
            motion->moved_us = vm->sample.now_us;
        motion->ops = ops;
        note_rate(motion, disk, vm->sample.now_us);
    }
}

static bool
is_running(const Vm *vm)
{
    return vm->sample.monitor == MONITOR_ANSWERED && vm->sample.run == RUN_RUNNING;
}

static gint64
disk_moved_us(const Vm *vm, const DiskSample *disk)
{
    const Motion *motion = g_hash_table_lookup(vm->motions, disk->id);

    return motion ? motion->moved_us : 0;
}

/* Where nothing is known of the disk itself, what counts is now. */
static void
neighbour_add(DiskSample *disk, gint64 asked_us, const Vm *neighbour, gint64 moved_us,
              gint64 now_us)
{
    /* seen twice, a neighbour that is asked rarely can have moved */
    gint64 still_after = MAX(STILL_AFTER_US, 2 * neighbour->sample.period_us);

    if (moved_us == 0 || moved_us + BUSY_WITHIN_US < asked_us)
        return;
    if (now_us - moved_us < still_after)
        disk->neighbours_moving++;
    else
        disk->neighbours_still++;
}

static void
disk_count(const Vm *vm, DiskSample *disk, const GPtrArray *vms)
{
    gint64 now = vm->sample.now_us;
    gint64 moved = disk_moved_us(vm, disk);

    disk->has_neighbours = true;
    for (guint i = 0; i < vms->len; i++) {
        const Vm *neighbour = vms->pdata[i];

        if (neighbour == vm || !is_running(neighbour))
            continue;
        for (guint j = 0; j < neighbour->sample.n_disks; j++) {
            const DiskSample *other = &neighbour->sample.disks[j];

            if (g_strcmp0(other->storage, disk->storage) == 0)
                neighbour_add(disk, moved > 0 ? moved : now, neighbour,
                              disk_moved_us(neighbour, other), now);
        }
    }
}

/* Keeps the greatest of the VM's disks on that storage. */
static void
writer_consider(const Vm *vm, const char *storage, const Vm **writer, guint64 *bps)
{
    guint64 sum = 0;

    for (guint i = 0; is_running(vm) && i < vm->sample.n_disks; i++) {
        const DiskSample *disk = &vm->sample.disks[i];
        const Motion *motion = g_hash_table_lookup(vm->motions, disk->id);

        if (motion && g_strcmp0(disk->storage, storage) == 0)
            sum += motion->bps;
    }
    if (sum > *bps) {
        *bps = sum;
        *writer = vm;
    }
}

static void
note_top_writer(const Vm *vm, const DiskSample *disk, const GPtrArray *vms)
{
    Motion *motion = g_hash_table_lookup(vm->motions, disk->id);
    const Vm *writer = NULL;
    guint64 bps = 0;

    if (!motion)
        return;
    for (guint i = 0; i < vms->len; i++)
        writer_consider(vms->pdata[i], disk->storage, &writer, &bps);
    g_free(motion->top_writer);
    motion->top_writer = writer ? g_strdup(writer->name) : NULL;
    motion->top_bps = bps;
}

const char *
neighbours_top_writer(const Vm *vm, const char *disk_id, guint64 *ret_bps)
{
    const Motion *motion = g_hash_table_lookup(vm->motions, disk_id);

    if (!motion || !motion->top_writer)
        return NULL;
    *ret_bps = motion->top_bps;
    return motion->top_writer;
}

void
neighbours_count(Vm *vm, const GPtrArray *vms)
{
    if (!vm->sample.has_disks || !freeze_is_suspect(&vm->track))
        return;
    for (guint i = 0; i < vm->sample.n_disks; i++)
        if (vm->sample.disks[i].storage) {
            disk_count(vm, &vm->sample.disks[i], vms);
            note_top_writer(vm, &vm->sample.disks[i], vms);
        }
}
