/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "judge.h"

static void
disk_forget(gpointer data)
{
    DiskTrack *disk = data;

    g_free(disk->id);
    g_free(disk->label);
}

/* Who the disks were and what was said of them; of DiskTrack, as the tracks themselves may end. */
static GArray *
remember_disks(const Track *track)
{
    GArray *disks = g_array_sized_new(FALSE, TRUE, sizeof(DiskTrack), track->disks->len);

    g_array_set_clear_func(disks, disk_forget);
    for (guint i = 0; i < track->disks->len; i++) {
        const DiskTrack *disk = track->disks->pdata[i];
        DiskTrack copy = {
            .id = g_strdup(disk->id), .label = g_strdup(disk->label), .verdict = disk->verdict};

        g_array_append_val(disks, copy);
    }
    return disks;
}

static Verdict
verdict_before(const GArray *disks, const char *id)
{
    for (guint i = 0; i < disks->len; i++) {
        const DiskTrack *disk = &g_array_index(disks, DiskTrack, i);

        if (g_strcmp0(disk->id, id) == 0)
            return disk->verdict;
    }
    return (Verdict){.state = STATE_UNKNOWN, .layer = LAYER_UNKNOWN};
}

static GuardianChange
change_to_end(const Vm *vm, const DiskTrack *disk, const char *reason)
{
    return (GuardianChange){.vm = vm,
                            .disk = disk,
                            .before = disk ? disk->verdict : vm->track.verdict,
                            .after = {.state = STATE_OK,
                                      .cause = "",
                                      .reason = reason,
                                      .since_us = vm->sample.now_us,
                                      .named_us = vm->sample.now_us}};
}

void
judge_sample(Vm *vm, GuardianChangeFunc func, gpointer data)
{
    Verdict vm_before = vm->track.verdict;
    g_autoptr(GArray) disks = remember_disks(&vm->track);
    GuardianChange change = {.vm = vm};

    freeze_judge(&vm->track, &vm->sample, &vm->limits);
    for (guint i = 0; func && i < vm->track.disks->len; i++) {
        change.disk = vm->track.disks->pdata[i];
        change.before = verdict_before(disks, change.disk->id);
        change.after = change.disk->verdict;
        func(&change, data);
    }
    /* a disk that is unplugged while it is frozen is no alert any more */
    for (guint i = 0; func && i < disks->len; i++) {
        const DiskTrack *disk = &g_array_index(disks, DiskTrack, i);

        if (track_find_disk(&vm->track, disk->id))
            continue;
        change = change_to_end(vm, disk, "the disk was taken out of the VM");
        func(&change, data);
    }
    change = (GuardianChange){.vm = vm, .before = vm_before, .after = vm->track.verdict};
    if (func)
        func(&change, data);
}

void
judge_end(const Vm *vm, GuardianChangeFunc func, gpointer data)
{
    static const char reason[] = "the configuration says not to watch it any more";
    GuardianChange change = change_to_end(vm, NULL, reason);

    if (!func)
        return;
    func(&change, data);
    for (guint i = 0; i < vm->track.disks->len; i++) {
        change = change_to_end(vm, vm->track.disks->pdata[i], reason);
        func(&change, data);
    }
}
