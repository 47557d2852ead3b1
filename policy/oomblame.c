/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomblame.h"
#include "oomevent.h"
#include "oomline.h"
#include "oomparts.h"
#include "units.h"

#include <string.h>

/* In a memcg the one who is farthest past its share is to blame, whoever died:
 *
 *   stranger   has no share: all that strangers hold counts
 *   helper     what one helper holds past its own share (role.c)
 *   kernel     past 1/64 of the limit, or 32 MiB
 *   qemu       QEMU's own memory past its share; only where guest RAM is told apart
 *   limit      what the guest's RAM and everybody's fair part need past the limit; also when guest
 *              RAM is told apart and nobody is past a share
 *   unknown    tmpfs files past nobody's share; or nobody beside QEMU is past its share, and the
 *              guest's RAM cannot be told from QEMU's own
 *
 * In a small domain no share is more than a quarter of the limit.
 *
 * Whatever the shares: a limit that was set far below what was in use already is to blame itself.
 *
 * A whole host has no shares: the program is to blame whose tasks hold more than any QEMU, unless
 * guests fill three quarters of the host and the program less than one. When a QEMU holds most it
 * is its own memory, if the guest's size is known to say so; the guests', if QEMUs hold half of the
 * host; else unknown. Where a cpuset or a memory policy allowed some nodes only, that is the limit.
 * Nobody is to blame for what was asked for (SysRq).
 *
 * The suggested limit holds the guest's whole RAM, what all others held, and a margin. Where guest
 * RAM is private, what QEMU held of its own is in the guest's part as long as the guest has not
 * touched everything: QEMU is given its share then. Without the
 * guest's size: the limit, raised by what was past the shares, and a margin. In a domain without a
 * VM it holds what was in use. It is never less than that. */

/* KubeVirt's terms (main): QEMU 50, IOThread 8, video 32, and 8 for each of four vCPUs; a report
 * does not say how many there are. */
#define QEMU_SHARE_BYTES (122 * UNITS_MIB)
/* Page tables are 1/512 of the guest's RAM and shadowed once more by KVM's; twice the 0.75 to 0.93
 * % that reports of 16 to 64 GiB guests show. Small domains pay for stacks and slab all the same.
 */
#define KERNEL_SHARE_DIVISOR 64
#define KERNEL_SHARE_MIN_BYTES (32 * UNITS_MIB)
/* Shares are those of VMs of a GiB and more. Four of them fill a smaller domain. */
#define SHARE_DIVISOR 4
/* An excess up to this blames nobody: a shell beside a VM is some MiB. Small domains differ less.
 */
#define NOISE_BYTES (16 * UNITS_MIB)
#define NOISE_MIN_BYTES (1 * UNITS_MIB)
#define NOISE_DIVISOR 64
/* How far charges that may not fail, and those that CPUs have in stock, go past a limit. */
#define OVERSHOOT_BYTES (256 * UNITS_KIB)
#define OVERSHOOT_DIVISOR 16
/* Room in the suggestion: a tenth of what is not guest RAM, but at least this: two bursts of a busy
 * QEMU's heap. */
#define MARGIN_BYTES (16 * UNITS_MIB)
#define MARGIN_DIVISOR 10

typedef struct {
    OomRole role;
    const OomTask *task; /* NULL = no single one */
    guint64 excess_bytes, share_bytes, held_bytes;
} Suspect;

typedef struct {
    const OomReport *report;
    OomSize guest; /* RAM as configured, or as far as it was touched; known only if told apart */
    bool has_qemu;
    const OomTask *largest_qemu;
    guint n_strangers;
    guint64 fair_bytes;   /* everybody but the guest, none past its share */
    guint64 excess_bytes; /* everybody's, summed */
    Suspect worst;
} Case;

static guint64
difference(guint64 from, guint64 subtrahend)
{
    return from - MIN(from, subtrahend);
}

static void
case_add(Case *judged, Suspect suspect)
{
    const OomSize *limit = &judged->report->limit;

    if (limit->is_known)
        suspect.share_bytes = MIN(suspect.share_bytes, limit->bytes / SHARE_DIVISOR);
    suspect.excess_bytes = difference(suspect.held_bytes, suspect.share_bytes);
    judged->fair_bytes += MIN(suspect.held_bytes, suspect.share_bytes);
    judged->excess_bytes += suspect.excess_bytes;
    if (suspect.excess_bytes > judged->worst.excess_bytes)
        judged->worst = suspect;
}

