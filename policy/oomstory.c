/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomstory.h"

#include "group.h"
#include "oomevent.h"
#include "units.h"

#include <string.h>

static bool
is_qemu(const OomTask *task, gint64 pid)
{
    return task->pid == pid && task->role == OOM_ROLE_QEMU;
}

bool
oomstory_is_death(const OomReport *report, const OomSubject *subject)
{
    if (report->has_victim && is_qemu(&report->victim, subject->pid))
        return true;
    for (guint i = 0; i < report->victims->len; i++)
        if (is_qemu(&g_array_index(report->victims, OomTask, i), subject->pid))
            return true;
    return false;
}

static bool
is_inside(const OomSubject *subject, const char *path)
{
    return subject->own && path && group_holds(subject->own, path);
}

static bool
is_of_pod(const OomSubject *subject, const char *path)
{
    GroupPlace place;

    if (!subject->pod_uid || !*subject->pod_uid || !path)
        return false;
    group_parse(path, &place);
    return strcmp(place.pod_uid, subject->pod_uid) == 0;
}

typedef bool (*IsOfFunc)(const OomReport *report, const OomSubject *subject);

static bool
is_victims_process(const OomReport *report, const OomSubject *subject)
{
    return report->has_victim && is_qemu(&report->victim, subject->pid);
}

static bool
is_victims_group(const OomReport *report, const OomSubject *subject)
{
    return is_inside(subject, report->task_group) || is_of_pod(subject, report->task_group);
}

static bool
is_domain(const OomReport *report, const OomSubject *subject)
{
    return report->constraint != OOM_CONSTRAINT_GLOBAL &&
           (is_inside(subject, report->domain) || is_of_pod(subject, report->domain));
}

int
oomstory_find(const OomReport *report, const OomSubject *subjects, guint n)
{
    static const IsOfFunc surest_first[] = {is_victims_process, is_victims_group, is_domain};

    for (guint way = 0; way < G_N_ELEMENTS(surest_first); way++)
        for (guint i = 0; i < n; i++)
            if (surest_first[way](report, &subjects[i]))
                return (int)i;
    return -1;
}

static char *
task_name(const OomTask *task)
{
    g_autofree char *name = units_printable(task->name, -1);

    return g_strdup_printf("%s[%" G_GINT64_FORMAT "]", name, task->pid);
}

/* What one does about a whole host; NULL: nothing is wrong with it. */
static char *
remedy_of_host(const OomReport *report)
{
    g_autofree char *nodes = units_printable(report->nodes, -1);
    g_autofree char *name = units_printable(report->blame.name, -1);

    if (report->is_sysrq)
        return NULL;
    if (report->nodes)
        return g_strdup_printf("allow the memory of more nodes than %s, or fewer guests there",
                               nodes);
    if (report->blame.role == OOM_ROLE_LIMIT)
        return g_strdup("set aside fewer huge pages (vm.nr_hugepages, hugepages= of the kernel)");
    if (report->blame.role == OOM_ROLE_STRANGER || report->blame.role == OOM_ROLE_HELPER)
        return g_strdup_printf("find out why %s grew, or give it a limit of its own", name);
    return g_strdup("fewer or smaller guests on this host (guardianctl status)");
}

char *
oomstory_remedy(const OomReport *report)
{
    const OomBlame *blame = &report->blame;
    g_autofree char *limit = units_format_size(blame->suggested_limit.bytes);
    g_autofree char *printable = units_printable(blame->name, -1);
    const char *name = *printable ? printable : "it";
    bool is_beside_vm = report->vm || report->parts.qemu.bytes > 0 || oomevent_has_qemu(report);
    GString *text;

    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        return remedy_of_host(report);
    text = g_string_new(NULL);
    if (blame->role == OOM_ROLE_STRANGER && is_beside_vm)
        g_string_append_printf(text, "keep %s out of the VM's group", name);
    else if (blame->role == OOM_ROLE_STRANGER || blame->role == OOM_ROLE_HELPER)
        g_string_append_printf(text, "find out why %s grew", name);
    if (oomreport_is_swap_limited(report))
        g_string_append_printf(text, "%sraise the limit of memory and swap",
                               text->len > 0 ? ", or " : "");
    else if (blame->suggested_limit.is_known)
        g_string_append_printf(text, "%sgive the group a limit of %s", text->len > 0 ? ", or " : "",
                               limit);
    if (text->len > 0)
        return g_string_free(text, FALSE);
    g_string_free(text, TRUE);
    return NULL;
}

/* Of a group that dies at once more is not worth a line. */
#define NAMED_VICTIMS 3

/* ", then python3[95]": the victims from..end - 1 of the event; nothing where there are none. */
static void
append_victims(GString *text, const char *word, const OomReport *report, guint from, guint end)
{
    for (guint i = from; i < MIN(end, from + NAMED_VICTIMS); i++) {
        g_autofree char *name = task_name(&g_array_index(report->victims, OomTask, i));

        g_string_append_printf(text, "%s%s", i == from ? word : ", ", name);
    }
    if (end > from + NAMED_VICTIMS)
        g_string_append_printf(text, " and %u more", end - from - NAMED_VICTIMS);
}

/* "qemu-system-x86[70] was OOM-killed, then python3[95]: " */
static void
append_kills(GString *text, const OomReport *report)
{
    g_autofree char *victim = report->has_victim ? task_name(&report->victim) : g_strdup("a task");
    guint at = 0, n = report->victims->len;

    while (at < n && g_array_index(report->victims, OomTask, at).pid != report->victim.pid)
        at++;
    g_string_append_printf(text, "%s was OOM-killed", victim);
    if (at < n) {
        append_victims(text, " after ", report, 0, at);
        append_victims(text, ", then ", report, at + 1, n);
    }
    g_string_append(text, ": ");
}

char *
oomstory_line(const OomReport *report, bool is_death)
{
    GString *text = g_string_new(NULL);
    g_autofree char *remedy = oomstory_remedy(report);
    g_autofree char *domain = units_printable_path(report->domain);
    g_autofree char *usage = units_format_size_short(report->usage.bytes);
    g_autofree char *limit = units_format_size_short(report->limit.bytes);

    if (report->outcome == OOM_OUTCOME_NOBODY)
        g_string_append(text, "out of memory, and no process could be killed: ");
    else
        append_kills(text, report);
    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        g_string_append(text, "the whole host had no memory left");
    else
        g_string_append_printf(text, "%s used %s of its limit %s", *domain ? domain : "its group",
                               report->usage.is_known ? usage : "?",
                               report->limit.is_known ? limit : "?");
    g_string_append(text, is_death ? "; the VM died of it" : "; QEMU itself was not killed");
    g_string_append_printf(text, "; blame: %s", oomrole_name(report->blame.role));
    if (report->blame.why)
        g_string_append_printf(text, ", %s", report->blame.why);
    if (remedy)
        g_string_append_printf(text, "; do: %s", remedy);
    return g_string_free(text, FALSE);
}
