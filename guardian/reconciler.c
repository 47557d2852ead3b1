/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reconciler.h"

#include "act-iotune.h"
#include "act-qm.h"
#include "act-throttle.h"
#include "config-disk.h"
#include "limits-request.h"
#include "pve-look.h"
#include "units.h"

#include <string.h>

/* How often QEMU itself is asked for limits of the old kind where they are enforced. It costs a
 * look at every open file, and somebody who changes them by hand is no emergency. */
#define ASK_AGAIN_US (3600 * (gint64)G_USEC_PER_SEC)

struct Reconciler {
    const Host *host;
    const GPtrArray *vms;
    ActMeans group, drive, qm, iotune;
    Acts *acts;
    ReconcilerTellFunc tell;
    gpointer tell_data;
};

/* One act under way. */
typedef struct {
    Reconciler *reconciler;
    pid_t pid;
    guint64 start_ticks;
    gint64 begun_us; /* wall clock */
    ReconcileKind kind;
    char *disk, *before, *after, *origin;
    char *fields;  /* that differ, by name */
    char *refusal; /* why the one before it was refused; NULL */
} Deed;

static void
deed_free(Deed *deed)
{
    g_free(deed->disk);
    g_free(deed->before);
    g_free(deed->after);
    g_free(deed->origin);
    g_free(deed->fields);
    g_free(deed->refusal);
    g_free(deed);
}

Reconciler *
reconciler_new(const Host *host, GMainContext *context, const GPtrArray *vms)
{
    Reconciler *reconciler = g_new0(Reconciler, 1);

    reconciler->host = host;
    reconciler->vms = vms;
    reconciler->group = act_means_group(vms);
    reconciler->drive = act_means_drive(vms);
    reconciler->acts = acts_new(host, context);
    acts_add_means(reconciler->acts, &reconciler->group);
    acts_add_means(reconciler->acts, &reconciler->drive);
    reconciler->qm = act_means_qm(vms);
    acts_add_means(reconciler->acts, &reconciler->qm);
    reconciler->iotune = act_means_iotune(vms);
    acts_add_means(reconciler->acts, &reconciler->iotune);
    return reconciler;
}

void
reconciler_free(Reconciler *reconciler)
{
    if (!reconciler)
        return;
    acts_free(reconciler->acts);
    g_free(reconciler);
}

void
reconciler_set_tell_func(Reconciler *reconciler, ReconcilerTellFunc func, gpointer data)
{
    reconciler->tell = func;
    reconciler->tell_data = data;
}

void
reconciler_forget(Reconciler *reconciler)
{
    for (guint i = 0; reconciler && i < reconciler->vms->len; i++) {
        limits_request_forget(reconciler->vms->pdata[i]);
        act_iotune_forget(reconciler->vms->pdata[i]);
    }
}

static void
vm_forget_refusals(Vm *vm)
{
    vm->limits_unmatched = vm->limits_in_vain = false;
    vm->limits_retry_us = 0;
}

void
reconciler_reset(Reconciler *reconciler)
{
    acts_reset(reconciler->acts);
    for (guint i = 0; i < reconciler->vms->len; i++)
        vm_forget_refusals(reconciler->vms->pdata[i]);
}

static bool
is_enforced(const Vm *vm)
{
    return vm->limits.mode == MODE_ENFORCE && vm->limits.enforce_throttle == MODE_ENFORCE;
}

static Vm *
find_vm(const Deed *deed)
{
    for (guint i = 0; i < deed->reconciler->vms->len; i++) {
        Vm *vm = deed->reconciler->vms->pdata[i];

        if (proc_pid(vm->proc) == deed->pid && proc_start_ticks(vm->proc) == deed->start_ticks)
            return vm;
    }
    return NULL;
}

/* It was tried, and somebody or something said no: another time may do. */
static bool
is_refused(const ActOutcome *outcome)
{
    return outcome->leave == LEAVE_GO && outcome->n_applied == 0 && outcome->names->len > 0;
}

/* Who, as far as any log says. */
static char *
tripped_line(const Deed *deed, const Vm *vm)
{
    gint64 now_us = host_realtime_us(deed->reconciler->host);
    const Write *last = vm ? writers_count(drift_look_writers(vm->drift), now_us).last : NULL;
    bool is_known = last && (last->who || last->what);

    return g_strdup_printf(
        "limits of %s (%s) are written again and again by somebody else, %s%s%s%s: "
        "%s instead of %s; the write budget is spent, and nothing more is "
        "written until the configuration is reloaded",
        deed->disk, deed->fields,
        !is_known   ? "whom no log names"
        : last->who ? last->who
                    : "whom the log does not name",
        is_known && last->what ? " (" : "", is_known && last->what ? last->what : "",
        is_known && last->what ? ")" : "", deed->before, deed->after);
}

