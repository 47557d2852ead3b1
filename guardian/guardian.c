/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guardian.h"

#include "child.h"
#include "discover.h"
#include "drift-look.h"
#include "freeze.h"
#include "habits.h"
#include "incoming.h"
#include "libvirt.h"
#include "limits-request.h"
#include "memory-watch.h"
#include "neighbour.h"
#include "owner-look.h"
#include "reconciler.h"
#include "sample.h"
#include "storage.h"
#include "worker.h"

#include <string.h>

/* Command lines of hung processes are read here; more hung VMs than this and new ones wait to be
 * found. */
#define WORKERS_MAX 16
/* Any user can call his processes qemu-system-x: this bounds what all of them make us hold, about
 * 100 MB. */
#define VMS_MAX 4096
/* A host that starts all its VMs calls a hook several times for each: one look through /proc is for
 * all that come within this. */
#define HURRY_APART_US (G_USEC_PER_SEC / 2)
/* Without the loop, how long a look may take in all before what is there is shown. */
#define LOOK_DEADLINE_US (8 * G_USEC_PER_SEC)

struct Guardian {
    const Host *host;
    GMainContext *context;
    Config *config;
    Limits limits; /* of the host */
    Workers *workers;
    Children *children;
    Captures *captures;
    Reconciler *reconciler;
    Discovery *discovery;
    Libvirt *libvirt;
    GPtrArray *vms; /* of Vm, owned */
    char *only;     /* NULL: all */
    GSource *tick;
    bool is_looping, wants_all_evidence;
    guint samples_open;
    HostWatch *host_watch;
    gint64 next_discovery_us, discovered_us, ticked_us;
    Incoming *incoming;
    Habits *habits;
    GuardianChangeFunc changed;
    GuardianMemoryFunc memory_changed;
    gpointer memory_data;
    GuardianSampledFunc sampled;
    gpointer sampled_data;
    gpointer changed_data;
};

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

static void
guardian_plan_next(Guardian *guardian, Vm *vm, gint64 now)
{
    gint64 soonest = g_source_get_ready_time(guardian->tick);

    vm->next_us = vm->sample.now_us + vm_period_us(guardian, vm);
    if (vm->next_us <= now)
        vm->next_us = now + vm_period_us(guardian, vm);
    if (guardian->is_looping && (soonest < 0 || vm->next_us < soonest))
        g_source_set_ready_time(guardian->tick, vm->next_us);
}

static void
guardian_end_forecast(Guardian *guardian, Vm *vm)
{
    memory_watch_end(vm);
    if (guardian->memory_changed)
        guardian->memory_changed(vm, guardian->memory_data);
}

static void
guardian_sampled(Vm *vm, gpointer data)
{
    Guardian *guardian = data;

    guardian->samples_open--;
    incoming_note(vm);
    owner_look_libvirt(vm);
    recorder_add(vm->recorder, &vm->sample);
    if (vm->sample.process_is_gone)
        guardian_end_forecast(guardian, vm);
    else if (memory_watch_follow(vm, guardian->vms, guardian->workers,
                                 host_realtime_us(guardian->host)) &&
             guardian->memory_changed)
        guardian->memory_changed(vm, guardian->memory_data);
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

static void
guardian_sample(Guardian *guardian, Vm *vm, gint64 now)
{
    SampleContext context = {.host = guardian->host,
                             .context = guardian->context,
                             .children = guardian->children,
                             .now_us = now,
                             .boottime_us = host_boottime_us(guardian->host),
                             .period_us = vm_period_us(guardian, vm),
                             .memory = guardian->host_watch->memory,
                             .wants_all_evidence = guardian->wants_all_evidence};

    storage_look_up(vm, guardian->children); /* where there was no room when it was found */
    drift_look_go_on(vm, guardian->host, guardian->children, now);
    limits_request_check(vm, now);
    guardian->samples_open++;
    sample_begin(vm, &context, guardian_sampled, guardian);
}

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

static const Vm *
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
    incoming_take(guardian->incoming, vm, now);
    /* a phase of its own: on a shared monitor nobody's clock should meet ours every time */
    vm->next_us = now;
    if (!vm->monitor_is_ours)
        vm->next_us += g_random_int_range(0, (gint32)(vm->limits.period_suspect_us / 1000)) * 1000;
    if (guardian->is_looping)
        g_source_set_ready_time(guardian->tick, now);
}

static bool
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

