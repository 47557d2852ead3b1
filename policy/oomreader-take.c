/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomreader-private.h"

#include <string.h>

static void
text_set(char **text, OomText value)
{
    if (!value.start || value.length == 0)
        return;
    g_free(*text);
    *text = g_strndup(value.start, value.length);
}

static void
name_set(char *name, OomText value)
{
    gsize length = MIN(value.length, OOM_NAME_SIZE - 1);

    if (length > 0)
        memcpy(name, value.start, length);
    name[length] = '\0';
}

static void
reader_take_invoked(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = oomreader_open(reader);

    if (!draft) {
        reader->n_dropped++;
        return;
    }
    text_set(&draft->report.invoker, line->name);
    draft->report.is_sysrq = line->is_sysrq;
    draft->seen |= OOM_SEEN_INVOKED | OOM_SEEN_EVIDENCE;
}

static void
reader_take_task_in(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = oomreader_claim(reader, OOM_SEEN_CONSTRAINT);

    if (!draft)
        return;
    draft->report.constraint = OOM_CONSTRAINT_MEMCG;
    draft->seen |= OOM_SEEN_EVIDENCE;
    text_set(&draft->report.domain, line->domain);
    text_set(&draft->report.task_group, line->group);
}

static void
reader_take_usage(OomReader *reader, const OomLine *line)
{
    bool is_kmem = line->kind == OOM_LINE_KMEM;
    OomDraft *draft = oomreader_claim(reader, is_kmem ? OOM_SEEN_KMEM : OOM_SEEN_USAGE);

    if (!draft)
        return;
    if (is_kmem) {
        draft->stats.kmem = line->usage;
        return;
    }
    draft->report.usage = line->usage;
    draft->report.limit = line->limit;
    draft->report.failures = line->failures;
}

static void
reader_take_with_swap(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = oomreader_newest(reader);

    if (!draft || draft->seen & OOM_SEEN_MIXED)
        return;
    draft->report.with_swap = line->usage;
    draft->report.with_swap_limit = line->limit;
}

static void
reader_take_stats(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = oomreader_newest(reader);

    /* Before 5.3 each group below the domain has such a line too. */
    if (!line->rest || !draft || !(draft->seen & OOM_SEEN_STATS) || !draft->stats.rss.is_known)
        draft = oomreader_claim(reader, OOM_SEEN_STATS);
    if (!draft || draft->seen & OOM_SEEN_MIXED)
        return;
    if (!draft->report.domain)
        text_set(&draft->report.domain, line->domain);
    draft->takes_stats = line->rest == NULL;
    if (line->rest)
        oomstats_add_inline(&draft->stats, line->rest);
}

static void
reader_take_mem_info(OomReader *reader)
{
    OomDraft *draft = oomreader_newest(reader);

    if (draft && !(draft->seen & OOM_SEEN_MIXED))
        draft->takes_mem_info = true;
}

static void
reader_take_header(OomReader *reader, const OomLine *line)
{
    OomColumns columns;
    OomDraft *draft;

    if (!oomtable_parse_header(line->rest, &columns))
        return;
    draft = oomreader_claim(reader, OOM_SEEN_TABLE);
    if (!draft)
        return;
    draft->columns = columns;
    draft->takes_stats = false;
    draft->takes_mem_info = false;
}

static void
reader_take_constraint(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = oomreader_claim(reader, OOM_SEEN_CONSTRAINT);

    if (!draft)
        return;
    draft->seen |= OOM_SEEN_EVIDENCE;
    draft->takes_stats = false;
    draft->report.constraint = line->constraint;
    draft->chosen_pid = line->pid;
    name_set(draft->chosen_name, line->name);
    text_set(&draft->report.domain, line->domain);
    text_set(&draft->report.task_group, line->group);
    text_set(&draft->report.nodes, line->nodes);
}

static const OomTask *
task_find(const GArray *tasks, gint64 pid)
{
    for (guint i = 0; i < tasks->len; i++)
        if (g_array_index(tasks, OomTask, i).pid == pid)
            return &g_array_index(tasks, OomTask, i);
    return NULL;
}

/* One more process of an event that has its victim already. A thread that is listed as if it were a
 * process shows the memory of its process. */
static void
draft_add_victim(OomDraft *draft, const OomTask *task)
{
    GArray *victims = draft->report.victims;

    if (task_find(victims, task->pid) || victims->len >= OOM_VICTIMS_MAX)
        return;
    for (guint i = 0; i < victims->len && !task_find(draft->report.tasks, task->pid); i++)
        if (g_array_index(victims, OomTask, i).total_vm.is_known &&
            g_array_index(victims, OomTask, i).total_vm.bytes == task->total_vm.bytes)
            return;
    g_array_append_vals(victims, task, 1);
}

/* The ended report that a kill without a report of its own belongs to. */
static OomDraft *
reader_find_event(const OomReader *reader, gint64 pid)
{
    for (guint i = reader->n_open; i-- > 0;) {
        OomDraft *draft = reader->open[i];

        if (oomdraft_is_ended(reader, draft) &&
            (draft->is_group_kill || task_find(draft->report.victims, pid) != NULL))
            return draft;
    }
    return NULL;
}

/* The report that waits for the death of pid. */
static OomDraft *
reader_find_waiting(const OomReader *reader, gint64 pid)
{
    OomDraft *newest = oomreader_newest(reader);

    for (guint i = reader->n_open; i-- > 0;)
        if (oomdraft_is_open(reader, reader->open[i]) && reader->open[i]->chosen_pid == pid)
            return reader->open[i];
    return newest && newest->chosen_pid == 0 ? newest : NULL;
}