static void
case_add_tasks(Case *judged)
{
    const OomReport *report = judged->report;
    Suspect strangers = {.role = OOM_ROLE_STRANGER, .held_bytes = report->parts.strangers.bytes};
    Suspect qemu = {.role = OOM_ROLE_QEMU, .held_bytes = report->parts.qemu.bytes};

    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = &g_array_index(report->tasks, OomTask, i);
        guint64 held = oomtask_charged_bytes(task), share;

        switch (oomrole_of(task->name, &share)) {
        case OOM_ROLE_QEMU:
            judged->has_qemu = true;
            qemu.share_bytes += QEMU_SHARE_BYTES;
            if (!judged->largest_qemu || held > oomtask_charged_bytes(judged->largest_qemu))
                judged->largest_qemu = task;
            if (!qemu.task || held > oomtask_charged_bytes(qemu.task))
                qemu.task = task;
            break;
        case OOM_ROLE_HELPER:
            case_add(judged, (Suspect){.role = OOM_ROLE_HELPER,
                                       .task = task,
                                       .share_bytes = share,
                                       .held_bytes = held});
            break;
        default:
            judged->n_strangers++;
            if (!strangers.task || held > oomtask_charged_bytes(strangers.task))
                strangers.task = task;
            break;
        }
    }
    case_add(judged, strangers);
    if (report->parts.guest.is_known)
        case_add(judged, qemu);
}

static void
case_add_rest(Case *judged)
{
    const OomReport *report = judged->report;
    guint64 share = MAX(report->limit.bytes / KERNEL_SHARE_DIVISOR, KERNEL_SHARE_MIN_BYTES);
    guint64 mapped = 0;

    case_add(judged, (Suspect){.role = OOM_ROLE_KERNEL,
                               .share_bytes = share,
                               .held_bytes = report->kernel.bytes});
    for (guint i = 0; i < report->tasks->len; i++)
        mapped += g_array_index(report->tasks, OomTask, i).charged_shmem_bytes;
    case_add(judged, (Suspect){.role = OOM_ROLE_UNKNOWN,
                               .held_bytes = MIN(difference(report->charge.shmem.bytes, mapped),
                                                 report->parts.unexplained.bytes)});
}

static char *
task_label(const OomTask *task)
{
    g_autofree char *name = units_printable(task->name, -1);

    return g_strdup_printf("%s[%" G_GINT64_FORMAT "]", name, task->pid);
}

static char *
why_past_share(const Suspect *suspect, const char *who)
{
    g_autofree char *held = units_format_size_short(suspect->held_bytes);
    g_autofree char *excess = units_format_size_short(suspect->excess_bytes);
    g_autofree char *share = units_format_size_short(suspect->share_bytes);

    return g_strdup_printf("%s holds %s, %s past its share of %s", who, held, excess, share);
}

static char *
why_strangers(const Case *judged)
{
    const Suspect *worst = &judged->worst;
    g_autofree char *label = task_label(worst->task);
    g_autofree char *held = units_format_size_short(worst->held_bytes);
    g_autofree char *limit = units_format_size_short(judged->report->limit.bytes);

    if (!judged->has_qemu && oomevent_has_qemu(judged->report))
        return g_strdup_printf("%s holds %s, the most beside a QEMU that was killed before it",
                               label, held);
    if (!judged->has_qemu && !judged->report->vm)
        return g_strdup_printf("%s holds the most in a domain without a VM", label);
    if (judged->n_strangers > 1)
        return g_strdup_printf("%u strangers hold %s beside the VM, most of it %s",
                               judged->n_strangers, held, label);
    return g_strdup_printf("%s holds %s beside the VM, where it has no share of the %s", label,
                           held, limit);
}

static char *
why_suspect(const Case *judged)
{
    const Suspect *worst = &judged->worst;
    g_autofree char *label = worst->task ? task_label(worst->task) : NULL;
    g_autofree char *held = units_format_size_short(worst->held_bytes);
    g_autofree char *own = NULL;

    switch (worst->role) {
    case OOM_ROLE_STRANGER:
        return why_strangers(judged);
    case OOM_ROLE_HELPER:
        return why_past_share(worst, label);
    case OOM_ROLE_QEMU:
        own = g_strconcat(label, " beside its guest's RAM", NULL);
        return why_past_share(worst, own);
    case OOM_ROLE_KERNEL:
        return why_past_share(worst, "the kernel on behalf of the domain");
    default:
        return g_strdup_printf("%s of shared memory is mapped by no task: files on a tmpfs", held);
    }
}

static char *
why_limit(const Case *judged)
{
    const OomReport *report = judged->report;
    guint64 room = difference(report->limit.bytes, judged->guest.bytes);
    g_autofree char *limit = units_format_size_short(report->limit.bytes);
    g_autofree char *guest = units_format_size_short(judged->guest.bytes);
    g_autofree char *left = units_format_size_short(room);
    g_autofree char *fair = units_format_size_short(judged->fair_bytes);

    if (!judged->has_qemu)
        return g_strdup_printf("nobody is past a share: the limit of %s is too small", limit);
    return g_strdup_printf("the limit of %s leaves %s beside the guest's %s; the others took %s "
                           "within their shares",
                           limit, left, guest, fair);
}

