/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-private.h"

#include <string.h>

#define ENDING "the guardian ends: the rest is not done"

static void
run_free(gpointer data)
{
    Run *run = data;

    g_clear_pointer(&run->steps, g_ptr_array_unref);
    g_ptr_array_unref(run->settled);
    g_ptr_array_unref(run->names);
    g_free(run->load_problem);
    g_free(run);
}

Acts *
acts_new(const Host *host, GMainContext *context)
{
    Acts *acts = g_new0(Acts, 1);

    acts->host = host;
    acts->context = g_main_context_ref(context);
    acts->started_us = host_realtime_us(host);
    acts->journal = act_journal_new(host, context);
    acts->children = children_new(context);
    acts->means = g_ptr_array_new();
    acts->runs = g_ptr_array_new();
    acts->tripped = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    acts_add_means(acts, &act_means_cgroup);
    acts_add_means(acts, &act_means_systemd);
    acts_add_means(acts, &act_means_libvirt);
    acts_add_means(acts, &act_means_process);
    return acts;
}

void
acts_free(Acts *acts)
{
    if (!acts)
        return;
    acts->is_ending = true;
    children_free(acts->children); /* ends every call to a means, and with it most runs */
    act_journal_free(acts->journal);
    g_assert(acts->runs->len == 0);
    g_ptr_array_unref(acts->runs);
    g_ptr_array_unref(acts->means);
    g_hash_table_unref(acts->tripped);
    g_main_context_unref(acts->context);
    g_free(acts);
}

void
acts_add_means(Acts *acts, const ActMeans *means)
{
    g_ptr_array_add(acts->means, (gpointer)means);
}

const ActJournal *
acts_journal(const Acts *acts)
{
    return acts->journal;
}

bool
acts_is_ending(const Acts *acts)
{
    return acts->is_ending;
}

void
acts_reset(Acts *acts)
{
    g_hash_table_remove_all(acts->tripped);
    acts->host_is_tripped = false;
    acts->looked_us = host_boottime_us(acts->host);
}

const ActMeans *
acts_find_means(const Acts *acts, const char *name)
{
    for (guint i = 0; i < acts->means->len; i++) {
        const ActMeans *means = acts->means->pdata[i];

        if (strcmp(means->name, name) == 0)
            return means;
    }
    return NULL;
}

bool
act_is_same_value(const ActMeans *means, const ActRecord *record, const char *a, const char *b)
{
    return means->is_same ? means->is_same(record->field, a, b) : strcmp(a, b) == 0;
}

/* The end of a run. */

static void
run_end(Run *run, ActLeave leave, bool has_tripped, const char *problem)
{
    ActOutcome outcome = {.leave = leave,
                          .has_tripped = has_tripped,
                          .names = run->names,
                          .n_applied = run->n_applied,
                          .problem = problem};

    g_ptr_array_remove(run->acts->runs, run);
    run->done(&outcome, run->data);
    run_free(run);
}

void
run_call(Run *run, const ActRecord *record, bool is_read_only, ActCallEndFunc end)
{
    const ActMeans *means = acts_find_means(run->acts, record->means);

    run->call = (ActCall){.host = run->acts->host,
                          .means = means,
                          .context = run->acts->context,
                          .children = run->acts->children,
                          .record = record,
                          .is_read_only = is_read_only,
                          .end = end,
                          .data = run};
    means->run(&run->call);
}

/* Writing: each of these is called back by the one before. */

static void run_next(Run *run);

void
act_call_end(ActCall *call, bool was_written, const char *value, const char *problem)
{
    call->end(call, was_written, value, problem);
}

static void
on_committed(const char *problem, gpointer data)
{
    Run *run = data;
    const ActRecord *record = run->record;

    run->record = NULL;
    if (record->state != ACT_APPLIED) {
        g_autofree char *held = g_strdup(record->problem);

        run_end(run, LEAVE_GO, false, held);
        return;
    }
    run->n_applied++;
    act_journal_take_back(run->acts->journal, record);
    run_next(run);
}

static void
on_written(ActCall *call, bool was_written, const char *value, const char *problem)
{
    Run *run = call->data;
    const ActRecord *record = run->record;
    const ActMeans *means = acts_find_means(run->acts, record->means);
    bool is_applied =
        was_written && value && act_is_same_value(means, record, value, record->new_value);
    g_autofree char *differs = NULL;
    ActState state = is_applied ? ACT_APPLIED : was_written ? ACT_FAILED : ACT_NOT_DONE;

    if (!is_applied && was_written && value) {
        differs = g_strdup_printf("%s reads back as %s, not as %s", record->field, value,
                                  record->new_value);
        /* the kernel refused: what was in force still is */
        if (act_is_same_value(means, record, value, record->old_value))
            state = ACT_NOT_DONE;
    }
    act_journal_update(run->acts->journal, run->record, state, value,
                       is_applied ? NULL
                       : differs  ? differs
                                  : problem,
                       on_committed, run);
}