/* What holds an act back for a while is no news each time; what went wrong, or tripped, is. */
static char *
deed_line(const Deed *deed, const ActOutcome *outcome, const Vm *vm)
{
    const char *problem = outcome->problem ? outcome->problem : "it does not read back";

    if (outcome->n_applied > 0)
        return g_strdup_printf("limits of %s set%s: %s -> %s, as %s wants it", deed->disk,
                               deed->kind == RECONCILE_CONFIGURATION ? " in the configuration"
                               : deed->kind == RECONCILE_KEEPER      ? " in libvirt"
                                                                     : "",
                               deed->before, deed->after, deed->origin);
    if (outcome->has_tripped)
        return tripped_line(deed, vm);
    if (vm && vm->limits_unmatched)
        return g_strdup_printf("limits of %s could not be set to %s: %s; never tried again",
                               deed->disk, deed->after, problem);
    if (outcome->leave == LEAVE_VAIN)
        return g_strdup_printf("limits of %s could not be set to %s in %d tries (%s); nothing more "
                               "is written until the configuration is reloaded",
                               deed->disk, deed->after, DECIDE_VAIN_MAX,
                               deed->refusal ? deed->refusal : problem);
    if (is_refused(outcome))
        return g_strdup_printf("limits of %s not set to %s: %s; tried again after the cool-down",
                               deed->disk, deed->after, problem);
    return NULL;
}

/* What was written is seen by the next sample, not in a minute, and nobody else wrote it. */
static void
look_again(const Reconciler *reconciler, Vm *vm, const Deed *deed)
{
    writers_add_own(drift_look_writers(vm->drift), deed->begun_us,
                    host_realtime_us(reconciler->host));
    vm->slow_round_us = 0;
    if (deed->kind == RECONCILE_CONFIGURATION)
        vm->limits_stale_us = pve_look_read_us(vm->pve);
    if (deed->kind != RECONCILE_LIVE) { /* and did QEMU follow? */
        drift_look_want(vm);
        vm->limits_asked_us = vm->sample.now_us;
    }
}

static void
note_outcome(const Reconciler *reconciler, Vm *vm, const Deed *deed, const ActOutcome *outcome)
{
    g_free(vm->reconcile_problem);
    vm->reconcile_problem = outcome->problem ? units_printable(outcome->problem, -1) : NULL;
    vm->limits_in_vain = outcome->leave == LEAVE_VAIN;
    if (is_refused(outcome))
        vm->limits_retry_us = vm->sample.now_us + vm->limits.act_cool_down_us;
    if (outcome->names->len > 0)
        look_again(reconciler, vm, deed);
}

/* What will be tried again is none. */
static bool
is_alert(const ActOutcome *outcome, const Vm *vm)
{
    return outcome->n_applied == 0 && (!is_refused(outcome) || vm->limits_unmatched);
}

static void
deed_done(const ActOutcome *outcome, gpointer data)
{
    Deed *deed = data;
    Reconciler *reconciler = deed->reconciler;
    Vm *vm = find_vm(deed);
    g_autofree char *line = deed_line(deed, outcome, vm);

    if (vm) /* else it ended meanwhile, and nobody asks */
        note_outcome(reconciler, vm, deed, outcome);
    if (vm && line && reconciler->tell)
        reconciler->tell(vm, line, is_alert(outcome, vm), reconciler->tell_data);
    deed_free(deed);
}

static const char *
origin_of(const Vm *vm, const char *name)
{
    const GPtrArray *policies = drift_look_policies(vm->drift);

    for (guint i = 0; policies && i < policies->len; i++)
        if (strcmp(((const ConfigDisk *)policies->pdata[i])->name, name) == 0)
            return ((const ConfigDisk *)policies->pdata[i])->origin;
    return "the policy";
}

static ActRecord *
record_live(const Vm *vm, const DriftDisk *disk)
{
    const ArgvDisk *argv = vm_limited_disk(vm, disk->name);
    bool is_group = strcmp(disk->live_source, DRIFT_LIVE_GROUP) == 0;
    ActRecord *record =
        act_record_new(vm, ACT_KIND_THROTTLE, is_group ? ACT_MEANS_GROUP : ACT_MEANS_DRIVE);

    record->where = is_group && !argv->is_group_object
                        ? g_strconcat("throttle-drive-", disk->name, NULL)
                        : g_strdup(is_group ? argv->throttle_group : argv->drive);
    return record;
}

static ActRecord *
record_new(const Vm *vm, const DriftDisk *disk, const Deed *deed)
{
    const char *means = deed->kind == RECONCILE_KEEPER ? ACT_MEANS_IOTUNE : ACT_MEANS_QM;
    ActRecord *record = deed->kind == RECONCILE_LIVE ? record_live(vm, disk)
                                                     : act_record_new(vm, ACT_KIND_THROTTLE, means);

    if (deed->kind != RECONCILE_LIVE)
        record->where = g_strdup(disk->name);
    record->field = g_strdup(ACT_FIELD_LIMITS);
    record->old_value = g_strdup(deed->before);
    record->new_value = g_strdup(deed->after);
    record->undo_value = g_strdup(deed->before);
    record->why = g_strdup_printf("%s wants other limits for %s", deed->origin, disk->name);
    record->by = g_strdup(ACT_BY_DAEMON);
    return record;
}

