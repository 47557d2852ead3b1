/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomevent.h"
#include "oomreader-private.h"

#include <string.h>

static OomTask *
task_of_victim(const OomReport *report)
{
    for (guint i = 0; i < report->tasks->len; i++)
        if (g_array_index(report->tasks, OomTask, i).pid == report->victim.pid)
            return &g_array_index(report->tasks, OomTask, i);
    return NULL;
}

OomDraft *
oomdraft_new(const OomPrefix *prefix)
{
    OomDraft *draft = g_new0(OomDraft, 1);
    OomReport *report = &draft->report;

    report->time = prefix->time;
    draft->last_time = prefix->time;
    if (prefix->when.start)
        report->when = g_strndup(prefix->when.start, prefix->when.length);
    report->tasks = g_array_new(FALSE, FALSE, sizeof(OomTask));
    report->victims = g_array_new(FALSE, FALSE, sizeof(OomTask));
    return draft;
}

void
oomdraft_free(OomDraft *draft)
{
    OomReport *report = &draft->report;

    g_free(report->source);
    g_free(report->when);
    g_free(report->invoker);
    g_free(report->victim_why);
    g_free(report->domain);
    g_free(report->task_group);
    g_free(report->nodes);
    g_free(report->vm);
    g_free(report->blame.why);
    g_array_unref(report->tasks);
    g_array_unref(report->victims);
    g_free(draft);
}

bool
oomtime_is_near(OomTime from, OomTime to, bool otherwise)
{
    gint64 difference_us = to.us - from.us;

    if (from.clock == OOM_CLOCK_NONE || from.clock != to.clock)
        return otherwise;
    return ABS(difference_us) <= OOM_EVENT_US;
}

/* "machine-qemu\x2d7\x2dvm4.scope" as systemd escapes it, once more escaped by some logs. */
static char *
unescape(const char *text, gsize length)
{
    GString *plain = g_string_new(NULL);

    for (gsize i = 0; i < length; i++) {
        if (length - i >= 4 && text[i] == '\\' && text[i + 1] == 'x' &&
            g_ascii_isxdigit(text[i + 2]) && g_ascii_isxdigit(text[i + 3])) {
            g_string_append_c(plain, (char)(g_ascii_xdigit_value(text[i + 2]) * 16 +
                                            g_ascii_xdigit_value(text[i + 3])));
            i += 3;
        } else {
            g_string_append_c(plain, text[i]);
        }
    }
    return g_string_free(plain, FALSE);
}

/* What stands between a beginning and an end of the path's part; NULL when it has neither. */
static char *
part_between(const char *part, const char *beginning, const char *end)
{
    gsize length = strlen(part), n = strlen(beginning), n_end = strlen(end);

    if (length <= n + n_end || strncmp(part, beginning, n) != 0 ||
        strcmp(part + length - n_end, end) != 0)
        return NULL;
    return g_strndup(part + n, length - n - n_end);
}

/* "machine-qemu-7-vm4.scope" -> "vm4"; libvirt's number goes, also in "qemu-7-vm4.libvirt-qemu" */
static char *
vm_of_libvirt(const char *part)
{
    g_autofree char *rest = part_between(part, "machine-qemu-", ".scope");
    const char *name;

    if (!rest)
        rest = part_between(part, "qemu-", ".libvirt-qemu");
    if (!rest)
        return part_between(part, "", ".libvirt-qemu");
    name = rest + strspn(rest, "0123456789");
    return name > rest && name[0] == '-' && name[1] != '\0' ? g_strdup(name + 1) : NULL;
}

/* "pod<uid>", or "kubepods-burstable-pod<uid>.slice" with "_" for "-" */
static char *
vm_of_pod(const char *part)
{
    const char *pod = strncmp(part, "pod", 3) == 0 ? part : strstr(part, "-pod");
    gsize length;
    char *name;

    if (!pod || (pod != part && strncmp(part, "kube", 4) != 0))
        return NULL;
    pod = *pod == '-' ? pod + 1 : pod;
    length = strspn(pod + 3, "0123456789abcdefABCDEF-_");
    if (length < 32 || (pod[3 + length] != '\0' && strcmp(pod + 3 + length, ".slice") != 0))
        return NULL;
    name = g_strndup(pod, 3 + length);
    for (char *at = name; *at; at++)
        *at = *at == '_' ? '-' : *at;
    return name;
}

/* The VM that a cgroup's path names: libvirt's scope, Proxmox's /qemu.slice/<id>.scope, the uid of
 * a Kubernetes pod. */
