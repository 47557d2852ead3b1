/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomblame-private.h"
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
 * A whole host has no shares: oomblame-host.c.
 *
 * The suggested limit holds the guest's whole RAM, what all others held, and a margin. Where guest
 * RAM is private, what QEMU held of its own is in the guest's part as long as the guest has not
 * touched everything: QEMU is given its share then. Without the guest's size: the limit, raised by
 * what was past the shares, and a margin. In a domain without a VM it holds what was in use. It is
 * never less than that. */

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
/* An excess up to OOMBLAME_NOISE_BYTES blames nobody; small domains differ less. */
#define NOISE_MIN_BYTES (1 * UNITS_MIB)
#define NOISE_DIVISOR 64
/* How far charges that may not fail, and those that CPUs have in stock, go past a limit. */
#define OVERSHOOT_BYTES (256 * UNITS_KIB)
#define OVERSHOOT_DIVISOR 16
/* Room in the suggestion: a tenth of what is not guest RAM, but at least this: two bursts of a busy
 * QEMU's heap. */
#define MARGIN_BYTES (16 * UNITS_MIB)
#define MARGIN_DIVISOR 10

static void
case_add(OomCase *judged, OomSuspect suspect)
{
    const OomSize *limit = &judged->report->limit;

    if (limit->is_known)
        suspect.share_bytes = MIN(suspect.share_bytes, limit->bytes / SHARE_DIVISOR);
    suspect.excess_bytes = oomblame_less(suspect.held_bytes, suspect.share_bytes);
    judged->fair_bytes += MIN(suspect.held_bytes, suspect.share_bytes);
    judged->excess_bytes += suspect.excess_bytes;
    if (suspect.excess_bytes > judged->worst.excess_bytes)
        judged->worst = suspect;
}

