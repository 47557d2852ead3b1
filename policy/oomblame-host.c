/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomblame-private.h"
#include "oomparts.h"
#include "units.h"

/* A whole host has no shares: the program is to blame whose tasks hold more than any QEMU, unless
 * guests fill three quarters of the host and the program less than one. When a QEMU holds most it
 * is its own memory, if the guest's size is known to say so; the guests', if QEMUs hold half of the
 * host; else unknown. Where a cpuset or a memory policy allowed some nodes only, that is the limit.
 * So are huge pages in no use, a quarter of the host and more than any program or QEMU holds,
 * unless a program has taken a quarter of what they leave: that one grew. Nobody is to blame for
 * what was asked for (SysRq). */

/* All tasks of one name. */
typedef struct {
    const OomTask *largest;
    guint64 held_bytes;
    guint n;
} Program;

/* The one that holds most, QEMU aside; largest = NULL: there is none. */
static Program
program_largest(const OomReport *report)
{
    GHashTable *by_name = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree Program *programs = g_new0(Program, report->tasks->len + 1);
    Program *most = programs; /* stays empty: the first has the index 1 */
    guint n = 0;

    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = &g_array_index(report->tasks, OomTask, i);
        Program *program =
            task->role == OOM_ROLE_QEMU ? NULL : g_hash_table_lookup(by_name, task->name);

        if (task->role == OOM_ROLE_QEMU)
            continue;
        if (!program) {
            program = &programs[++n];
            g_hash_table_insert(by_name, (gpointer)task->name, program);
        }
        program->n++;
        program->held_bytes += oomtask_charged_bytes(task);
        if (!program->largest ||
            oomtask_charged_bytes(task) > oomtask_charged_bytes(program->largest))
            program->largest = task;
        if (program->held_bytes > most->held_bytes)
            most = program;
    }
    g_hash_table_unref(by_name);
    return *most;
}

static char *
why_program(const Program *program)
{
    g_autofree char *label = oomblame_label(program->largest);
    g_autofree char *name = units_printable(program->largest->name, -1);
    g_autofree char *held = units_format_size_short(program->held_bytes);
    g_autofree char *one = units_format_size_short(oomtask_charged_bytes(program->largest));

    if (program->n == 1)
        return g_strdup_printf("%s holds %s, more than any other program of the host", label, held);
    return g_strdup_printf("%u tasks of %s hold %s, more than any other program of the host; the "
                           "largest is %s with %s",
                           program->n, name, held, label, one);
}

static char *
why_nodes(const OomReport *report)
{
    g_autofree char *nodes = units_printable(report->nodes, -1);
    g_autofree char *free =
        units_format_size_short(oomblame_less(report->limit.bytes, report->usage.bytes));

    if (!report->limit.is_known || !report->usage.is_known)
        return g_strdup_printf("a cpuset or memory policy allowed only the memory of node %s",
                               nodes);
    return g_strdup_printf("a cpuset or memory policy allowed only the memory of node %s, while "
                           "the host had %s free",
                           nodes, free);
}

/* Set aside, and more of it in no use than any program holds. */
static bool
is_lost_to_huge_pages(const OomReport *report, const OomCase *judged, const Program *program)
{
    guint64 unused = report->hugetlb_free.bytes;
    guint64 left = oomblame_less(report->limit.bytes, report->hugetlb.bytes);

    return report->limit.is_known && unused >= report->limit.bytes / 4 &&
           (!program->largest ||
            (unused > program->held_bytes && program->held_bytes < left / 4)) &&
           (!judged->largest_qemu || unused > oomtask_charged_bytes(judged->largest_qemu));
}

static char *
why_huge_pages(const OomReport *report)
{
    g_autofree char *all = units_format_size_short(report->hugetlb.bytes);
    g_autofree char *ram = units_format_size_short(report->limit.bytes);
    g_autofree char *unused = units_format_size_short(report->hugetlb_free.bytes);

    return g_strdup_printf("%s of the host's %s are set aside as huge pages, %s of them in no use",
                           all, ram, unused);
}

void
oomblame_judge_host(OomReport *report, const OomCase *judged)
{
    const OomTask *largest = judged->largest_qemu;
    Program program = program_largest(report);
    guint64 qemus = report->parts.qemu.bytes + report->parts.guest.bytes;
    guint64 quarter = report->limit.bytes / 4;
    bool is_full = report->limit.is_known && qemus >= 3 * quarter && program.held_bytes < quarter;
    g_autofree char *label = largest ? oomblame_label(largest) : NULL;
    g_autofree char *held = units_format_size_short(largest ? oomtask_charged_bytes(largest) : 0);
    g_autofree char *ram = units_format_size_short(report->limit.bytes);
    g_autofree char *sum = units_format_size_short(qemus);

    if (report->is_sysrq)
        oomblame_set(&report->blame, OOM_ROLE_UNKNOWN, NULL,
                     g_strdup("somebody asked for it (SysRq f); memory need not have run out"));
    else if (report->nodes)
        oomblame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_nodes(report));
    else if (is_lost_to_huge_pages(report, judged, &program))
        oomblame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_huge_pages(report));
    else if (program.largest && !is_full &&
             (!judged->largest_qemu ||
              program.held_bytes > oomtask_charged_bytes(judged->largest_qemu)))
        oomblame_set(&report->blame, program.largest->role, program.largest, why_program(&program));
    else if (judged->worst.role == OOM_ROLE_QEMU &&
             judged->worst.excess_bytes > OOMBLAME_NOISE_BYTES)
        oomblame_set(&report->blame, OOM_ROLE_QEMU, judged->worst.task, oomblame_why(judged));
    else if (largest && report->limit.is_known && qemus >= report->limit.bytes / 2)
        oomblame_set(
            &report->blame, OOM_ROLE_GUEST, largest,
            g_strdup_printf("QEMU holds %s of the host's %s, %s %s of it: guests beyond what "
                            "the host has",
                            sum, ram, label, held));
    else
        oomblame_set(&report->blame, OOM_ROLE_UNKNOWN, NULL,
                     g_strdup("no task of the host stands out"));
}
