/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-errand.h"

#include <string.h>

/* Longer than any retry: what was not asked for so long is gone. */
#define FORGET_US (3600 * (gint64)G_USEC_PER_SEC)
/* A plan that is only told moves with each page: other numbers alone are told again after this. */
#define OBSERVE_US (600 * (gint64)G_USEC_PER_SEC)

/* What was last told of one VM and kind, and when it is worth looking again. */
typedef struct {
    char *line;
    char *places; /* where the plan of that line would write; NULL: it told of no plan */
    gint64 told_us;
    char *problem;   /* that is alerted; NULL none */
    bool is_settled; /* whether there is one was told */
    gint64 due_us;
    gint64 seen_us;
} Memory;

struct Errands {
    const Host *host;
    Acts *acts;
    GHashTable *memories; /* "kind:pid:start" -> Memory */
    ActingSpeakFunc speak;
    ActingAlertFunc alert;
    gpointer data, alert_data;
};

/* A plan under way. */
typedef struct {
    Errands *errands;
    const ErrandWords *words;
    char *vm, *summary;
    pid_t pid;
    guint64 start_ticks;
    const GPtrArray *vms; /* of Vm: is it still there? */
} Errand;

static void
memory_free(gpointer data)
{
    Memory *memory = data;

    g_free(memory->line);
    g_free(memory->places);
    g_free(memory->problem);
    g_free(memory);
}

static Memory *
memory_of(Errands *errands, pid_t pid, guint64 start_ticks, const char *kind)
{
    g_autofree char *key = g_strdup_printf("%s:%d:%" G_GUINT64_FORMAT, kind, (int)pid, start_ticks);
    Memory *memory = g_hash_table_lookup(errands->memories, key);

    if (!memory) {
        memory = g_new0(Memory, 1);
        memory->seen_us = host_monotonic_us(errands->host);
        g_hash_table_insert(errands->memories, g_steal_pointer(&key), memory);
    }
    return memory;
}

static Memory *
memory_of_vm(Errands *errands, const Vm *vm, const char *kind)
{
    return vm ? memory_of(errands, proc_pid(vm->proc), proc_start_ticks(vm->proc), kind)
              : memory_of(errands, 0, 0, kind);
}

Errands *
errands_new(const Host *host, Acts *acts, ActingSpeakFunc speak, gpointer data)
{
    Errands *errands = g_new0(Errands, 1);

    errands->host = host;
    errands->acts = acts;
    errands->memories = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, memory_free);
    errands->speak = speak;
    errands->data = data;
    return errands;
}

void
errands_set_alert_func(Errands *errands, ActingAlertFunc alert, gpointer data)
{
    errands->alert = alert;
    errands->alert_data = data;
}

void
errands_free(Errands *errands)
{
    if (!errands)
        return;
    g_hash_table_unref(errands->memories);
    g_free(errands);
}

void
errands_reset(Errands *errands)
{
    g_hash_table_remove_all(errands->memories);
}

static gboolean
is_forgotten(gpointer key, gpointer value, gpointer now)
{
    return ((const Memory *)value)->seen_us + FORGET_US < *(const gint64 *)now;
}

bool
errands_is_due(Errands *errands, const Vm *vm, const char *kind, gint64 retry_us)
{
    gint64 now = host_monotonic_us(errands->host);
    Memory *memory = memory_of_vm(errands, vm, kind);

    memory->seen_us = now;
    g_hash_table_foreach_remove(errands->memories, is_forgotten, &now);
    if (now < memory->due_us ||
        acts_is_busy(errands->acts, proc_pid(vm->proc), proc_start_ticks(vm->proc)))
        return false;
    memory->due_us = now + retry_us;
    return true;
}

static void
tell(Errands *errands, Memory *memory, const char *line, bool is_bad)
{
    if (g_strcmp0(memory->line, line) == 0)
        return;
    g_free(memory->line);
    memory->line = g_strdup(line);
    g_clear_pointer(&memory->places, g_free);
    memory->told_us = host_monotonic_us(errands->host);
    errands->speak(line, is_bad, errands->data);
}

void
errands_tell(Errands *errands, const Vm *vm, const char *kind, const char *line, bool is_bad)
{
    tell(errands, memory_of_vm(errands, vm, kind), line, is_bad);
}

