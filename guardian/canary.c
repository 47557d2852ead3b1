/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "canary.h"

#define CANARY_BYTES 512

/* Of one disk, by its id in vm->canaries. */
typedef struct {
    bool is_out, is_back;
    gint64 sent_us, back_us;
    guint64 sent_rd_ops;   /* the guest's own reads when it was sent */
    guint64 counted_reads; /* canaries that came back since the VM is watched */
} Canary;

static Canary *
canary_of(const Vm *vm, const DiskSample *disk)
{
    return g_hash_table_lookup(vm->canaries, disk->id);
}

void
canary_note(Vm *vm, DiskSample *disk, gint64 now_us)
{
    const DiskTrack *track = track_find_disk(&vm->track, disk->id);
    Canary *canary = canary_of(vm, disk);

    if (!canary || !disk->has_counters)
        return;
    disk->rd_ops -= MIN(disk->rd_ops, canary->counted_reads);
    disk->rd_bytes -= MIN(disk->rd_bytes, canary->counted_reads * CANARY_BYTES);
    if (canary->is_out && disk->rd_ops > canary->sent_rd_ops) {
        canary->is_out = false;
        canary->is_back = true;
        canary->back_us = now_us;
        canary->counted_reads++;
        disk->rd_ops--;
        disk->rd_bytes -= MIN(disk->rd_bytes, CANARY_BYTES);
    }
    /* the silence is over: the next one deserves a canary of its own */
    if (canary->is_back && track &&
        (track->habit.last_progress_us > canary->sent_us || vm->run != RUN_RUNNING))
        canary->is_back = false;
    disk->has_canary = canary->is_out || canary->is_back;
    disk->canary_is_back = canary->is_back;
    disk->canary_waited_us = (canary->is_back ? canary->back_us : now_us) - canary->sent_us;
}

bool
canary_is_wanted(const Vm *vm, const DiskSample *disk, gint64 now_us)
{
    const Canary *canary = canary_of(vm, disk);

    return disk->has_counters && vm->run == RUN_RUNNING &&
           !(canary && (canary->is_out || canary->is_back)) &&
           freeze_wants_canary(track_find_disk(&vm->track, disk->id), disk, &vm->limits, now_us);
}

void
canary_sent(Vm *vm, const DiskSample *disk, gint64 now_us)
{
    Canary *canary = canary_of(vm, disk);

    if (!canary) {
        canary = g_new0(Canary, 1);
        g_hash_table_insert(vm->canaries, g_strdup(disk->id), canary);
    }
    canary->is_out = true;
    canary->is_back = false;
    canary->sent_us = now_us;
    canary->sent_rd_ops = disk->rd_ops;
}
