/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-text.h"

#include "oomparts.h"
#include "oomstory.h"
#include "units.h"

/* Names beside a role: more is a line too long for a terminal. */
#define NAMED_TASKS 3

/* "?" for what the log does not tell. */
static char *
size_text(OomSize size)
{
    return size.is_known ? units_format_size_short(size.bytes) : g_strdup("?");
}

static char *
task_text(const OomTask *task, OomSize size)
{
    g_autofree char *name = units_printable(task->name, -1);
    g_autofree char *bytes = size_text(size);

    return g_strdup_printf("%s[%" G_GINT64_FORMAT "] %s", name, task->pid, bytes);
}

/* The task that follows `after` when a role's are sorted by charge, largest first; NULL at the end.
 */
static const OomTask *
task_next(const OomReport *report, OomRole role, const OomTask *after)
{
    const OomTask *next = NULL;

    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = &g_array_index(report->tasks, OomTask, i);
        guint64 charged = oomtask_charged_bytes(task);

        if (task->role != role)
            continue;
        if (after && (charged > oomtask_charged_bytes(after) ||
                      (charged == oomtask_charged_bytes(after) && task <= after)))
            continue;
        if (!next || charged > oomtask_charged_bytes(next))
            next = task;
    }
    return next;
}

static char *
tasks_text(const OomReport *report, OomRole role)
{
    GString *text = g_string_new(NULL);
    const OomTask *task = NULL;
    guint n = 0, n_all = 0;

    for (guint i = 0; i < report->tasks->len; i++)
        n_all += g_array_index(report->tasks, OomTask, i).role == role ? 1 : 0;
    while (n < NAMED_TASKS && (task = task_next(report, role, task))) {
        g_autofree char *one = task_text(task, (OomSize){true, oomtask_charged_bytes(task)});

        g_string_append_printf(text, "%s%s", n > 0 ? ", " : "", one);
        n++;
    }
    if (n_all > n)
        g_string_append_printf(text, " and %u more", n_all - n);
    return g_string_free(text, FALSE);
}

static void
append_role(GString *text, const char *role, OomSize size, const char *beside)
{
    g_autofree char *bytes = size_text(size);

    g_string_append_printf(text, "  %-12s %6s%s%s\n", role, bytes, *beside ? "  " : "", beside);
}

/* What is known of the unexplained: page cache of a group, huge pages of a host. */
static char *
rest_text(const OomReport *report)
{
    g_autofree char *cache = size_text(report->cache);
    g_autofree char *huge = size_text(report->hugetlb);
    g_autofree char *unused = size_text(report->hugetlb_free);

    if (report->cache.is_known)
        return g_strdup_printf("page cache %s", cache);
    if (report->hugetlb.bytes > 0)
        return g_strdup_printf("huge pages %s, %s of them in no use", huge, unused);
    return g_strdup("");
}

static void
append_roles(GString *text, const OomReport *report)
{
    const OomParts *parts = &report->parts;
    g_autofree char *qemu = tasks_text(report, OOM_ROLE_QEMU);
    g_autofree char *helpers = tasks_text(report, OOM_ROLE_HELPER);
    g_autofree char *strangers = tasks_text(report, OOM_ROLE_STRANGER);
    g_autofree char *rest = rest_text(report);

    if (parts->guest.is_known) {
        g_autofree char *own = g_strconcat("at least, in ", qemu, NULL);

        append_role(text, "guest", parts->guest, "at most, its RAM in the QEMU below");
        append_role(text, "qemu's own", parts->qemu, own);
    } else {
        append_role(text, "qemu", parts->qemu, qemu);
    }
    append_role(text, "helpers", parts->helpers, helpers);
    append_role(text, "strangers", parts->strangers, strangers);
    append_role(text, "kernel", parts->kernel, "");
    append_role(text, "unexplained", parts->unexplained, rest);
}

static void
append_domain(GString *text, const OomReport *report)
{
    g_autofree char *usage = size_text(report->usage);
    g_autofree char *limit = size_text(report->limit);
    g_autofree char *domain = units_printable_path(report->domain);
    g_autofree char *invoker = units_printable(report->invoker ? report->invoker : "?", -1);

    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        g_string_append_printf(text, "  domain   the whole host: %s used of %s", usage, limit);
    else
        g_string_append_printf(text, "  domain   %s: %s used, limit %s", *domain ? domain : "?",
                               usage, limit);
    g_string_append_printf(text, "; asked for by %s%s\n", invoker,
                           report->is_sysrq ? ", a person (SysRq f)" : "");
}

static void
append_blame(GString *text, const OomReport *report)
{
    const OomBlame *blame = &report->blame;
    g_autofree char *limit = units_format_size(blame->suggested_limit.bytes);
    g_autofree char *remedy = oomstory_remedy(report);

    g_string_append_printf(text, "  blame    %s: %s\n", oomrole_name(blame->role), blame->why);
    if (blame->suggested_limit.is_known)
        g_string_append_printf(text, "  enough   a limit of %s would have held it\n", limit);
    if (remedy)
        g_string_append_printf(text, "  do       %s\n", remedy);
}

static void
append_chain(GString *text, const OomReport *report)
{
    if (report->victims->len < 2)
        return;
    g_string_append_printf(text, "  killed   %u in this event, in order:", report->victims->len);
    for (guint i = 0; i < report->victims->len; i++) {
        const OomTask *victim = &g_array_index(report->victims, OomTask, i);
        g_autofree char *task = task_text(victim, victim->rss);

        g_string_append_printf(text, "%s %s", i > 0 ? "," : "", task);
    }
    g_string_append_printf(text, "\n");
}

/* "VM web: kvm[9] 1.0G was OOM-killed at ..." */
static void
append_outcome(GString *text, const OomReport *report)
{
    g_autofree char *when = report->when ? units_printable(report->when, -1) : NULL;
    g_autofree char *vm = units_printable(report->vm, -1);
    g_autofree char *victim =
        report->has_victim ? task_text(&report->victim, report->victim.rss) : NULL;

    g_string_append_printf(text, "%s%s%s", report->vm ? "VM " : "", vm, report->vm ? ": " : "");
    if (report->outcome == OOM_OUTCOME_PANIC)
        g_string_append(text, "the kernel panicked for want of memory");
    else if (report->outcome == OOM_OUTCOME_NOBODY)
        g_string_append(text, "out of memory, and no process could be killed");
    else
        g_string_append_printf(text, "%s was OOM-killed", victim ? victim : "?");
    g_string_append_printf(text, "%s%s\n", when ? " at " : "", when ? when : "");
}

static void
append_report(GString *text, const OomReport *report)
{
    append_outcome(text, report);
    append_domain(text, report);
    append_blame(text, report);
    if (report->victim_why)
        g_string_append_printf(text, "  victim   %s\n", report->victim_why);
    append_chain(text, report);
    if (!report->is_complete)
        g_string_append_printf(
            text,
            "  note     the report is not complete in this log; ? is what it does not tell\n");
    append_roles(text, report);
}

char *
oom_text(const OomReport *report)
{
    GString *text = g_string_new(NULL);

    append_report(text, report);
    return g_string_free(text, FALSE);
}