void
errands_settle(Errands *errands, const Vm *vm, const char *kind, const char *problem)
{
    Memory *memory = memory_of_vm(errands, vm, kind);

    if (memory->is_settled && g_strcmp0(memory->problem, problem) == 0)
        return;
    memory->is_settled = true;
    g_free(memory->problem);
    memory->problem = g_strdup(problem);
    if (errands->alert)
        errands->alert(vm, kind, problem, errands->alert_data);
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

static void
errand_settle(const Errand *errand, const ActOutcome *outcome)
{
    const Vm *vm = errand_vm(errand);

    if (!vm || acts_is_ending(errand->errands->acts))
        return;
    if (outcome->leave == LEAVE_GO || act_leave_is_for_good(outcome->leave))
        errands_settle(errand->errands, vm, errand->words->kind, outcome->problem);
}

/* "memory.max of <group> 208Mi -> 272Mi, ..." */
static char *
steps_summary(const GPtrArray *steps)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < steps->len; i++) {
        const ActRecord *step = steps->pdata[i];
        g_autofree char *where = act_where_words(step->means, step->where);
        g_autofree char *from = act_value_words(step->field, step->old_value);
        g_autofree char *to = act_value_words(step->field, step->new_value);

        g_string_append_printf(text, "%s%s %s %s -> %s", i > 0 ? ", " : "", where, step->field,
                               from, to);
    }
    return g_string_free(text, FALSE);
}

static void
errand_free(Errand *errand)
{
    g_free(errand->vm);
    g_free(errand->summary);
    g_free(errand);
}

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    Errand *errand = data;
    Errands *errands = errand->errands;
    const ErrandWords *words = errand->words;
    Memory *memory = memory_of(errands, errand->pid, errand->start_ticks, words->kind);
    bool is_done = outcome->leave == LEAVE_GO && !outcome->problem;
    bool is_bad =
        words->is_urgent || outcome->leave == LEAVE_GO || act_leave_is_for_good(outcome->leave);
    g_autofree char *line = NULL;

    if (is_done)
        line = g_strdup_printf("%s: %s: %s; undo: guardianctl limits undo %s", errand->vm,
                               words->done, errand->summary, errand->vm);
    else if (outcome->leave == LEAVE_GO)
        line = g_strdup_printf("%s: %s (%u written): %s", errand->vm, words->failed,
                               outcome->n_applied, outcome->problem);
    else
        line =
            g_strdup_printf("%s: %s: %s%s", errand->vm, words->held, outcome->problem,
                            outcome->has_tripped ? " (somebody writes the old value back?)" : "");
    if (is_done)
        errands->speak(line, false, errands->data); /* each write is told */
    else if (!acts_is_ending(errands->acts))
        tell(errands, memory, line, is_bad);
    errand_settle(errand, outcome);
    errand_free(errand);
}

void
errands_begin(Errands *errands, const Vm *vm, const GPtrArray *vms, const ErrandWords *words,
              const ActTerms *terms, GPtrArray *steps)
{
    Errand *errand = g_new0(Errand, 1);

    errand->errands = errands;
    errand->words = words;
    errand->vm = g_strdup(vm->name);
    errand->pid = proc_pid(vm->proc);
    errand->start_ticks = proc_start_ticks(vm->proc);
    errand->vms = vms;
    errand->summary = steps_summary(steps);
    acts_begin(errands->acts, terms, steps, on_done, errand);
}

static char *
steps_places(const GPtrArray *steps)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < steps->len; i++) {
        const ActRecord *step = steps->pdata[i];

        g_string_append_printf(text, "%s %s\n", step->where, step->field);
    }
    return g_string_free(text, FALSE);
}

void
errands_observe(Errands *errands, const Vm *vm, const char *kind, const GPtrArray *steps)
{
    g_autofree char *summary = steps_summary(steps);
    g_autofree char *line = g_strdup_printf("%s: observe, not written: %s; to do it: guardianctl "
                                            "limits apply %s --yes",
                                            vm->name, summary, vm->name);
    g_autofree char *places = steps_places(steps);
    Memory *memory = memory_of_vm(errands, vm, kind);

    if (g_strcmp0(memory->places, places) == 0 &&
        host_monotonic_us(errands->host) - memory->told_us < OBSERVE_US)
        return;
    tell(errands, memory, line, false);
    g_free(memory->places);
    memory->places = g_steal_pointer(&places);
}