static char *
vm_of_path(const char *path)
{
    bool is_proxmox = false;

    while (path && *path) {
        gsize length = strcspn(path, "/");
        g_autofree char *once = unescape(path, length);
        g_autofree char *part = unescape(once, strlen(once));
        char *vm = is_proxmox ? part_between(part, "", ".scope") : NULL;

        vm = vm ? vm : vm_of_libvirt(part);
        vm = vm ? vm : vm_of_pod(part);
        if (vm)
            return vm;
        is_proxmox = strcmp(part, "qemu.slice") == 0;
        path += length + (path[length] == '/' ? 1 : 0);
    }
    return NULL;
}

/* Kills tell more of the victim than the table before 6.8, and the table more than the kills. */
static void
victim_join(OomReport *report)
{
    OomTask *listed = task_of_victim(report), *victim = &report->victim;

    if (!listed)
        return;
    victim->rss = listed->rss;
    victim->swap = listed->swap;
    victim->has_oom_score_adj = listed->has_oom_score_adj;
    victim->oom_score_adj = listed->oom_score_adj;
    if (listed->pgtables.is_known)
        victim->pgtables = listed->pgtables;
    else
        listed->pgtables = victim->pgtables;
    if (listed->anon.is_known)
        return;
    listed->anon = victim->anon;
    listed->file = victim->file;
    listed->shmem = victim->shmem;
}

/* The kill is cut off, but the kernel had said whom it would be. */
static void
victim_choose(OomDraft *draft)
{
    OomReport *report = &draft->report;
    OomTask *victim = &report->victim;

    if (report->has_victim || draft->chosen_pid <= 0 || draft->chosen_name[0] == '\0')
        return;
    report->has_victim = true;
    victim->pid = draft->chosen_pid;
    memcpy(victim->name, draft->chosen_name, sizeof victim->name);
    victim->role = oomrole_of(victim->name, NULL);
    g_array_append_vals(report->victims, victim, 1);
}

static void
victim_sum_rss(OomTask *victim)
{
    if (!victim->rss.is_known && victim->anon.is_known)
        victim->rss = oomsize_of(victim->anon.bytes + victim->file.bytes + victim->shmem.bytes, 1);
}

/* A report without a kill says the host's nodes nowhere, and a memcg's domain in its figures. */
static bool
draft_is_whole(const OomDraft *draft)
{
    const OomReport *report = &draft->report;
    const guint needed = OOM_SEEN_INVOKED | OOM_SEEN_TABLE;
    bool is_memcg = report->constraint == OOM_CONSTRAINT_MEMCG;
    bool has_end = draft->seen & OOM_SEEN_ENDED
                       ? true
                       : draft->seen & OOM_SEEN_KILLED && task_of_victim(report) &&
                             report->victim.anon.is_known;

    return has_end && (draft->seen & needed) == needed &&
           !(draft->seen & (OOM_SEEN_CUT | OOM_SEEN_MIXED)) &&
           report->constraint != OOM_CONSTRAINT_UNKNOWN && report->domain &&
           report->usage.is_known && report->limit.is_known && report->charge.anon.is_known &&
           (!is_memcg || report->cache.is_known);
}

static void
draft_end_domain(OomDraft *draft)
{
    OomReport *report = &draft->report;
    const OomStats *stats = &draft->stats;
    bool is_managed = stats->ram.is_known && stats->ram.bytes >= stats->reserved.bytes;

    if (report->constraint == OOM_CONSTRAINT_UNKNOWN && report->usage.is_known)
        report->constraint = OOM_CONSTRAINT_MEMCG;
    else if (report->constraint == OOM_CONSTRAINT_UNKNOWN && stats->ram.is_known)
        report->constraint = OOM_CONSTRAINT_GLOBAL;
    report->charge = oomstats_charge(stats, report->constraint);
    report->kernel = report->charge.kernel;
    if (report->constraint != OOM_CONSTRAINT_GLOBAL) {
        if (report->charge.file.is_known)
            report->cache =
                (OomSize){true, report->charge.file.bytes -
                                    MIN(report->charge.file.bytes, report->charge.shmem.bytes)};
        return;
    }
    g_free(report->domain);
    report->domain = g_strdup("/");
    if (!is_managed)
        return;
    report->limit = (OomSize){true, stats->ram.bytes - stats->reserved.bytes};
    report->hugetlb = stats->hugetlb;
    report->hugetlb_free = stats->hugetlb_free;
    if (stats->free.is_known && stats->free.bytes <= report->limit.bytes)
        report->usage = (OomSize){true, report->limit.bytes - stats->free.bytes};
}

