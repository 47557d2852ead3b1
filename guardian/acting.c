/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acting.h"

#include "act-limit.h"
#include "meminfo.h"
#include "memory-watch.h"
#include "units.h"

#include <string.h>

/* A plan that had no leave, or did not work out, is looked at again after this: each try reads the
 * whole journal. */
#define RETRY_US (30 * G_USEC_PER_SEC)

/* What others wrote is told a minute later: a child reads the whole journal. */
#define LOAD_US (60 * G_USEC_PER_SEC)

/* What was last told of one VM, and when it is worth looking again. */
typedef struct {
    char *line;
    char *problem;   /* that is alerted; NULL none */
    bool is_settled; /* whether there is one was told */
    gint64 retry_us;
    gint64 seen_us;
} Memory;

struct Acting {
    const Host *host;
    Acts *acts;
    GHashTable *memories; /* "pid:start" -> Memory */
    ActingSpeakFunc speak;
    ActingAlertFunc alert;
    gpointer data, alert_data;
    gint64 loaded_us;
    bool is_loading;
};

/* A plan under way. */
typedef struct {
    Acting *acting;
    char *key, *vm, *summary;
    pid_t pid;
    guint64 start_ticks;
    const GPtrArray *vms; /* of Vm: is it still there? */
} Errand;

static void
memory_free(gpointer data)
{
    Memory *memory = data;

    g_free(memory->line);
    g_free(memory->problem);
    g_free(memory);
}

static char *
key_of(const Vm *vm)
{
    return g_strdup_printf("%d:%" G_GUINT64_FORMAT, (int)proc_pid(vm->proc),
                           proc_start_ticks(vm->proc));
}

static Memory *
memory_of(Acting *acting, const char *key)
{
    Memory *memory = g_hash_table_lookup(acting->memories, key);

    if (!memory) {
        memory = g_new0(Memory, 1);
        g_hash_table_insert(acting->memories, g_strdup(key), memory);
    }
    return memory;
}

/* Each thing once. */
static void
tell(Acting *acting, const char *key, const char *line, bool is_bad)
{
    Memory *memory = memory_of(acting, key);

    if (g_strcmp0(memory->line, line) == 0)
        return;
    g_free(memory->line);
    memory->line = g_strdup(line);
    acting->speak(line, is_bad, acting->data);
}

static void
on_loaded(const ActOutcome *outcome, gpointer data)
{
    Acting *acting = data;
    g_autofree char *line =
        outcome->problem ? g_strdup_printf("the journal of acts: %s", outcome->problem) : NULL;

    acting->is_loading = false;
    if (line && !acts_is_ending(acting->acts))
        tell(acting, "journal", line, true);
}

static void
journal_load(Acting *acting)
{
    acting->is_loading = true;
    acting->loaded_us = host_monotonic_us(acting->host);
    acts_load(acting->acts, on_loaded, acting);
}

Acting *
acting_new(const Host *host, GMainContext *context, ActingSpeakFunc speak, gpointer data)
{
    Acting *acting = g_new0(Acting, 1);

    acting->host = host;
    acting->acts = acts_new(host, context);
    acting->memories = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, memory_free);
    acting->speak = speak;
    acting->data = data;
    journal_load(acting);
    return acting;
}

void
acting_set_alert_func(Acting *acting, ActingAlertFunc alert, gpointer data)
{
    acting->alert = alert;
    acting->alert_data = data;
}

void
acting_free(Acting *acting)
{
    if (!acting)
        return;
    acts_free(acting->acts);
    g_hash_table_unref(acting->memories);
    g_free(acting);
}

Acts *
acting_acts(Acting *acting)
{
    return acting->acts;
}

void
acting_reset(Acting *acting)
{
    acts_reset(acting->acts);
    g_hash_table_remove_all(acting->memories);
}

/* problem NULL: there is none. Each change once. */
static void
settle(Acting *acting, const Vm *vm, const char *key, const char *problem)
{
    Memory *memory = memory_of(acting, key);

    if (memory->is_settled && g_strcmp0(memory->problem, problem) == 0)
        return;
    memory->is_settled = true;
    g_free(memory->problem);
    memory->problem = g_strdup(problem);
    if (acting->alert)
        acting->alert(vm, problem, acting->alert_data);
}

/* The VM of an errand, if it is still there; NULL. */
static const Vm *
errand_vm(const Errand *errand)
{
    for (guint i = 0; i < errand->vms->len; i++) {
        const Vm *vm = errand->vms->pdata[i];

        if (proc_pid(vm->proc) == errand->pid && proc_start_ticks(vm->proc) == errand->start_ticks)
            return vm;
    }
    return NULL;
}

/* Is it of those that nothing but a person ends? A suspicion and a cool-down end by themselves, and
 * who took it back knows of it. */
static bool
is_for_good(ActLeave leave)
{
    return leave == LEAVE_FAILED || leave == LEAVE_VAIN || leave == LEAVE_TRIPPED ||
           leave == LEAVE_BUDGET_VM || leave == LEAVE_BUDGET_HOST;
}