static void
case_add_tasks(OomCase *judged)
{
    const OomReport *report = judged->report;
    OomSuspect strangers = {.role = OOM_ROLE_STRANGER, .held_bytes = report->parts.strangers.bytes};
    OomSuspect qemu = {.role = OOM_ROLE_QEMU, .held_bytes = report->parts.qemu.bytes};

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
            case_add(judged, (OomSuspect){.role = OOM_ROLE_HELPER,
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
case_add_rest(OomCase *judged)
{
    const OomReport *report = judged->report;
    guint64 share = MAX(report->limit.bytes / KERNEL_SHARE_DIVISOR, KERNEL_SHARE_MIN_BYTES);
    guint64 mapped = 0;

    case_add(judged, (OomSuspect){.role = OOM_ROLE_KERNEL,
                                  .share_bytes = share,
                                  .held_bytes = report->kernel.bytes});
    for (guint i = 0; i < report->tasks->len; i++)
        mapped += g_array_index(report->tasks, OomTask, i).charged_shmem_bytes;
    case_add(judged,
             (OomSuspect){.role = OOM_ROLE_UNKNOWN,
                          .held_bytes = MIN(oomblame_less(report->charge.shmem.bytes, mapped),
                                            report->parts.unexplained.bytes)});
}

char *
oomblame_label(const OomTask *task)
{
    g_autofree char *name = units_printable(task->name, -1);

    return g_strdup_printf("%s[%" G_GINT64_FORMAT "]", name, task->pid);
}

static char *
why_past_share(const OomSuspect *suspect, const char *who)
{
    g_autofree char *held = units_format_size_short(suspect->held_bytes);
    g_autofree char *excess = units_format_size_short(suspect->excess_bytes);
    g_autofree char *share = units_format_size_short(suspect->share_bytes);

    return g_strdup_printf("%s holds %s, %s past its share of %s", who, held, excess, share);
}

static char *
why_strangers(const OomCase *judged)
{
    const OomSuspect *worst = &judged->worst;
    g_autofree char *label = oomblame_label(worst->task);
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

char *
oomblame_why(const OomCase *judged)
{
    const OomSuspect *worst = &judged->worst;
    g_autofree char *label = worst->task ? oomblame_label(worst->task) : NULL;
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
why_limit(const OomCase *judged)
{
    const OomReport *report = judged->report;
    guint64 room = oomblame_less(report->limit.bytes, judged->guest.bytes);
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

void
oomblame_set(OomBlame *blame, OomRole role, const OomTask *task, char *why)
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
qemu_unseen(const OomCase *judged)
{
    const OomTask *qemu = judged->largest_qemu;
    const OomReport *report = judged->report;

    if (!qemu || report->parts.qemu.bytes > 0 ||
        qemu->charged_shmem_bytes > qemu->charged_anon_bytes)
        return 0;
    return MIN(QEMU_SHARE_BYTES, report->limit.bytes / SHARE_DIVISOR);
}

static OomSize
suggest_limit(const OomCase *judged, OomSize guest)
{
    const OomReport *report = judged->report;
    guint64 others = oomblame_less(report->usage.bytes, report->parts.guest.bytes);
    guint64 margin = MAX(others / MARGIN_DIVISOR, MARGIN_BYTES);
    bool has_vm = judged->has_qemu || report->vm;
    guint64 needed = report->limit.bytes + (has_vm ? judged->excess_bytes : 0);

    if (!report->limit.is_known || !report->usage.is_known || oomreport_is_swap_limited(report))
        return (OomSize){false, 0};
    if (guest.is_known && report->parts.guest.is_known) {
        others += qemu_unseen(judged);
        if (!g_uint64_checked_add(&needed, guest.bytes, oomblame_less(others, report->cache.bytes)))
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
judge_memcg(OomReport *report, OomCase *judged, OomSize guest)
{
    guint64 noise =
        CLAMP(report->limit.bytes / NOISE_DIVISOR, NOISE_MIN_BYTES, OOMBLAME_NOISE_BYTES);
    guint64 needed, shortfall;
    bool is_told = report->parts.guest.is_known || !judged->has_qemu;

    case_add_rest(judged);
    judged->guest = report->parts.guest;
    if (report->parts.guest.is_known && guest.is_known)
        judged->guest = guest;
    if (!g_uint64_checked_add(&needed, judged->guest.bytes, judged->fair_bytes))
        needed = G_MAXUINT64;
    shortfall = report->limit.is_known ? oomblame_less(needed, report->limit.bytes) : 0;
    if (is_limit_lowered(report))
        oomblame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_lowered(report));
    else if (is_told && report->tasks->len > 0 && report->limit.is_known &&
             MAX(judged->worst.excess_bytes, noise) <= MAX(shortfall, noise))
        oomblame_set(&report->blame, OOM_ROLE_LIMIT, NULL, why_limit(judged));
    else if (judged->worst.excess_bytes > noise)
        oomblame_set(&report->blame, judged->worst.role, judged->worst.task, oomblame_why(judged));
    else
        oomblame_set(
            &report->blame, OOM_ROLE_UNKNOWN, NULL,
            g_strdup(judged->has_qemu
                         ? "nobody beside QEMU is past its share; without the guest's size "
                           "its RAM cannot be told from QEMU's own"
                         : "the log does not tell enough"));
    if (report->blame.role != OOM_ROLE_UNKNOWN || judged->worst.excess_bytes > noise)
        report->blame.suggested_limit = suggest_limit(judged, guest);
    if (oomreport_is_swap_limited(report))
        blame_add_swap_limit(report);
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
    label = oomblame_label(larger);
    size = units_format_size_short(task_size(larger));
    return g_strdup_printf("its oom_score_adj %d outweighed its %s: %s had %s, but %d%s",
                           victim->oom_score_adj, own, label, size, larger->oom_score_adj, scope);
}

void
oomblame_judge(OomReport *report, OomSize guest)
{
    OomCase judged = {.report = report, .worst = {.role = OOM_ROLE_UNKNOWN}};

    case_add_tasks(&judged);
    if (report->constraint == OOM_CONSTRAINT_GLOBAL)
        oomblame_judge_host(report, &judged);
    else
        judge_memcg(report, &judged, guest);
    report->victim_why = why_victim(report);
}