static void
on_intended(const char *problem, gpointer data)
{
    Run *run = data;

    if (problem) {
        run->record = NULL; /* the journal has let it go */
        run_end(run, LEAVE_GO, false, problem);
        return;
    }
    if (run->acts->is_ending) {
        run_end(run, LEAVE_GO, false, ENDING);
        return;
    }
    g_ptr_array_add(run->names, g_strdup(run->record->name));
    run_call(run, run->record, false, on_written);
}

/* Somebody has put back already what was to be: it is told, and not written. */
static void
on_found_undone(const char *problem, gpointer data)
{
    Run *run = data;

    if (problem) {
        run->record = NULL; /* the journal has let it go */
        run_end(run, LEAVE_GO, false, problem);
        return;
    }
    g_ptr_array_add(run->names, g_strdup(run->record->name));
    act_journal_update(run->acts->journal, run->record, ACT_APPLIED, run->record->new_value, NULL,
                       on_committed, run);
}

/* An intent says that the old value was in force when it was written down: what an interrupted
 * write finds afterwards is measured by it. */
static void
on_checked(ActCall *call, bool was_written, const char *value, const char *problem)
{
    Run *run = call->data;
    const ActRecord *step = call->record;
    const ActMeans *means = acts_find_means(run->acts, step->means);
    bool is_undone =
        step->undoes && value && act_is_same_value(means, step, value, step->new_value);
    g_autofree char *differs = NULL;

    if (value && !is_undone && !act_is_same_value(means, step, value, step->old_value))
        differs = g_strdup_printf("%s was changed meanwhile, to %s", step->field, value);
    if (!value || differs || run->acts->is_ending) {
        run_end(run, LEAVE_GO, false, differs ? differs : problem ? problem : ENDING);
        return;
    }
    run->record = g_steal_pointer(&run->steps->pdata[run->next]);
    run->next++;
    act_journal_add(run->acts->journal, run->record, is_undone ? on_found_undone : on_intended,
                    run);
}

static void
run_next(Run *run)
{
    if (run->next == run->steps->len)
        run_end(run, LEAVE_GO, false, NULL);
    else if (run->acts->is_ending)
        run_end(run, LEAVE_GO, false, ENDING);
    else
        run_call(run, run->steps->pdata[run->next], true, on_checked);
}

void
run_start(Run *run)
{
    bool has_tripped;
    ActLeave leave;

    if (!run->steps) {
        run_end(run, LEAVE_GO, false, run->load_problem);
        return;
    }
    for (guint i = 0; i < run->steps->len; i++) {
        const ActRecord *step = run->steps->pdata[i];

        if (acts_find_means(run->acts, step->means))
            continue;
        run_end(run, LEAVE_GO, false, "there is no such means of writing");
        return;
    }
    leave = run_leave(run, &has_tripped);
    if (leave == LEAVE_GO)
        run_next(run);
    else
        run_end(run, leave, has_tripped, act_leave_reason(leave));
}

/* The doors. */

static Run *
run_new(Acts *acts, ActsDoneFunc done, gpointer data)
{
    Run *run = g_new0(Run, 1);

    run->acts = acts;
    run->settled = g_ptr_array_new_with_free_func(g_free);
    run->names = g_ptr_array_new_with_free_func(g_free);
    run->done = done;
    run->data = data;
    g_ptr_array_add(acts->runs, run);
    return run;
}

bool
acts_is_busy(const Acts *acts, pid_t pid, guint64 start_ticks)
{
    for (guint i = 0; i < acts->runs->len; i++) {
        const Run *run = acts->runs->pdata[i];

        if (run->steps && run->pid == pid && run->start_ticks == start_ticks)
            return true;
    }
    return false;
}

void
acts_load(Acts *acts, ActsDoneFunc done, gpointer data)
{
    run_load(run_new(acts, done, data));
}

void
acts_begin(Acts *acts, const ActTerms *terms, GPtrArray *steps, ActsDoneFunc done, gpointer data)
{
    const ActSubject *subject = &((const ActRecord *)steps->pdata[0])->subject;
    Run *run = run_new(acts, done, data);
    ActLeave leave;

    run->terms = *terms;
    run->pid = subject->pid;
    run->start_ticks = subject->start_ticks;
    run->is_behind = acts_is_busy(acts, subject->pid, subject->start_ticks);
    run->steps = steps;
    leave = run_leave_at_once(run);
    if (leave == LEAVE_GO)
        run_load(run);
    else
        run_end(run, leave, false, act_leave_reason(leave));
}

GPtrArray *
acts_undo_plan(const Acts *acts, pid_t pid, guint64 start_ticks, const char *kind)
{
    const GPtrArray *records = act_journal_records(acts->journal);
    GPtrArray *plan = act_steps_new();

    for (guint i = records->len; i-- > 0;) {
        const ActRecord *record = records->pdata[i];

        if (record->state == ACT_APPLIED && !record->undoes &&
            act_record_is_of(record, pid, start_ticks) &&
            (!kind || strcmp(record->kind, kind) == 0))
            g_ptr_array_add(plan, act_record_undo(record));
    }
    return plan;
}