static void
reader_take_killed(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = reader_find_waiting(reader, line->pid);
    OomTask task = line->task;
    OomDraft *event = draft ? NULL : reader_find_event(reader, line->pid);

    name_set(task.name, line->name);
    task.role = oomrole_of(task.name, NULL);
    if (event) {
        draft_add_victim(event, &task);
        event->last_time = reader->prefix.time;
        return;
    }
    draft = draft ? draft : oomreader_open(reader);
    if (!draft)
        return;
    draft->seen |= OOM_SEEN_KILLED | OOM_SEEN_EVIDENCE;
    draft->last_time = reader->prefix.time;
    draft->report.has_victim = true;
    draft->report.outcome = OOM_OUTCOME_KILLED;
    draft->report.victim = task;
    if (draft->report.constraint == OOM_CONSTRAINT_UNKNOWN)
        draft->report.constraint = line->constraint;
    g_array_append_vals(draft->report.victims, &task, 1);
}

/* The victim may be a child of the chosen one: the kill is what counts. */
static void
reader_take_chosen(OomReader *reader, const OomLine *line)
{
    OomDraft *draft = oomreader_newest(reader);

    draft = draft ? draft : oomreader_open(reader);
    if (!draft)
        return;
    draft->seen |= OOM_SEEN_EVIDENCE;
    if (draft->report.constraint == OOM_CONSTRAINT_UNKNOWN)
        draft->report.constraint = line->constraint;
}

static void
reader_take_group_kill(OomReader *reader)
{
    for (guint i = reader->n_open; i-- > 0;) {
        if (oomdraft_is_ended(reader, reader->open[i])) {
            reader->open[i]->is_group_kill = true;
            return;
        }
    }
}

/* The panic follows the line that nobody can be killed. */
static void
reader_take_end(OomReader *reader, OomOutcome outcome)
{
    OomDraft *draft = oomreader_newest(reader);

    for (guint i = reader->n_open; !draft && i-- > 0;)
        if (reader->open[i]->report.outcome == OOM_OUTCOME_NOBODY &&
            strcmp(reader->open[i]->report.source, reader->source) == 0)
            draft = reader->open[i];
    draft = draft ? draft : oomreader_open(reader);
    if (!draft)
        return;
    draft->seen |= OOM_SEEN_ENDED | OOM_SEEN_EVIDENCE;
    draft->last_time = reader->prefix.time;
    draft->report.outcome = outcome;
    draft->chosen_pid = 0;
}

static void
reader_take_cut(OomReader *reader)
{
    for (guint i = 0; i < reader->n_open; i++)
        if (oomdraft_is_open(reader, reader->open[i]))
            reader->open[i]->seen |= OOM_SEEN_CUT;
}

/* Lines that are known only by what stands around them: figures and tasks. */
static void
reader_take_other(OomReader *reader)
{
    OomDraft *draft = oomreader_newest(reader);
    const OomColumns *columns = draft ? &draft->columns : &(const OomColumns){0};
    OomTask task;

    if (draft && draft->takes_stats && oomstats_take_line(&draft->stats, reader->line))
        return;
    if (draft && draft->takes_mem_info)
        oomstats_take_mem_info(&draft->stats, reader->line);
    if (!oomtable_parse_row(reader->line, columns, &task))
        return;
    draft = draft ? draft : oomreader_open(reader);
    if (!draft || draft->seen & OOM_SEEN_MIXED)
        return;
    draft->last_time = reader->prefix.time;
    draft->takes_stats = false;
    if (draft->report.tasks->len >= OOM_TASKS_MAX || reader->n_tasks >= OOM_ALL_TASKS_MAX) {
        draft->seen |= OOM_SEEN_CUT;
        return;
    }
    reader->n_tasks++;
    g_array_append_vals(draft->report.tasks, &task, 1);
}

void
oomreader_take(OomReader *reader, const OomLine *line)
{
    switch (line->kind) {
    case OOM_LINE_INVOKED:
        reader_take_invoked(reader, line);
        break;
    case OOM_LINE_TASK_IN:
        reader_take_task_in(reader, line);
        break;
    case OOM_LINE_USAGE:
    case OOM_LINE_KMEM:
        reader_take_usage(reader, line);
        break;
    case OOM_LINE_WITH_SWAP:
        reader_take_with_swap(reader, line);
        break;
    case OOM_LINE_STATS:
        reader_take_stats(reader, line);
        break;
    case OOM_LINE_MEM_INFO:
        reader_take_mem_info(reader);
        break;
    case OOM_LINE_HEADER:
        reader_take_header(reader, line);
        break;
    case OOM_LINE_CONSTRAINT:
        reader_take_constraint(reader, line);
        break;
    case OOM_LINE_CHOSEN:
        reader_take_chosen(reader, line);
        break;
    case OOM_LINE_KILLED:
        reader_take_killed(reader, line);
        break;
    case OOM_LINE_GROUP_KILL:
        reader_take_group_kill(reader);
        break;
    case OOM_LINE_NOBODY:
        reader_take_end(reader, OOM_OUTCOME_NOBODY);
        break;
    case OOM_LINE_PANIC:
        reader_take_end(reader, OOM_OUTCOME_PANIC);
        break;
    case OOM_LINE_CUT:
        reader_take_cut(reader);
        break;
    case OOM_LINE_OTHER:
        reader_take_other(reader);
        break;
    }
}