/* "bps_write, iops_read"; a new string. */
static char *
fields_of(const Drift *drift)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < DRIFT_N_FIELDS; i++)
        if (drift_pair_differs(drift, DRIFT_POLICY, DRIFT_CONFIGURATION, i) ||
            drift_pair_differs(drift, DRIFT_POLICY, DRIFT_LIVE, i))
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", drift_field_name(i));
    return g_string_free(text, FALSE);
}

static char *
value_before(const DriftDisk *disk, ReconcileKind kind)
{
    if (kind == RECONCILE_KEEPER)
        return act_iotune_value(disk->sides[DRIFT_LIVE], disk->sides[DRIFT_CONFIGURATION]);
    return limits_print(disk->sides[kind == RECONCILE_LIVE ? DRIFT_LIVE : DRIFT_CONFIGURATION]);
}

static void
begin(Reconciler *reconciler, Vm *vm, const DriftDisk *disk, ReconcileKind kind)
{
    GPtrArray *steps = act_steps_new();
    Deed *deed = g_new0(Deed, 1);
    ActTerms terms = {.is_enforced = is_enforced(vm),
                      .is_suspect = act_is_suspect(vm, reconciler->vms),
                      .cool_down_us = vm->limits.act_cool_down_us,
                      .budget_vm = (guint)vm->limits.act_writes_vm,
                      .budget_host = (guint)vm->limits.act_writes_host};

    deed->reconciler = reconciler;
    deed->pid = proc_pid(vm->proc);
    deed->start_ticks = proc_start_ticks(vm->proc);
    deed->disk = g_strdup(disk->name);
    deed->begun_us = host_realtime_us(reconciler->host);
    deed->kind = kind;
    deed->before = value_before(disk, kind);
    deed->after = limits_print(disk->sides[DRIFT_POLICY]);
    deed->origin = g_strdup(origin_of(vm, disk->name));
    deed->fields = fields_of(&disk->drift);
    deed->refusal = g_strdup(vm->reconcile_problem);
    g_ptr_array_add(steps, record_new(vm, disk, deed));
    acts_begin(reconciler->acts, &terms, steps, deed_done, deed);
}

/* Since when has nothing been wrong with it? */
static void
note_calm(const Reconciler *reconciler, Vm *vm)
{
    bool is_calm = vm->has_sample && vm->sample.monitor == MONITOR_ANSWERED &&
                   vm->sample.run == RUN_RUNNING && !act_is_suspect(vm, reconciler->vms);

    if (!is_calm)
        vm->calm_since_us = 0;
    else if (vm->calm_since_us == 0)
        vm->calm_since_us = vm->sample.now_us;
}

/* QEMU's own word about limits of the old kind, where that is what holds an act back. */
static void
ask_again(Vm *vm, const DriftDisk *disk)
{
    bool is_unknown = disk->sides[DRIFT_POLICY] && !disk->sides[DRIFT_LIVE];
    bool is_old = g_strcmp0(disk->live_source, DRIFT_LIVE_START) == 0;

    if (!is_enforced(vm) || (!is_unknown && !is_old) || drift_look_is_open(vm->drift) ||
        (vm->limits_asked_us > 0 && vm->sample.now_us - vm->limits_asked_us < ASK_AGAIN_US))
        return;
    vm->limits_asked_us = vm->sample.now_us;
    drift_look_want(vm);
}

/* From before our last write, or about to be known anew. */
static bool
knows_old_limits(const Vm *vm)
{
    return drift_look_is_open(vm->drift) ||
           (vm->limits_stale_us > 0 && pve_look_read_us(vm->pve) == vm->limits_stale_us);
}

bool
reconciler_is_busy(const Reconciler *reconciler, const Vm *vm)
{
    return vm->limits_request ||
           acts_is_busy(reconciler->acts, proc_pid(vm->proc), proc_start_ticks(vm->proc));
}

void
reconciler_consider(Reconciler *reconciler, Vm *vm)
{
    const GPtrArray *policies = drift_look_policies(vm->drift);
    g_autoptr(GPtrArray) disks = NULL;

    note_calm(reconciler, vm);
    if (!policies || policies->len == 0 || !is_enforced(vm) || vm->limits_unmatched ||
        vm->limits_in_vain || vm->sample.now_us < vm->limits_retry_us || knows_old_limits(vm) ||
        reconciler_is_busy(reconciler, vm))
        return;
    disks = drift_look_disks(vm, host_realtime_us(reconciler->host));
    for (guint i = 0; i < disks->len; i++) {
        const DriftDisk *disk = disks->pdata[i];
        ReconcilePlan plan = reconciler_plan(vm, reconciler->vms, disk);

        if (plan.kind >= RECONCILE_LIVE) {
            begin(reconciler, vm, disk, plan.kind);
            return; /* at most one act per VM and tick */
        }
        if (plan.kind == RECONCILE_LEAVE || !disk->sides[DRIFT_LIVE])
            ask_again(vm, disk);
    }
}
