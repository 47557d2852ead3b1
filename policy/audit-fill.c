/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#include <string.h>

/* The machine type and has_mute_bps are always told: without a version it is today's. */

static void
fill(guint *value, guint other)
{
    if (*value == 0)
        *value = other;
}

#define FILL(to, from, field)                                                                      \
    do {                                                                                           \
        guint value = (to)->field;                                                                 \
                                                                                                   \
        fill(&value, (from)->field);                                                               \
        (to)->field = value;                                                                       \
    } while (0)

static const AuditDisk *
find_disk(const AuditVm *vm, const char *label)
{
    for (guint i = 0; i < vm->disks->len; i++) {
        const AuditDisk *disk = vm->disks->pdata[i];

        if (strcmp(disk->label, label) == 0)
            return disk;
    }
    return NULL;
}

static void
fill_disk(AuditDisk *disk, const AuditDisk *other)
{
    FILL(disk, other, controller);
    FILL(disk, other, has_iothread);
    FILL(disk, other, has_several_iothreads);
    FILL(disk, other, aio);
    FILL(disk, other, is_direct);
    FILL(disk, other, ignores_flush);
    FILL(disk, other, place);
    FILL(disk, other, has_limit);
    FILL(disk, other, has_burst);
    FILL(disk, other, is_stale);
    if (!disk->werror)
        disk->werror = g_strdup(other->werror);
    if (!disk->rerror)
        disk->rerror = g_strdup(other->rerror);
}

static void
name_disk(AuditDisk *disk, const AuditDisk *other)
{
    if (!other->word)
        return;
    g_free(disk->word);
    disk->word = g_strdup(other->word);
}

static void
copy_disk(AuditVm *copy, const AuditDisk *disk)
{
    AuditDisk *fresh = audit_vm_add_disk(copy, NULL);

    *fresh = *disk;
    fresh->label = g_strdup(disk->label);
    fresh->word = g_strdup(disk->word);
    fresh->burst = g_strdup(disk->burst);
    fresh->werror = g_strdup(disk->werror);
    fresh->rerror = g_strdup(disk->rerror);
    fresh->limit_fault = g_strdup(disk->limit_fault);
}

static void
fill_memory(AuditVm *vm, const AuditVm *other)
{
    if (vm->guest_ram_bytes == 0)
        vm->guest_ram_bytes = other->guest_ram_bytes;
    if (vm->limit_bytes == 0)
        vm->limit_bytes = other->limit_bytes;
    if (vm->floor_bytes == 0)
        vm->floor_bytes = other->floor_bytes;
    if (!vm->has_oom_score_adj) {
        vm->has_oom_score_adj = other->has_oom_score_adj;
        vm->oom_score_adj = other->oom_score_adj;
    }
    FILL(vm, other, has_high);
    FILL(vm, other, kills_whole_group);
    FILL(vm, other, swaps_at_a_limit);
    FILL(vm, other, mixes_hugepages);
}

static AuditVm *
copy_vm(const AuditVm *vm)
{
    AuditVm *copy = audit_vm_new(vm->host);
    GPtrArray *disks = copy->disks;

    *copy = *vm;
    copy->disks = disks;
    for (guint i = 0; i < vm->disks->len; i++)
        copy_disk(copy, vm->disks->pdata[i]);
    return copy;
}

/* With a change to each disk that both have. */
static AuditVm *
copy_changed(const AuditVm *vm, const AuditVm *other,
             void (*change)(AuditDisk *disk, const AuditDisk *same))
{
    AuditVm *copy = copy_vm(vm);

    for (guint i = 0; i < copy->disks->len; i++) {
        AuditDisk *disk = copy->disks->pdata[i];
        const AuditDisk *same = find_disk(other, disk->label);

        if (same)
            change(disk, same);
    }
    return copy;
}

AuditVm *
audit_vm_name(const AuditVm *vm, const AuditVm *other)
{
    return copy_changed(vm, other, name_disk);
}

AuditVm *
audit_vm_fill(const AuditVm *vm, const AuditVm *other)
{
    AuditVm *copy = copy_changed(vm, other, fill_disk);

    fill_memory(copy, other);
    FILL(copy, other, qemu_version);
    FILL(copy, other, has_own_monitor);
    FILL(copy, other, has_balloon);
    FILL(copy, other, balloon_reports);
    FILL(copy, other, has_watchdog);
    FILL(copy, other, has_serial);
    FILL(copy, other, has_panic_device);
    return copy;
}
