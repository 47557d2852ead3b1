/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-acts.h"

#include "group.h"
#include "lifting.h"
#include "message.h"
#include "report-line.h"
#include "report-read.h"
#include "units.h"

#include <string.h>

/* Two groups, raised and taken back, and the same again: more is history, in the journal. */
#define SHOWN_MAX 8
/* As long as an OOM kill is news. */
#define NEW_S 3600

static void
add_value(JsonBuilder *builder, const char *name, const ActRecord *record, const char *value)
{
    g_autofree char *words = act_value_words(record->field, value);

    build_text(builder, name, words);
}

static void
add_printable(JsonBuilder *builder, const char *name, const char *text)
{
    g_autofree char *printable = text ? units_printable(text, -1) : NULL;

    build_text(builder, name, printable);
}

static void
add_act(JsonBuilder *builder, const ActRecord *record, const ReportClocks *clocks)
{
    g_autofree char *at = report_utc(record->realtime_us);
    g_autofree char *where = act_where_words(record->means, record->where);

    json_builder_begin_object(builder);
    build_text(builder, "at_utc", at);
    build_s64(builder, "since_s", true,
              MAX(clocks->realtime_us - record->realtime_us, 0) / G_USEC_PER_SEC);
    build_text(builder, "state", act_state_name(record->state));
    add_printable(builder, "kind", record->kind);
    add_printable(builder, "means", record->means);
    build_text(builder, "where", where);
    add_printable(builder, "field", record->field);
    add_value(builder, "before", record, record->old_value);
    add_value(builder, "after", record, record->new_value);
    add_value(builder, "read_back", record, record->read_back);
    add_printable(builder, "problem", record->problem);
    add_printable(builder, "why", record->why);
    add_printable(builder, "by", record->by);
    build_bool(builder, "takes_back", record->undoes != NULL);
    json_builder_end_object(builder);
}

/* It was written for a group that stood still, not for a VM. */
static bool
is_of_group(const ActJournal *journal, const ActRecord *record)
{
    return strcmp(record->kind, ACT_KIND_HIGH) == 0 &&
           strcmp(record->boot_id, act_journal_boot_id(journal)) == 0;
}

/* Such a group that the VM is in. */
static bool
is_around(const ActJournal *journal, const ActRecord *record, const Vm *vm)
{
    return is_of_group(journal, record) && vm->cgroup &&
           group_holds(record->where, cgroup_path(vm->cgroup)->path);
}

/* vm NULL: what is about no VM, but a group. */
static bool
is_shown(const ActJournal *journal, const ActRecord *record, const Vm *vm)
{
    if (!vm)
        return is_of_group(journal, record);
    return act_record_is_of(record, proc_pid(vm->proc), proc_start_ticks(vm->proc)) ||
           is_around(journal, record, vm);
}

static void
add_acts(JsonBuilder *builder, const char *name, const ActJournal *journal, const Vm *vm,
         const ReportClocks *clocks)
{
    const GPtrArray *records = journal ? act_journal_records(journal) : NULL;
    guint n = 0;

    json_builder_set_member_name(builder, name);
    if (!records) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_array(builder);
    for (guint i = records->len; i-- > 0 && n < SHOWN_MAX;) {
        const ActRecord *record = records->pdata[i];

        if (!is_shown(journal, record, vm))
            continue;
        add_act(builder, record, clocks);
        n++;
    }
    json_builder_end_array(builder);
}

void
report_add_acts(JsonBuilder *builder, const ActJournal *journal, const Vm *vm,
                const ReportClocks *clocks)
{
    add_acts(builder, "acts", journal, vm, clocks);
}

void
report_add_group_acts(JsonBuilder *builder, const ActJournal *journal, const ReportClocks *clocks)
{
    add_acts(builder, "group_acts", journal, NULL, clocks);
}

/* In words: what of it is in force. */
static const char *
outcome_words(JsonObject *act)
{
    static const struct {
        ActState state;
        const char *words;
    } outcomes[] = {
        {ACT_INTENDED, "under way, begun"},  {ACT_APPLIED, "done"},
        {ACT_FAILED, "NOT AS ASKED"},        {ACT_NOT_DONE, "NOT DONE"},
        {ACT_UNDONE, "done and taken back"}, {ACT_OVER, "over"},
    };
    const char *state = report_text_of(act, "state", "");

    for (guint i = 0; i < G_N_ELEMENTS(outcomes); i++)
        if (strcmp(state, act_state_name(outcomes[i].state)) == 0)
            return outcomes[i].words;
    return "of unknown outcome";
}

char *
report_act_text(JsonObject *act)
{
    const char *problem = report_text_of(act, "problem", NULL);
    bool is_undo = false;

    (void)message_get_bool(act, "takes_back", &is_undo);
    return g_strdup_printf(
        "%s of %s %s -> %s%s: %s by the %s%s%s", report_text_of(act, "field", "?"),
        report_text_of(act, "where", "?"), report_text_of(act, "before", "?"),
        report_text_of(act, "after", "?"), is_undo ? " (taken back)" : "", outcome_words(act),
        report_text_of(act, "by", "?"), problem ? ": " : "", problem ? problem : "");
}

void
report_append_acts(GString *text, JsonObject *vm)
{
    g_autoptr(GPtrArray) acts = report_objects_of(vm, "acts");

    for (guint i = 0; i < acts->len; i++) {
        JsonObject *act = acts->pdata[i];
        g_autofree char *told = report_act_text(act);
        const char *why = report_text_of(act, "why", NULL);
        Line line = line_begin("; ");

        line_say(&line, "%s %s", report_text_of(act, "at_utc", "?"), told);
        if (why)
            line_say(&line, "%s", why);
        line_end(&line, text, i == 0 ? "acts" : "");
    }
}

/* of: whom it was for. */
static void
append_new_act(GString *text, JsonObject *act, const char *of)
{
    g_autofree char *told = report_act_text(act);
    g_autofree char *age = report_age_of(act);
    Line line = line_begin("");
    gint64 since_s = G_MAXINT64;

    (void)report_number_of(act, "since_s", &since_s);
    if (since_s <= NEW_S)
        line_say(&line, "%s, %s ago: %s", of, age ? age : "?", told);
    line_end(&line, text, "act");
}

/* Newest first: is there one of the same group before it? */
static bool
has_newer(const GPtrArray *acts, guint index)
{
    for (guint i = 0; i < index; i++)
        if (strcmp(report_text_of(acts->pdata[i], "where", "?"),
                   report_text_of(acts->pdata[index], "where", "?")) == 0)
            return true;
    return false;
}

static void
append_new_group_acts(GString *text, JsonObject *state)
{
    g_autoptr(GPtrArray) acts = report_objects_of(state, "group_acts");

    for (guint i = 0; i < acts->len; i++)
        if (!has_newer(acts, i))
            append_new_act(text, acts->pdata[i], report_text_of(acts->pdata[i], "where", "?"));
}

void
report_append_new_acts(GString *text, JsonObject *state)
{
    g_autoptr(GPtrArray) vms = report_objects_of(state, "vms");

    for (guint i = 0; i < vms->len; i++) {
        g_autoptr(GPtrArray) acts = report_objects_of(vms->pdata[i], "acts");
        if (acts->len > 0)
            append_new_act(text, acts->pdata[0], report_text_of(vms->pdata[i], "name", "?"));
    }
    append_new_group_acts(text, state);
}
