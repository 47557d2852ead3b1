/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guardian.h"

#include "child.h"
#include "discover.h"
#include "freeze.h"
#include "sample.h"
#include "storage.h"
#include "worker.h"

#include <string.h>

/* Command lines of hung processes are read here; more hung VMs than this and new ones wait to be
 * found. */
#define WORKERS_MAX 16
/* Without the loop, how long a look may take in all before what is there is shown. */
#define LOOK_DEADLINE_US (8 * G_USEC_PER_SEC)

struct Guardian {
    const Host *host;
    GMainContext *context;
    Config *config;
    Limits limits; /* of the host */
    Workers *workers;
    Children *children;
    Discovery *discovery;
    GPtrArray *vms; /* of Vm, owned */
    char *only;     /* NULL: all */
    GSource *tick;
    bool is_looping, wants_all_evidence;
    guint samples_open;
    gint64 next_discovery_us, ticked_us;
    GuardianChangeFunc changed;
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
tell(Guardian *guardian, const Vm *vm, const DiskTrack *disk, Verdict before, Verdict after)
{
    GuardianChange change = {.vm = vm, .disk = disk, .before = before, .after = after};

    if (guardian->changed)
        guardian->changed(&change, guardian->changed_data);
}

/* Judges the newest sample and tells what it changed. */
static void
guardian_judge(Guardian *guardian, Vm *vm)
{
    guint n = vm->track.disks->len;
    g_autofree Verdict *before = g_new0(Verdict, n + vm->sample.n_disks + 1);
    Verdict vm_before = vm->track.verdict;
    g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < n; i++) {
        const DiskTrack *disk = vm->track.disks->pdata[i];

        before[i] = disk->verdict;
        g_hash_table_insert(known, g_strdup(disk->id), &before[i]);
    }
    freeze_judge(&vm->track, &vm->sample, &vm->limits);
    for (guint i = 0; i < vm->track.disks->len; i++) {
        const DiskTrack *disk = vm->track.disks->pdata[i];
        const Verdict *was = g_hash_table_lookup(known, disk->id);

        tell(guardian, vm, disk, was ? *was : (Verdict){.state = STATE_UNKNOWN}, disk->verdict);
    }
    tell(guardian, vm, NULL, vm_before, vm->track.verdict);
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
guardian_sampled(Vm *vm, gpointer data)
{
    Guardian *guardian = data;

    guardian->samples_open--;
    recorder_add(vm->recorder, &vm->sample);
    guardian_judge(guardian, vm);
    if (vm->sample.process_is_gone)
        g_ptr_array_remove_fast(guardian->vms, vm);
    else
        guardian_plan_next(guardian, vm, host_monotonic_us(guardian->host));
}

static void
guardian_sample(Guardian *guardian, Vm *vm, gint64 now)
{
    SampleContext context = {.host = guardian->host,
                             .context = guardian->context,
                             .now_us = now,
                             .boottime_us = host_boottime_us(guardian->host),
                             .period_us = vm_period_us(guardian, vm),
                             .wants_all_evidence = guardian->wants_all_evidence};

    storage_look_up(vm, guardian->children); /* where there was no room when it was found */
    guardian->samples_open++;
    sample_begin(vm, &context, guardian_sampled, guardian);
}

static bool
guardian_knows(pid_t pid, guint64 start_ticks, const char *proxmox_id, gpointer data)
{
    const Guardian *guardian = data;

    for (guint i = 0; i < guardian->vms->len; i++) {
        Vm *vm = guardian->vms->pdata[i];

        if (proc_pid(vm->proc) != pid || proc_start_ticks(vm->proc) != start_ticks)
            continue;
        if (!proxmox_id || g_str_equal(vm->source, "proxmox") || vm->sampling)
            return true;
        /* seen before Proxmox had written its pid file: now it is known whose it is */
        g_ptr_array_remove_index_fast(guardian->vms, i);
        return false;
    }
    return false;
}

static void
guardian_found(Vm *vm, gpointer data)
{
    Guardian *guardian = data;
    gint64 now = host_monotonic_us(guardian->host);

    if (guardian->only && !vm_matches(vm, guardian->only)) {
        vm_free(vm);
        return;
    }
    vm->tick = guardian->tick;
    g_ptr_array_add(guardian->vms, vm);
    storage_look_up(vm, guardian->children);
    /* a phase of its own: on a shared monitor nobody's clock should meet ours every time */
    vm->next_us = now;
    if (!vm->monitor_is_ours)
        vm->next_us += g_random_int_range(0, (gint32)(vm->limits.period_suspect_us / 1000)) * 1000;
    if (guardian->is_looping)
        g_source_set_ready_time(guardian->tick, now);
}

static void
guardian_discover(Guardian *guardian, gint64 now)
{
    if (now < guardian->next_discovery_us)
        return;
    guardian->next_discovery_us = now + guardian->limits.discovery_period_us;
    discovery_scan(guardian->discovery, guardian->config);
}

static void
guardian_sample_due(Guardian *guardian, gint64 now)
{
    gint64 soonest = guardian->next_discovery_us;

    for (guint i = guardian->vms->len; i-- > 0;) {
        Vm *vm = guardian->vms->pdata[i];

        if (vm->sampling)
            continue;
        if (vm->next_us <= now)
            guardian_sample(guardian, vm, now); /* may end at once, and may remove the VM */
        else
            soonest = MIN(soonest, vm->next_us);
    }
    for (guint i = 0; i < guardian->vms->len; i++) {
        const Vm *vm = guardian->vms->pdata[i];

        if (!vm->sampling)
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
    guardian_discover(guardian, now);
    guardian_sample_due(guardian, now);
    return G_SOURCE_CONTINUE;
}

static gboolean
tick_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    return callback(data);
}

static GSourceFuncs tick_funcs = {.dispatch = tick_dispatch};

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
    DiscoverFuncs funcs = {.found = guardian_found, .is_known = guardian_knows, .data = guardian};

