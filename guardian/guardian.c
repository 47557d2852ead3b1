/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guardian-private.h"

#include "child.h"
#include "drift-look.h"
#include "freeze.h"
#include "limits-request.h"
#include "memory-watch.h"
#include "neighbour.h"
#include "owner-look.h"
#include "pve-look.h"
#include "ready-source.h"
#include "reconciler.h"
#include "sample.h"
#include "storage.h"
#include "unit-look.h"
#include "unit-policy.h"

/* Command lines of hung processes are read here; more hung VMs than this and new ones wait to be
 * found. */
#define WORKERS_MAX 16
/* A host that starts all its VMs calls a hook several times for each: one look through /proc is for
 * all that come within this. */
#define HURRY_APART_US (G_USEC_PER_SEC / 2)

static gint64
vm_period_us(const Guardian *guardian, const Vm *vm)
{
    if (guardian->only)
        return vm->limits.period_suspect_us;
    if (vm->monitor_is_ours)
        return vm->limits.period_own_us;
    return freeze_is_suspect(&vm->track)
               ? MIN(vm->limits.period_suspect_us, vm->limits.period_shared_us)
               : vm->limits.period_shared_us;
}

/* A sample, or a reading of its memory between two. */
static gint64
vm_due_us(const Vm *vm)
{
    return MIN(vm->next_us, memory_watch_due_us(vm));
}

static void
guardian_plan_next(Guardian *guardian, Vm *vm, gint64 now)
{
    gint64 soonest = g_source_get_ready_time(guardian->tick);

    vm->next_us = vm->sample.now_us + vm_period_us(guardian, vm);
    if (vm->next_us <= now)
        vm->next_us = now + vm_period_us(guardian, vm);
    if (vm->is_due_again)
        vm->next_us = MAX(now, vm->sample.now_us + HURRY_APART_US);
    vm->is_due_again = false;
    if (guardian->is_looping && (soonest < 0 || vm_due_us(vm) < soonest))
        g_source_set_ready_time(guardian->tick, vm_due_us(vm));
}

void
guardian_end_forecast(Guardian *guardian, Vm *vm)
{
    memory_watch_end(vm);
    if (guardian->memory_changed)
        guardian->memory_changed(vm, guardian->memory_data);
}

static void
guardian_follow_memory(Guardian *guardian, Vm *vm)
{
    if (memory_watch_follow(vm, guardian->vms, guardian->workers,
                            host_realtime_us(guardian->host)) &&
        guardian->memory_changed)
        guardian->memory_changed(vm, guardian->memory_data);
    oom_watch_note(guardian->host_watch->oom, vm);
}

static void
guardian_sampled(Vm *vm, gpointer data)
{
    Guardian *guardian = data;

    guardian->samples_open--;
    vm->took_us = host_monotonic_us(guardian->host) - vm->sample.now_us;
    incoming_note(vm);
    owner_look_libvirt(vm);
    recorder_add(vm->recorder, &vm->sample);
    if (vm->sample.process_is_gone) {
        oom_watch_note(guardian->host_watch->oom, vm);
        guardian_end_forecast(guardian, vm);
    } else {
        guardian_follow_memory(guardian, vm);
    }
    neighbours_note(vm);
    neighbours_count(vm, guardian->vms);
    judge_sample(vm, guardian->changed, guardian->changed_data);
    habits_follow(guardian->habits, vm, guardian->is_looping);
    if (guardian->reconciler)
        reconciler_consider(guardian->reconciler, vm);
    if (vm->sample.process_is_gone) {
        g_ptr_array_remove_fast(guardian->vms, vm);
        return;
    }
    if (guardian->sampled)
        guardian->sampled(vm, guardian->sampled_data);
    guardian_plan_next(guardian, vm, host_monotonic_us(guardian->host));
}

static SampleContext
context_of(const Guardian *guardian, const Vm *vm, gint64 now)
{
    return (SampleContext){.host = guardian->host,
                           .context = guardian->context,
                           .children = guardian->children,
                           .now_us = now,
                           .boottime_us = host_boottime_us(guardian->host),
                           .period_us = vm_period_us(guardian, vm),
                           .memory = guardian->host_watch->memory,
                           .wants_all_evidence = guardian->wants_all_evidence};
}