static void
blame_set(OomBlame *blame, OomRole role, const OomTask *task, char *why)
{
    blame->role = role;
    blame->why = why;
    blame->has_pid = task != NULL;
    if (!task)
        return;
    blame->pid = task->pid;
    memcpy(blame->name, task->name, sizeof blame->name);
}

/* What QEMU may have held of its own besides what is known of it. */
static guint64
qemu_unseen(const Case *judged)
{
    const OomTask *qemu = judged->largest_qemu;
    const OomReport *report = judged->report;

    if (!qemu || report->parts.qemu.bytes > 0 ||
        qemu->charged_shmem_bytes > qemu->charged_anon_bytes)
        return 0;
    return MIN(QEMU_SHARE_BYTES, report->limit.bytes / SHARE_DIVISOR);
}

static OomSize
suggest_limit(const Case *judged, OomSize guest)
{
    const OomReport *report = judged->report;
    guint64 others = difference(report->usage.bytes, report->parts.guest.bytes);
    guint64 margin = MAX(others / MARGIN_DIVISOR, MARGIN_BYTES);
    bool has_vm = judged->has_qemu || report->vm;
    guint64 needed = report->limit.bytes + (has_vm ? judged->excess_bytes : 0);

    if (!report->limit.is_known || !report->usage.is_known || oomreport_is_swap_limited(report))
        return (OomSize){false, 0};
    if (guest.is_known && report->parts.guest.is_known) {
        others += qemu_unseen(judged);
        if (!g_uint64_checked_add(&needed, guest.bytes, difference(others, report->cache.bytes)))
            return (OomSize){false, 0};
        needed = MAX(needed, report->limit.bytes);
    }
    needed = MAX(needed, report->usage.bytes);
    if (needed > G_MAXINT64 - margin - UNITS_MIB)
        return (OomSize){false, 0};
    needed += margin + UNITS_MIB - 1;
    return (OomSize){true, needed - needed % UNITS_MIB};
}

static bool
is_limit_lowered(const OomReport *report)
{
    return report->usage.is_known && report->limit.is_known &&
           report->usage.bytes >
               report->limit.bytes + report->limit.bytes / OVERSHOOT_DIVISOR + OVERSHOOT_BYTES;
}

static char *
why_lowered(const OomReport *report)
{
    g_autofree char *limit = units_format_size_short(report->limit.bytes);
    g_autofree char *usage = units_format_size_short(report->usage.bytes);

    return g_strdup_printf("it was set to %s while %s were in use", limit, usage);
}

/* The answer is of the memory; what ran out is memory and swap. */
static void
blame_add_swap_limit(OomReport *report)
{
    g_autofree char *before = report->blame.why;
    g_autofree char *used = units_format_size_short(report->with_swap.bytes);
    g_autofree char *limit = units_format_size_short(report->with_swap_limit.bytes);

    report->blame.why = g_strdup_printf(
        "%s; memory and swap together reached their limit, %s of %s", before, used, limit);
}

static void
judge_memcg(OomReport *report, Case *judged, OomSize guest)
{
    guint64 noise = CLAMP(report->limit.bytes / NOISE_DIVISOR, NOISE_MIN_BYTES, NOISE_BYTES);
    guint64 needed, shortfall;
    bool is_told = report->parts.guest.is_known || !judged->has_qemu;

    case_add_rest(judged);
    judged->guest = report->parts.guest;
    if (report->parts.guest.is_known && guest.is_known)
        judged->guest = guest;
    if (!g_uint64_checked_add(&needed, judged->guest.bytes, judged->fair_bytes))
        needed = G_MAXUINT64;
    shortfall = report->limit.is_known ? difference(needed, report->limit.bytes) : 0;
    if (is_limit_lowered(report))
        blame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_lowered(report));
    else if (is_told && report->tasks->len > 0 && report->limit.is_known &&
             MAX(judged->worst.excess_bytes, noise) <= MAX(shortfall, noise))
        blame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_limit(judged));
    else if (judged->worst.excess_bytes > noise)
        blame_set(&report->blame, judged->worst.role, judged->worst.task, why_suspect(judged));
    else
        blame_set(&report->blame, OOM_ROLE_UNKNOWN, NULL,
                  g_strdup(judged->has_qemu
                               ? "nobody beside QEMU is past its share; without the guest's size "
                                 "its RAM cannot be told from QEMU's own"
                               : "the log does not tell enough"));
    if (report->blame.role != OOM_ROLE_UNKNOWN || judged->worst.excess_bytes > noise)
        report->blame.suggested_limit = suggest_limit(judged, guest);
    if (oomreport_is_swap_limited(report))
        blame_add_swap_limit(report);
}

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
    g_autofree char *label = task_label(program->largest);
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
        units_format_size_short(difference(report->limit.bytes, report->usage.bytes));

    if (!report->limit.is_known || !report->usage.is_known)
        return g_strdup_printf("a cpuset or memory policy allowed only the memory of node %s",
                               nodes);
    return g_strdup_printf("a cpuset or memory policy allowed only the memory of node %s, while "
                           "the host had %s free",
                           nodes, free);
}

