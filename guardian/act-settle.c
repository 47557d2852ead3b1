/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-private.h"

#include <fcntl.h>
#include <string.h>

/* Is the subject of the record the living process of that id? */
static bool
subject_lives(const Acts *acts, const ActRecord *record)
{
    g_autoptr(Proc) proc = proc_open(acts->host, record->subject.pid, NULL);

    return proc && proc_start_ticks(proc) == record->subject.start_ticks;
}

bool
act_record_is_over(const Acts *acts, const ActRecord *record)
{
    const ActMeans *means = acts_find_means(acts, record->means);

    if (means && means->outlives_vm)
        return false;
    return strcmp(record->boot_id, act_journal_boot_id(acts->journal)) != 0 ||
           !subject_lives(acts, record) ||
           (means && means->is_gone && means->is_gone(acts->host, record));
}

/* Settling what an earlier process left: each of these is called back by the one before. */

static void run_settle(Run *run);

static void
on_settled(const char *problem, gpointer data)
{
    Run *run = data;

    run->record = NULL;
    run_settle(run);
}

/* The value that was in force after the intent decides: the one that a later write found there, or
 * else the present one. */
static ActState
state_by_value(const Acts *acts, const ActRecord *record, const char *value)
{
    const ActMeans *means = acts_find_means(acts, record->means);

    if (act_is_same_value(means, record, value, record->new_value))
        return ACT_APPLIED;
    return act_is_same_value(means, record, value, record->old_value) ? ACT_NOT_DONE : ACT_FAILED;
}

static void
settle_by_value(Run *run, const char *value)
{
    ActState state = state_by_value(run->acts, run->record, value);

    act_journal_update(run->acts->journal, run->record, state, value,
                       state == ACT_APPLIED ? NULL : "found after an interruption", on_settled,
                       run);
}

static void
on_looked(ActCall *call, bool was_written, const char *value, const char *problem)
{
    Run *run = call->data;

    if (value)
        settle_by_value(run, value);
    else if (act_record_is_over(run->acts, run->record))
        act_journal_update(run->acts->journal, run->record, ACT_OVER, NULL, problem, on_settled,
                           run);
    else
        on_settled(NULL, run); /* another time */
}

/* The next write to the same place that was done; NULL: none. */
static const ActRecord *
find_later(const Acts *acts, const ActRecord *record)
{
    const GPtrArray *records = act_journal_records(acts->journal);

    for (guint i = 0; i < records->len; i++) {
        const ActRecord *later = records->pdata[i];

        if (strcmp(later->name, record->name) > 0 && later->state != ACT_INTENDED &&
            later->state != ACT_NOT_DONE && later->group_id == record->group_id &&
            act_record_is_of(later, record->subject.pid, record->subject.start_ticks) &&
            strcmp(later->where, record->where) == 0 && strcmp(later->field, record->field) == 0)
            return later;
    }
    return NULL;
}

/* Is somebody at it? The second number of a record's name is its writer's process id. */
static bool
is_being_written(const Acts *acts, const ActRecord *record)
{
    const char *dash = strchr(record->name, '-');
    gint64 pid = dash ? g_ascii_strtoll(dash + 1, NULL, 10) : 0;
    g_autofree char *path = g_strdup_printf("%" G_GINT64_FORMAT, pid);

    for (guint i = 0; i < acts->runs->len; i++)
        if (((const Run *)acts->runs->pdata[i])->record == record)
            return true;
    if (pid ==
        getpid()) /* of another engine in this process; else our number was somebody's before */
        return record->realtime_us >= acts->started_us;
    if (pid <= 0)
        return false;
    auto_fd fd = host_open(acts->host, HOST_PROC, path, O_PATH | O_DIRECTORY, NULL);
    return fd >= 0;
}

/* The newest first, so that what an older one is measured by is settled; NULL when all are. */
static ActRecord *
run_find_unsettled(const Run *run)
{
    const GPtrArray *records = act_journal_records(run->acts->journal);

    for (guint i = records->len; i-- > 0;) {
        ActRecord *record = records->pdata[i];

        if (record->state == ACT_INTENDED && acts_find_means(run->acts, record->means) &&
            !g_ptr_array_find_with_equal_func(run->settled, record->name, g_str_equal, NULL) &&
            !is_being_written(run->acts, record))
            return record;
    }
    return NULL;
}

/* Somebody had put another value in its place before the next write of ours: that one alone is to
 * be taken back. */
static bool
is_overwritten(const Acts *acts, const ActRecord *record)
{
    const ActMeans *means = acts_find_means(acts, record->means);
    const ActRecord *later = means ? find_later(acts, record) : NULL;

    return later && !act_is_same_value(means, record, later->old_value, record->new_value);
}

/* What was taken back is not in force, and what was applied to a VM that is gone is gone, too.
 * Neither need be written down: the journal tells it at every load. */
static void
records_age(Acts *acts)
{
    const GPtrArray *records = act_journal_records(acts->journal);

    for (guint i = 0; i < records->len; i++) {
        ActRecord *record = records->pdata[i];

        act_journal_take_back(acts->journal, record);
        if (record->state == ACT_APPLIED &&
            (act_record_is_over(acts, record) || is_overwritten(acts, record)))
            record->state = ACT_OVER;
    }
}

static void
run_settle(Run *run)
{
    ActRecord *record = run->acts->is_ending ? NULL : run_find_unsettled(run);
    const ActRecord *later;

    if (!record) {
        records_age(run->acts);
        run_start(run);
        return;
    }
    later = find_later(run->acts, record);
    run->record = record;
    g_ptr_array_add(run->settled, g_strdup(record->name));
    if (act_record_is_over(run->acts, record))
        act_journal_update(run->acts->journal, record, ACT_OVER, NULL, NULL, on_settled, run);
    else if (later)
        settle_by_value(run, later->old_value);
    else
        run_call(run, record, true, on_looked);
}

static void
on_loaded(const char *problem, gpointer data)
{
    Run *run = data;

    run->load_problem = g_strdup(problem);
    run_settle(run);
}

void
run_load(Run *run)
{
    act_journal_load(run->acts->journal, on_loaded, run);
}