static void
errand_settle(const Errand *errand, const ActOutcome *outcome)
{
    const Vm *vm = errand_vm(errand);

    if (!vm || acts_is_ending(errand->acting->acts))
        return;
    if (outcome->leave == LEAVE_GO || is_for_good(outcome->leave))
        settle(errand->acting, vm, errand->key, outcome->problem);
}

/* "<group> 208Mi -> 272Mi, ..." */
static char *
steps_summary(const GPtrArray *steps)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < steps->len; i++) {
        const ActRecord *step = steps->pdata[i];
        g_autofree char *where = units_printable_path(step->where);
        guint64 before = 0, after = 0;
        g_autofree char *from = NULL, *to = NULL;

        (void)cgroup_parse_bytes(step->old_value, &before);
        (void)cgroup_parse_bytes(step->new_value, &after);
        from = units_format_size(before);
        to = units_format_size(after);
        g_string_append_printf(text, "%s%s %s %s -> %s", i > 0 ? ", " : "", where, step->field,
                               from, to);
    }
    return g_string_free(text, FALSE);
}

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    Errand *errand = data;
    Acting *acting = errand->acting;
    bool is_done = outcome->leave == LEAVE_GO && !outcome->problem;
    g_autofree char *line = NULL;

    if (is_done)
        line = g_strdup_printf("%s: memory limits raised: %s; undo: guardianctl limits undo %s",
                               errand->vm, errand->summary, errand->vm);
    else if (outcome->leave == LEAVE_GO)
        line = g_strdup_printf("%s: memory limits not raised (%u written): %s", errand->vm,
                               outcome->n_applied, outcome->problem);
    else
        line = g_strdup_printf(
            "%s: memory limits are too small, and not raised: %s%s", errand->vm, outcome->problem,
            outcome->has_tripped ? " (somebody writes the old value back?)" : "");
    if (is_done)
        acting->speak(line, false, acting->data); /* each write is told */
    else if (!acts_is_ending(acting->acts))
        tell(acting, errand->key, line, true);
    errand_settle(errand, outcome);
    g_free(errand->key);
    g_free(errand->vm);
    g_free(errand->summary);
    g_free(errand);
}

static void
carry_out(Acting *acting, const Vm *vm, const GPtrArray *vms, const ActTerms *terms,
          GPtrArray *steps)
{
    Errand *errand = g_new0(Errand, 1);

    errand->acting = acting;
    errand->key = key_of(vm);
    errand->vm = g_strdup(vm->name);
    errand->pid = proc_pid(vm->proc);
    errand->start_ticks = proc_start_ticks(vm->proc);
    errand->vms = vms;
    errand->summary = steps_summary(steps);
    acts_begin(acting->acts, terms, steps, on_done, errand);
}

/* The VM is doomed. */
static void
consider_limits(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits,
                const char *key)
{
    ActTerms terms = act_limit_terms(vm, host_limits, vms);
    HostMemory host;
    bool has_host = meminfo_read(acting->host, &host);
    LimitsInput input;
    LimitsPlan plan;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) steps = NULL;
    g_autofree char *refusal = NULL, *line = NULL, *summary = NULL;

    act_limit_input(vm, acts_journal(acting->acts), has_host ? &host : NULL, &input);
    plan = limits_plan(&input);
    if (plan.refusal)
        refusal = act_limit_refusal(vm, &plan);
    else
        steps = act_limit_steps(vm, &input, &plan, ACT_BY_DAEMON, &error);
    if (!plan.refusal && !steps)
        refusal = units_printable(error->message, -1);
    if (refusal) {
        line = g_strdup_printf("%s: memory limits cannot be raised: %s", vm->name, refusal);
        tell(acting, key, line, true);
    } else if (steps->len > 0 && !terms.is_enforced) {
        summary = steps_summary(steps);
        line = g_strdup_printf("%s: observe, not written: %s; to do it: guardianctl limits apply "
                               "%s --yes",
                               vm->name, summary, vm->name);
        tell(acting, key, line, false);
    } else if (steps->len > 0) {
        carry_out(acting, vm, vms, &terms, g_steal_pointer(&steps));
    }
}

static gboolean
is_forgotten(gpointer key, gpointer value, gpointer now)
{
    return ((const Memory *)value)->seen_us + 60 * RETRY_US < *(const gint64 *)now;
}

void
acting_follow(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits)
{
    gint64 now = host_monotonic_us(acting->host);
    g_autofree char *key = NULL;
    Memory *memory;

    if (!acting->is_loading && now - acting->loaded_us >= LOAD_US)
        journal_load(acting);
    if (vm->sample.process_is_gone || !vm->cgroup)
        return;
    key = key_of(vm);
    g_hash_table_foreach_remove(acting->memories, is_forgotten, &now);
    memory = memory_of(acting, key);
    memory->seen_us = now;
    if (vm->memory_watch->pressure.verdict.level < PRESSURE_DOOMED) {
        settle(acting, vm, key, NULL);
        return;
    }
    if (now < memory->retry_us ||
        acts_is_busy(acting->acts, proc_pid(vm->proc), proc_start_ticks(vm->proc)))
        return;
    memory->retry_us = now + RETRY_US;
    consider_limits(acting, vm, vms, host_limits, key);
}
