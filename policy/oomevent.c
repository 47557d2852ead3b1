/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomevent.h"

#include "oomreader-private.h"

#include <string.h>

/* A kill continues the one before it in the same domain
 *
 * - within OOM_EVENT_US, unless a new life has begun: a QEMU that the report before does not list
 *   was started after it. The memory of a process that is being torn down stays charged for
 *   seconds, and the kernel does not list it any more: its absence proves nothing;
 * - where the log has no times that can be compared, only if both reports list their tasks and
 *   everybody who is listed was there before: nobody was started in between.
 *
 * Any program comes and goes on a whole host: there time alone decides. */

/* A host of thousands of tasks is looked up in a table. */
static GHashTable *
tasks_by_pid(const GArray *tasks)
{
    GHashTable *by_pid = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < tasks->len; i++) {
        OomTask *task = &g_array_index(tasks, OomTask, i);

        g_hash_table_insert(by_pid, GSIZE_TO_POINTER(task->pid), task);
    }
    return by_pid;
}

static bool
lists(GHashTable *by_pid, const OomTask *task)
{
    const OomTask *listed = g_hash_table_lookup(by_pid, GSIZE_TO_POINTER(task->pid));

    return listed && strcmp(listed->name, task->name) == 0;
}

static bool
is_new_qemu(const OomTask *task, const OomReport *before, GHashTable *listed)
{
    if (task->role != OOM_ROLE_QEMU)
        return false;
    if (before->tasks->len > 0)
        return !lists(listed, task);
    /* without a list: one VM has one QEMU */
    return before->vm && before->victim.role == OOM_ROLE_QEMU && before->victim.pid != task->pid;
}

static bool
has_new_life(const OomReport *report, const OomReport *before, GHashTable *listed)
{
    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        return false;
    for (guint i = 0; i < report->tasks->len; i++)
        if (is_new_qemu(&g_array_index(report->tasks, OomTask, i), before, listed))
            return true;
    return is_new_qemu(&report->victim, before, listed);
}

static bool
nobody_came(const OomReport *report, GHashTable *listed)
{
    bool has_victim = false;

    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = &g_array_index(report->tasks, OomTask, i);

        if (!lists(listed, task))
            return false;
        has_victim = has_victim || task->pid == report->victim.pid;
    }
    return has_victim;
}

bool
oomevent_is_beside(const OomReport *report, const OomReport *other)
{
    return report->constraint == other->constraint && report->has_victim && other->has_victim &&
           strcmp(report->source, other->source) == 0 &&
           (report->domain && other->domain ? strcmp(report->domain, other->domain) == 0
                                            : report->domain == other->domain);
}

bool
oomevent_continues(const OomReport *report, const OomReport *before)
{
    bool has_times =
        report->time.clock != OOM_CLOCK_NONE && report->time.clock == before->time.clock;
    g_autoptr(GHashTable) listed = NULL;

    if (has_times && !oomtime_is_near(before->time, report->time, false))
        return false;
    listed = tasks_by_pid(before->tasks);
    return has_times ? !has_new_life(report, before, listed) : nobody_came(report, listed);
}

static bool
has_pid(const GArray *victims, gint64 pid)
{
    for (guint i = 0; i < victims->len; i++)
        if (g_array_index(victims, OomTask, i).pid == pid)
            return true;
    return false;
}

void
oomevent_join(OomReport *report, OomReport *before)
{
    GArray *all = before->victims;

    if (report->victims == all)
        return;
    for (guint i = 0; i < report->victims->len && all->len < OOM_VICTIMS_MAX; i++) {
        const OomTask *victim = &g_array_index(report->victims, OomTask, i);

        if (!has_pid(all, victim->pid))
            g_array_append_vals(all, victim, 1);
    }
    g_array_unref(report->victims);
    report->victims = g_array_ref(all);
}

bool
oomevent_has_qemu(const OomReport *report)
{
    for (guint i = 0; i < report->victims->len; i++)
        if (g_array_index(report->victims, OomTask, i).role == OOM_ROLE_QEMU)
            return true;
    return false;
}
