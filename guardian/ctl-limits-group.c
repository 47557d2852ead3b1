/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-limits-group.h"

#include "act.h"
#include "lifting.h"
#include "report-build.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    bool is_done;
    guint n_applied;
    char *problem; /* NULL: all went well */
} Outcome;

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    Outcome *mine = data;

    mine->is_done = true;
    mine->n_applied = outcome->n_applied;
    g_free(mine->problem);
    mine->problem = g_strdup(outcome->problem);
}

static void
outcome_wait(Outcome *outcome, GMainContext *context)
{
    while (!outcome->is_done)
        g_main_context_iteration(context, TRUE);
    outcome->is_done = false;
}

/* The newest write to the group that is still in force, turned round; NULL. */
static ActRecord *
undo_find(const Acts *acts, const char *group)
{
    const GPtrArray *records = act_journal_records(acts_journal(acts));

    for (guint i = records->len; i-- > 0;) {
        const ActRecord *record = records->pdata[i];
        g_autofree char *label = units_printable_path(record->where);
        ActRecord *undo;

        if (record->state != ACT_APPLIED || record->undoes ||
            strcmp(record->kind, ACT_KIND_HIGH) != 0 || strcmp(label, group) != 0)
            continue;
        undo = act_record_undo(record);
        undo->by = g_strdup(ACT_BY_ADMINISTRATOR);
        undo->why = g_strdup("taken back");
        return undo;
    }
    return NULL;
}

static void
print(const CtlOptions *options, const char *label, const char *change, const Outcome *outcome)
{
    bool is_applied = outcome->n_applied > 0;

    if (options->is_json) {
        g_autoptr(JsonBuilder) builder = ctl_begin_json();

        build_text(builder, "group", label);
        build_text(builder, "change", change);
        build_bool(builder, "applied", is_applied);
        build_text(builder, "outcome", outcome->problem);
        ctl_end_json(builder);
        return;
    }
    if (change)
        printf("%s  %s: %s\n", is_applied ? "written " : "to write", label, change);
    else if (!outcome->problem)
        printf("%s: nothing of ours is to be taken back\n", label);
    if (outcome->problem)
        printf("%s: %s\n", label, outcome->problem);
}

int
ctl_limits_undo_group(const CtlOptions *options, const Host *host, Config *config,
                      const char *group, bool is_yes)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Acts) acts = acts_new(host, context);
    g_autofree char *label = units_printable_path(group), *change = NULL;
    Outcome outcome = {0};
    ActRecord *undo;
    g_auto(Limits) limits;
    bool may;

    config_limits(config, NULL, &limits);
    may = is_yes || (limits.mode == MODE_ENFORCE && limits.enforce_memory_high == MODE_ENFORCE);
    config_free(config);
    acts_load(acts, on_done, &outcome);
    outcome_wait(&outcome, context);
    undo = undo_find(acts, group);
    if (undo)
        change = g_strdup_printf("%s %s -> %s", undo->field, undo->old_value, undo->new_value);
    if (undo && may) {
        GPtrArray *steps = act_steps_new();

        g_ptr_array_add(steps, undo);
        acts_begin(acts, &(ActTerms){.is_commanded = true}, steps, on_done, &outcome);
        outcome_wait(&outcome, context);
    } else if (undo) {
        act_record_free(undo);
        outcome.problem = g_strdup("observe: nothing is written; --yes writes it all the same");
    }
    print(options, label, change, &outcome);
    g_free(outcome.problem);
    return change && outcome.n_applied == 0 ? 1 : 0;
}