    guardian->host = host;
    guardian->context = g_main_context_ref(context);
    guardian->config = config;
    config_limits(config, NULL, &guardian->limits);
    guardian->workers = workers_new(context, WORKERS_MAX);
    guardian->children = children_new(context);
    guardian->discovery = discovery_new(host, guardian->workers, &funcs);
    guardian->vms = g_ptr_array_new_with_free_func(vm_end);
    guardian->tick = g_source_new(&tick_funcs, sizeof(GSource));
    g_source_set_callback(guardian->tick, guardian_tick, guardian, NULL);
    return guardian;
}

void
guardian_free(Guardian *guardian)
{
    if (!guardian)
        return;
    g_source_destroy(guardian->tick);
    discovery_free(guardian->discovery);
    workers_free(guardian->workers);
    g_ptr_array_unref(guardian->vms);
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

/* Runs the context until nothing is open any more, or the deadline; at least for `at_least_us`. */
static void
guardian_wait(Guardian *guardian, gint64 at_least_us, gint64 deadline_us)
{
    gint64 from = g_get_monotonic_time();
    GSource *timer = g_timeout_source_new((guint)(at_least_us / 1000));
    bool is_over = at_least_us == 0;

    g_source_set_callback(timer, set_flag, &is_over, NULL);
    g_source_attach(timer, guardian->context);
    while ((!is_over || guardian->samples_open > 0 || discovery_pending(guardian->discovery) > 0 ||
            children_open(guardian->children) > 0) &&
           g_get_monotonic_time() - from < deadline_us)
        g_main_context_iteration(guardian->context, TRUE);
    g_source_destroy(timer);
    g_source_unref(timer);
}

void
guardian_look_twice(Guardian *guardian, gint64 apart_us)
{
    guardian->wants_all_evidence = true;
    discovery_scan(guardian->discovery, guardian->config);
    guardian_wait(guardian, 0, LOOK_DEADLINE_US / 2);
    for (guint round = 0; round < 2; round++) {
        gint64 now = host_monotonic_us(guardian->host);

        guardian->ticked_us = now;
        for (guint i = guardian->vms->len; i-- > 0;)
            if (!((Vm *)guardian->vms->pdata[i])->sampling)
                guardian_sample(guardian, guardian->vms->pdata[i], now);
        guardian_wait(guardian, round == 0 ? apart_us : 0, LOOK_DEADLINE_US);
    }
}

void
guardian_reconfigure(Guardian *guardian, Config *config)
{
    config_free(guardian->config);
    guardian->config = config;
    limits_clear(&guardian->limits);
    config_limits(config, NULL, &guardian->limits);
    for (guint i = 0; i < guardian->vms->len; i++) {
        Vm *vm = guardian->vms->pdata[i];

        guardian->samples_open -= vm->sampling != NULL;
        sample_cancel(vm);
        g_clear_pointer(&vm->client, qmp_client_free);
        discovery_configure(vm, config);
    }
    guardian->next_discovery_us = 0;
    g_source_set_ready_time(guardian->tick, 0);
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

guint
guardian_stuck_workers(const Guardian *guardian)
{
    return workers_stuck(guardian->workers);
}

gint64
guardian_ticked_us(const Guardian *guardian)
{
    return guardian->ticked_us;
}
