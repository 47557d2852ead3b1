/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which VMs are watched: those found, wanted by the configuration and their owners, and not gone.
 */
#include "guardian-private.h"

#include "storage.h"

/* Any user can call his processes qemu-system-x: this bounds what all of them make us hold, about
 * 100 MB. */
#define VMS_MAX 4096

/* Index of the VM that is this process, -1 for none. */
static int
guardian_index(const Guardian *guardian, pid_t pid, guint64 start_ticks)
{
    for (guint i = 0; i < guardian->vms->len; i++) {
        const Vm *vm = guardian->vms->pdata[i];

        if (proc_pid(vm->proc) == pid && proc_start_ticks(vm->proc) == start_ticks)
            return (int)i;
    }
    return -1;
}

const Vm *
guardian_find(pid_t pid, gpointer data)
{
    const Guardian *guardian = data;

    for (guint i = 0; i < guardian->vms->len; i++) {
        const Vm *vm = guardian->vms->pdata[i];

        if (proc_pid(vm->proc) == pid && proc_is_alive(vm->proc))
            return vm;
    }
    return NULL;
}

static void
guardian_remove(Guardian *guardian, guint index)
{
    guardian->samples_open -= ((const Vm *)guardian->vms->pdata[index])->sampling != NULL;
    g_ptr_array_remove_index_fast(guardian->vms, index);
}

static void
guardian_add(Guardian *guardian, Vm *vm)
{
    gint64 now = host_monotonic_us(guardian->host);

    vm->tick = guardian->tick;
    g_ptr_array_add(guardian->vms, vm);
    libvirt_look_for(guardian->libvirt, vm, now);
    storage_look_up(vm, guardian->children);
    oom_watch_note(guardian->host_watch->oom, vm); /* it may not live to its first sample */
    incoming_take(guardian->incoming, vm, now);
    /* a phase of its own: on a shared monitor nobody's clock should meet ours every time */
    vm->next_us = now;
    if (!vm->monitor_is_ours)
        vm->next_us += g_random_int_range(0, (gint32)(vm->limits.period_suspect_us / 1000)) * 1000;
    if (guardian->is_looping)
        g_source_set_ready_time(guardian->tick, now);
}

bool
guardian_found(Vm *vm, gpointer data)
{
    Guardian *guardian = data;
    int known = guardian_index(guardian, proc_pid(vm->proc), proc_start_ticks(vm->proc));
    bool is_wanted = discovery_configure(vm, guardian->config) &&
                     (!guardian->only || vm_matches(vm, guardian->only));
    Track track = vm->track;

    if (known < 0 ? !is_wanted || guardian->vms->len >= VMS_MAX : is_wanted && vm->is_nameless) {
        vm_free(vm);
        return is_wanted;
    }
    if (known >= 0) { /* more is known of it now; what was judged of it so far goes on */
        Vm *old = guardian->vms->pdata[known];

        vm->track = old->track;
        old->track = track;
        guardian_remove(guardian, (guint)known);
    }
    if (is_wanted)
        guardian_add(guardian, vm);
    else
        vm_free(vm);
    return is_wanted;
}

void
guardian_hear_owner(Guardian *guardian, guint index)
{
    Vm *vm = guardian->vms->pdata[index];

    if (!vm->owner_is_new || discovery_configure(vm, guardian->config))
        return;
    discovery_ignore(guardian->discovery, vm);
    judge_end(vm, guardian->changed, guardian->changed_data);
    guardian_remove(guardian, index);
}

void
guardian_reconfigure(Guardian *guardian, Config *config)
{
    config_free(guardian->config);
    guardian->config = config;
    limits_clear(&guardian->limits);
    config_limits(config, NULL, &guardian->limits);
    for (guint i = guardian->vms->len; i-- > 0;) {
        if (discovery_configure(guardian->vms->pdata[i], config))
            continue;
        judge_end(guardian->vms->pdata[i], guardian->changed, guardian->changed_data);
        guardian_end_forecast(guardian, guardian->vms->pdata[i]);
        guardian_remove(guardian, i);
    }
    discovery_reconsider(guardian->discovery);
    libvirt_configure(guardian->libvirt, &guardian->limits);
    if (guardian->reconciler)
        reconciler_reset(guardian->reconciler);
    guardian->next_discovery_us = 0;
    if (guardian->is_looping)
        g_source_set_ready_time(guardian->tick, 0);
}