void
guardian_sample(Guardian *guardian, Vm *vm, gint64 now)
{
    SampleContext context = context_of(guardian, vm, now);

    storage_look_up(vm, guardian->children); /* where there was no room when it was found */
    pve_look_go_on(vm, guardian->host, guardian->children, now);
    drift_look_go_on(vm, guardian->host, guardian->children, now);
    unit_look_go_on(vm, guardian->host, guardian->children, now);
    unit_policy_go_on(vm, guardian->host, guardian->children, now);
    limits_request_check(vm, now);
    vm->late_us = vm->next_us > 0 ? MAX(now - vm->next_us, 0) : 0; /* 0: it need not wait */
    guardian->samples_open++;
    sample_begin(vm, &context, guardian_sampled, guardian);
}

/* Memory fills up in seconds, also while a shared monitor is left alone for ten. */
void
guardian_read_memory(Guardian *guardian, Vm *vm, gint64 now)
{
    SampleContext context = context_of(guardian, vm, now);
    PressureLevel before = vm->memory_watch->pressure.verdict.level, after;

    sample_read_memory(vm, &context);
    guardian_follow_memory(guardian, vm);
    after = vm->memory_watch->pressure.verdict.level;
    if (after > before && after >= PRESSURE_DOOMED)
        vm->next_us = now; /* what may be done about it follows a sample */
}

static void
guardian_discover(Guardian *guardian, gint64 now)
{
    if (now < guardian->next_discovery_us)
        return;
    guardian->next_discovery_us = now + guardian->limits.discovery_period_us;
    guardian->discovered_us = now;
    discovery_scan(guardian->discovery);
    libvirt_look(guardian->libvirt, now);
}

static void
guardian_sample_due(Guardian *guardian, gint64 now)
{
    gint64 soonest = guardian->next_discovery_us;

    for (guint i = guardian->vms->len; i-- > 0;) {
        Vm *vm = guardian->vms->pdata[i];

        if (vm->sampling || vm->monitor_is_lent)
            continue;
        if (vm->owner_is_new)
            guardian_hear_owner(guardian, i);
        else if (vm->next_us <= now)
            guardian_sample(guardian, vm, now); /* may end at once, and may remove the VM */
        else if (memory_watch_due_us(vm) <= now)
            guardian_read_memory(guardian, vm, now);
    }
    for (guint i = 0; i < guardian->vms->len; i++) {
        const Vm *vm = guardian->vms->pdata[i];

        if (!vm->sampling && !vm->monitor_is_lent)
            soonest = MIN(soonest, vm_due_us(vm));
    }
    g_source_set_ready_time(guardian->tick, soonest);
}

static gboolean
guardian_tick(gpointer data)
{
    Guardian *guardian = data;
    gint64 now = host_monotonic_us(guardian->host);

    guardian->ticked_us = now;
    host_watch_follow(guardian->host_watch, guardian->vms, &guardian->limits, now);
    guardian_discover(guardian, now);
    guardian_sample_due(guardian, now);
    return G_SOURCE_CONTINUE;
}

static void
vm_end(gpointer data)
{
    sample_cancel(data);
    vm_free(data);
}

Guardian *
guardian_new(const Host *host, GMainContext *context, Config *config)
{
    Guardian *guardian = g_new0(Guardian, 1);
    DiscoverFuncs funcs = {.found = guardian_found, .find = guardian_find, .data = guardian};

    guardian->host = host;
    guardian->context = g_main_context_ref(context);
    guardian->config = config;
    config_limits(config, NULL, &guardian->limits);
    guardian->workers = workers_new(context, WORKERS_MAX);
    guardian->children = children_new(context);
    guardian->captures = captures_new(host, context);
    guardian->host_watch = host_watch_new(host);
    reservations_set_children(guardian->host_watch->reservations, guardian->children);
    guardian->incoming = incoming_new();
    guardian->habits = habits_new(host);
    guardian->discovery = discovery_new(host, guardian->workers, &funcs);
    guardian->vms = g_ptr_array_new_with_free_func(vm_end);
    guardian->libvirt = libvirt_new(host, context, guardian->vms, NULL);
    libvirt_configure(guardian->libvirt, &guardian->limits);
    guardian->tick = ready_source_new(guardian_tick, guardian);
    return guardian;
}

