/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-oom.h"
#include "oomparts.h"
#include "units.h"

#include <stdio.h>

/* Names beside a role: more is a line too long for a terminal. */
#define NAMED_TASKS 3

char *
ctl_oom_printable_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path ? path : "", "\\", -1);

    for (guint i = 0; parts[i]; i++) {
        char *printable = units_printable(parts[i], -1);

        g_free(parts[i]);
        parts[i] = printable;
    }
    return g_strjoinv("\\", parts);
}

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
print_role(const char *role, OomSize size, const char *beside)
{
    g_autofree char *bytes = size_text(size);

    printf("  %-12s %6s%s%s\n", role, bytes, *beside ? "  " : "", beside);
}

static void
print_roles(const OomReport *report)
{
    const OomParts *parts = &report->parts;
    g_autofree char *qemu = tasks_text(report, OOM_ROLE_QEMU);
    g_autofree char *helpers = tasks_text(report, OOM_ROLE_HELPER);
    g_autofree char *strangers = tasks_text(report, OOM_ROLE_STRANGER);
    g_autofree char *cache = size_text(report->cache);
    g_autofree char *rest =
        report->cache.is_known ? g_strdup_printf("page cache %s", cache) : g_strdup("");

    if (parts->guest.is_known) {
        g_autofree char *own = g_strconcat("at least, in ", qemu, NULL);

        print_role("guest", parts->guest, "at most, its RAM in the QEMU below");
        print_role("qemu's own", parts->qemu, own);
    } else {
        print_role("qemu", parts->qemu, qemu);
    }
    print_role("helpers", parts->helpers, helpers);
    print_role("strangers", parts->strangers, strangers);
    print_role("kernel", parts->kernel, "");
    print_role("unexplained", parts->unexplained, rest);
}

static void
print_domain(const OomReport *report)
{
    g_autofree char *usage = size_text(report->usage);
    g_autofree char *limit = size_text(report->limit);
    g_autofree char *domain = ctl_oom_printable_path(report->domain);
    g_autofree char *invoker = units_printable(report->invoker ? report->invoker : "?", -1);

    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        printf("  domain   the whole host: %s used of %s", usage, limit);
    else
        printf("  domain   %s: %s used, limit %s", *domain ? domain : "?", usage, limit);
    printf("; asked for by %s\n", invoker);
}

static void
print_blame(const OomBlame *blame)
{
    g_autofree char *limit = units_format_size(blame->suggested_limit.bytes);

    printf("  blame    %s: %s\n", oomrole_name(blame->role), blame->why);
    if (blame->suggested_limit.is_known)
        printf("  enough   a limit of %s would have held it\n", limit);
}

static void
print_chain(const OomReport *report)
{
    if (report->victims->len < 2)
        return;
    printf("  killed   %u in this event, in order:", report->victims->len);
    for (guint i = 0; i < report->victims->len; i++) {
        const OomTask *victim = &g_array_index(report->victims, OomTask, i);
        g_autofree char *text = task_text(victim, victim->rss);

        printf("%s %s", i > 0 ? "," : "", text);
    }
    printf("\n");
}

static void
print_report(const OomReport *report)
{
    g_autofree char *when = report->when ? units_printable(report->when, -1) : NULL;
    g_autofree char *vm = units_printable(report->vm, -1);
    g_autofree char *victim =
        report->has_victim ? task_text(&report->victim, report->victim.rss) : NULL;

    printf("%s%s%s%s was OOM-killed%s%s\n", report->vm ? "VM " : "", vm, report->vm ? ": " : "",
           victim ? victim : "?", when ? " at " : "", when ? when : "");
    print_domain(report);
    print_blame(&report->blame);
    if (report->victim_why)
        printf("  victim   %s\n", report->victim_why);
    print_chain(report);
    if (!report->is_complete)
        printf("  note     the report is not complete in this log; ? is what it does not tell\n");
    print_roles(report);
}

void
ctl_oom_print_text(const GPtrArray *reports)
{
    if (reports->len == 0)
        printf("no OOM report found\n");
    for (guint i = 0; i < reports->len; i++) {
        if (i > 0)
            printf("\n");
        print_report(reports->pdata[i]);
    }
}