void
oomdraft_end(OomDraft *draft)
{
    OomReport *report = &draft->report;

    draft_end_domain(draft);
    report->is_complete = draft_is_whole(draft);
    victim_choose(draft);
    victim_join(report);
    victim_sum_rss(&report->victim);
    if (report->victims->len > 0)
        g_array_index(report->victims, OomTask, 0) = report->victim;
    for (guint i = 1; i < report->victims->len; i++)
        victim_sum_rss(&g_array_index(report->victims, OomTask, i));
    report->vm = vm_of_path(report->task_group);
    if (!report->vm)
        report->vm = vm_of_path(report->domain);
}

/* Only the kill, as other programs repeat it. */
static bool
draft_is_bare(const OomDraft *draft)
{
    return !(draft->seen & (OOM_SEEN_INVOKED | OOM_SEEN_USAGE | OOM_SEEN_TABLE));
}

/* A process dies once: the same death again is the same report from another log. */
static bool
draft_is_copy(const OomDraft *draft, const OomDraft *of)
{
    const OomReport *a = &draft->report, *b = &of->report;

    if (!a->has_victim || !b->has_victim || a->victim.pid != b->victim.pid ||
        strcmp(a->victim.name, b->victim.name) != 0 ||
        a->victim.anon.bytes != b->victim.anon.bytes || !oomtime_is_near(a->time, b->time, true))
        return false;
    if (draft_is_bare(draft) || draft_is_bare(of))
        return true;
    if (*a->source && *b->source && strcmp(a->source, b->source) != 0)
        return false;
    return a->usage.bytes == b->usage.bytes && a->failures == b->failures &&
           a->tasks->len == b->tasks->len;
}

static void
drafts_drop_copies(GPtrArray *drafts)
{
    for (guint i = 0; i < drafts->len; i++) {
        const OomDraft *kept = drafts->pdata[i];

        for (guint j = drafts->len; j-- > i + 1;) {
            if (!draft_is_copy(drafts->pdata[j], kept))
                continue;
            if (draft_is_bare(kept)) {
                gpointer fuller = drafts->pdata[j];

                drafts->pdata[j] = drafts->pdata[i];
                drafts->pdata[i] = fuller;
                kept = fuller;
            }
            g_ptr_array_remove_index(drafts, j);
        }
    }
}

/* The last one before i that ran into the same limit; NULL. */
static OomReport *
last_beside(const GPtrArray *drafts, guint i)
{
    for (guint j = i; j-- > 0;)
        if (oomevent_is_beside(drafts->pdata[i], drafts->pdata[j]))
            return drafts->pdata[j];
    return NULL;
}

void
oomdrafts_join(GPtrArray *drafts)
{
    for (guint i = drafts->len; i-- > 0;) {
        const OomDraft *draft = drafts->pdata[i];
        bool has_figures = draft->seen & OOM_SEEN_USAGE && draft->seen & OOM_SEEN_STATS;

        if (!(draft->seen & OOM_SEEN_EVIDENCE) && !has_figures)
            g_ptr_array_remove_index(drafts, i);
    }
    drafts_drop_copies(drafts);
    for (guint i = 0; i < drafts->len; i++) {
        OomReport *before = last_beside(drafts, i);

        if (before && oomevent_continues(drafts->pdata[i], before))
            oomevent_join(drafts->pdata[i], before);
    }
}

const char *
oomconstraint_name(OomConstraint constraint)
{
    static const char *const names[] = {
        [OOM_CONSTRAINT_UNKNOWN] = "unknown",
        [OOM_CONSTRAINT_MEMCG] = "memcg",
        [OOM_CONSTRAINT_GLOBAL] = "global",
    };

    return names[constraint];
}

/* Charges are counted in batches on each CPU. */
#define SWAP_LIMIT_SLACK_BYTES (2 * 1024 * 1024)

bool
oomreport_is_swap_limited(const OomReport *report)
{
    return report->with_swap.is_known && report->with_swap_limit.is_known &&
           report->usage.is_known && report->limit.is_known &&
           report->with_swap.bytes + SWAP_LIMIT_SLACK_BYTES >= report->with_swap_limit.bytes &&
           report->usage.bytes + SWAP_LIMIT_SLACK_BYTES < report->limit.bytes;
}

const char *
oomoutcome_name(OomOutcome outcome)
{
    static const char *const names[] = {
        [OOM_OUTCOME_UNKNOWN] = "unknown",
        [OOM_OUTCOME_KILLED] = "killed",
        [OOM_OUTCOME_NOBODY] = "nobody",
        [OOM_OUTCOME_PANIC] = "panic",
    };

    return names[outcome];
}