void
guardian_free(Guardian *guardian)
{
    if (!guardian)
        return;
    g_source_destroy(guardian->tick);
    workers_free(guardian->workers);
    discovery_free(guardian->discovery);
    reconciler_forget(guardian->reconciler); /* its acts wait for VMs */
    reconciler_free(guardian->reconciler);
    g_ptr_array_unref(guardian->vms);
    libvirt_free(guardian->libvirt);
    captures_free(guardian->captures);
    host_watch_free(guardian->host_watch);
    incoming_free(guardian->incoming);
    if (guardian->is_looping)
        habits_save(guardian->habits);
    habits_free(guardian->habits);
    children_free(guardian->children);
    g_source_unref(guardian->tick);
    limits_clear(&guardian->limits);
    config_free(guardian->config);
    g_main_context_unref(guardian->context);
    g_free(guardian->only);
    g_free(guardian);
}

void
guardian_set_change_func(Guardian *guardian, GuardianChangeFunc func, gpointer data)
{
    guardian->changed = func;
    guardian->changed_data = data;
}

void
guardian_set_memory_func(Guardian *guardian, GuardianMemoryFunc func, gpointer data)
{
    guardian->memory_changed = func;
    guardian->memory_data = data;
}

void
guardian_reconcile(Guardian *guardian, ReconcilerTellFunc tell, gpointer data)
{
    guardian->reconciler = reconciler_new(guardian->host, guardian->context, guardian->vms);
    reconciler_set_tell_func(guardian->reconciler, tell, data);
}

void
guardian_set_sampled_func(Guardian *guardian, GuardianSampledFunc func, gpointer data)
{
    guardian->sampled = func;
    guardian->sampled_data = data;
}

void
guardian_want_all_evidence(Guardian *guardian)
{
    guardian->wants_all_evidence = true;
}

void
guardian_set_only(Guardian *guardian, const char *word)
{
    g_free(guardian->only);
    guardian->only = g_strdup(word);
}

/* There is something new: a look for it, soon. */
static void
guardian_hurry(gpointer data)
{
    Guardian *guardian = data;
    gint64 now = host_monotonic_us(guardian->host);

    guardian->next_discovery_us =
        MIN(guardian->next_discovery_us, MAX(now, guardian->discovered_us + HURRY_APART_US));
    if (guardian->is_looping)
        g_source_set_ready_time(guardian->tick, now);
}

void
guardian_start(Guardian *guardian)
{
    guardian->is_looping = true;
    libvirt_set_started_func(guardian->libvirt, guardian_hurry, guardian);
    g_source_set_ready_time(guardian->tick, 0);
    g_source_attach(guardian->tick, guardian->context);
}

void
guardian_hear_hook(Guardian *guardian, const HookEvent *event, gint64 at_us)
{
    gint64 now = host_monotonic_us(guardian->host);

    if (event->change == HOOK_INCOMING)
        incoming_announce(guardian->incoming, event->vm, at_us, now);
    for (guint i = 0; i < guardian->vms->len; i++) {
        Vm *vm = guardian->vms->pdata[i];

        if (event->change == HOOK_STOPPED && vm_matches(vm, event->vm))
            vm->next_us = now; /* sees that its process is gone */
    }
    /* before there is a process a look finds nothing, and takes its time from the VM's start */
    if (event->change != HOOK_STARTING && event->change != HOOK_OTHER)
        guardian_hurry(guardian);
}

const Limits *
guardian_limits(const Guardian *guardian)
{
    return &guardian->limits;
}

const GPtrArray *
guardian_vms(const Guardian *guardian)
{
    return guardian->vms;
}

const Host *
guardian_host(const Guardian *guardian)
{
    return guardian->host;
}

const Config *
guardian_config(const Guardian *guardian)
{
    return guardian->config;
}

HostWatch *
guardian_host_watch(const Guardian *guardian)
{
    return guardian->host_watch;
}

guint
guardian_stuck_workers(const Guardian *guardian)
{
    return workers_stuck(guardian->workers);
}

Captures *
guardian_captures(const Guardian *guardian)
{
    return guardian->captures;
}

Libvirt *
guardian_libvirt(const Guardian *guardian)
{
    return guardian->libvirt;
}

void
guardian_set_acts(Guardian *guardian, const ActJournal *acts)
{
    guardian->acts = acts;
}

const ActJournal *
guardian_acts(const Guardian *guardian)
{
    return guardian->acts;
}

gint64
guardian_ticked_us(const Guardian *guardian)
{
    return guardian->ticked_us;
}

gint64
guardian_due_us(const Guardian *guardian)
{
    return g_source_get_ready_time(guardian->tick);
}