/* Set aside, and more of it in no use than any program holds. */
static bool
is_lost_to_huge_pages(const OomReport *report, const Case *judged, const Program *program)
{
    guint64 unused = report->hugetlb_free.bytes;

    return report->limit.is_known && unused >= report->limit.bytes / 4 &&
           (!program->largest || unused > program->held_bytes) &&
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

static void
judge_host(OomReport *report, const Case *judged)
{
    const OomTask *largest = judged->largest_qemu;
    Program program = program_largest(report);
    guint64 qemus = report->parts.qemu.bytes + report->parts.guest.bytes;
    guint64 quarter = report->limit.bytes / 4;
    bool is_full = report->limit.is_known && qemus >= 3 * quarter && program.held_bytes < quarter;
    g_autofree char *label = largest ? task_label(largest) : NULL;
    g_autofree char *held = units_format_size_short(largest ? oomtask_charged_bytes(largest) : 0);
    g_autofree char *ram = units_format_size_short(report->limit.bytes);
    g_autofree char *sum = units_format_size_short(qemus);

    if (report->is_sysrq)
        blame_set(&report->blame, OOM_ROLE_UNKNOWN, NULL,
                  g_strdup("somebody asked for it (SysRq f); memory need not have run out"));
    else if (report->nodes)
        blame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_nodes(report));
    else if (is_lost_to_huge_pages(report, judged, &program))
        blame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_huge_pages(report));
    else if (program.largest && !is_full &&
             (!judged->largest_qemu ||
              program.held_bytes > oomtask_charged_bytes(judged->largest_qemu)))
        blame_set(&report->blame, program.largest->role, program.largest, why_program(&program));
    else if (judged->worst.role == OOM_ROLE_QEMU && judged->worst.excess_bytes > NOISE_BYTES)
        blame_set(&report->blame, OOM_ROLE_QEMU, judged->worst.task, why_suspect(judged));
    else if (largest && report->limit.is_known && qemus >= report->limit.bytes / 2)
        blame_set(&report->blame, OOM_ROLE_GUEST, largest,
                  g_strdup_printf("QEMU holds %s of the host's %s, %s %s of it: guests beyond what "
                                  "the host has",
                                  sum, ram, label, held));
    else
        blame_set(&report->blame, OOM_ROLE_UNKNOWN, NULL,
                  g_strdup("no task of the host stands out"));
}

/* What the kernel compares: rss, swap and page tables, and the adjustment in thousandths of all
 * memory. */
static guint64
task_size(const OomTask *task)
{
    return task->rss.bytes + task->swap.bytes + task->pgtables.bytes;
}

static char *
why_victim(const OomReport *report)
{
    const OomTask *victim = &report->victim, *larger = NULL;
    bool is_global = report->constraint == OOM_CONSTRAINT_GLOBAL;
    const char *scope = is_global ? "; limits and cgroups do not count in it" : "";
    g_autofree char *label = NULL, *size = NULL, *own = NULL;

    if (!report->has_victim || report->tasks->len < 2 || !victim->has_oom_score_adj)
        return NULL;
    for (guint i = 0; i < report->tasks->len; i++) {
        const OomTask *task = &g_array_index(report->tasks, OomTask, i);

        if (task->pid != victim->pid && task_size(task) > task_size(larger ? larger : victim))
            larger = task;
    }
    own = units_format_size_short(task_size(victim));
    if (!larger)
        return g_strdup_printf("with %s it was the largest of %u tasks%s", own, report->tasks->len,
                               scope);
    if (!larger->has_oom_score_adj || larger->oom_score_adj >= victim->oom_score_adj)
        return NULL;
    label = task_label(larger);
    size = units_format_size_short(task_size(larger));
    return g_strdup_printf("its oom_score_adj %d outweighed its %s: %s had %s, but %d%s",
                           victim->oom_score_adj, own, label, size, larger->oom_score_adj, scope);
}

void
oomblame_judge(OomReport *report, OomSize guest)
{
    Case judged = {.report = report, .worst = {.role = OOM_ROLE_UNKNOWN}};

    case_add_tasks(&judged);
    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        judge_host(report, &judged);
    else
        judge_memcg(report, &judged, guest);
    report->victim_why = why_victim(report);
}