/* Its owner has said something new. The VM may be gone afterwards, until the next reload. */
static void
guardian_hear_owner(Guardian *guardian, guint index)
{
    Vm *vm = guardian->vms->pdata[index];

    if (!vm->owner_is_new || discovery_configure(vm, guardian->config))
        return;
    discovery_ignore(guardian->discovery, vm);
    judge_end(vm, guardian->changed, guardian->changed_data);
    guardian_remove(guardian, index);
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
        else
            soonest = MIN(soonest, vm->next_us);
    }
    for (guint i = 0; i < guardian->vms->len; i++) {
        const Vm *vm = guardian->vms->pdata[i];

        if (!vm->sampling && !vm->monitor_is_lent)
            soonest = MIN(soonest, vm->next_us);
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

static gboolean
tick_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    return callback(data);
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
    static const GSourceFuncs tick_funcs = {.dispatch = tick_dispatch};
    DiscoverFuncs funcs = {.found = guardian_found, .find = guardian_find, .data = guardian};

    guardian->host = host;
    guardian->context = g_main_context_ref(context);
    guardian->config = config;
    config_limits(config, NULL, &guardian->limits);
    guardian->workers = workers_new(context, WORKERS_MAX);
    guardian->children = children_new(context);
    guardian->captures = captures_new(host, context);
    guardian->host_watch = host_watch_new(host);
    guardian->incoming = incoming_new();
    guardian->habits = habits_new(host);
    guardian->discovery = discovery_new(host, guardian->workers, &funcs);
    guardian->vms = g_ptr_array_new_with_free_func(vm_end);
    guardian->libvirt = libvirt_new(host, context, guardian->vms, NULL);
    libvirt_configure(guardian->libvirt, &guardian->limits);
    guardian->tick = g_source_new((GSourceFuncs *)&tick_funcs, sizeof(GSource));
    g_source_set_callback(guardian->tick, guardian_tick, guardian, NULL);
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
    for (guint i = 0; i < guardian->vms->len; i++)
        limits_request_forget(guardian->vms->pdata[i]); /* an act waits for it */
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

void
guardian_start(Guardian *guardian)
{
    guardian->is_looping = true;
    g_source_set_ready_time(guardian->tick, 0);
    g_source_attach(guardian->tick, guardian->context);
}

static gboolean
set_flag(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static GSource *
flag_after(const Guardian *guardian, gint64 delay_us, bool *flag)
{
    GSource *timer = g_timeout_source_new((guint)(delay_us / 1000));

    g_source_set_callback(timer, set_flag, flag, NULL);
    g_source_attach(timer, guardian->context);
    return timer;
}

/* Runs the context until nothing is open any more, or the deadline; at least for `at_least_us`. */
static void
guardian_wait(Guardian *guardian, gint64 at_least_us, gint64 deadline_us)
{
    bool is_long_enough = false, is_over = false;
    g_autoptr(GSource) pause = flag_after(guardian, at_least_us, &is_long_enough);
    g_autoptr(GSource) deadline = flag_after(guardian, deadline_us, &is_over);

    while (!is_over &&
           (!is_long_enough || guardian->samples_open > 0 ||
            discovery_pending(guardian->discovery) > 0 || children_open(guardian->children) > 0 ||
            libvirt_pending(guardian->libvirt) > 0))
        g_main_context_iteration(guardian->context, TRUE);
    g_source_destroy(pause);
    g_source_destroy(deadline);
}

guint
guardian_look_for_vms(Guardian *guardian)
{
    discovery_scan(guardian->discovery);
    libvirt_look(guardian->libvirt, host_monotonic_us(guardian->host));
    guardian_wait(guardian, 0, LOOK_DEADLINE_US / 2);
    return guardian->vms->len;
}

void
guardian_look_twice(Guardian *guardian, gint64 apart_us)
{
    guardian->wants_all_evidence = true;
    (void)guardian_look_for_vms(guardian);
    for (guint round = 0; round < 2; round++) {
        gint64 now = host_monotonic_us(guardian->host);

        guardian->ticked_us = now;
        host_watch_follow(guardian->host_watch, guardian->vms, &guardian->limits, now);
        for (guint i = guardian->vms->len; i-- > 0;)
            if (!((Vm *)guardian->vms->pdata[i])->sampling)
                guardian_sample(guardian, guardian->vms->pdata[i], now);
        guardian_wait(guardian, round == 0 ? apart_us : 0, LOOK_DEADLINE_US);
    }
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
    guardian->next_discovery_us =
        MIN(guardian->next_discovery_us, MAX(now, guardian->discovered_us + HURRY_APART_US));
    if (guardian->is_looping)
        g_source_set_ready_time(guardian->tick, now);
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
