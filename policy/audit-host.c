/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What bites all VMs of a host. */

#include "audit.h"

#include "units.h"

#include <string.h>

/* Named one by one; the rest are small. */
#define NAMED_MAX 4
/* KubeVirt asks for 0.3 GiB for it, and has heard of nodes where it took tens. */
#define HANDLER_BYTES UNITS_GIB
/* Less than that in a tree takes no host. */
#define SMALL_BYTES (64 * UNITS_MIB)

static AuditFinding *
finding_new(const char *name, AuditSeverity severity, char *why, const char *source, char *remedy)
{
    AuditFinding *finding = g_new0(AuditFinding, 1);

    finding->name = name;
    finding->severity = severity;
    finding->is_running = true;
    finding->why = why;
    finding->source = g_strdup(source);
    finding->remedy = remedy;
    return finding;
}

AuditFinding *
audit_overcommit(guint64 guests_bytes, guint64 beside_bytes, guint64 total_bytes)
{
    g_autofree char *guests = units_format_size_short(guests_bytes);
    g_autofree char *beside = units_format_size_short(beside_bytes);
    g_autofree char *total = units_format_size_short(total_bytes);

    if (total_bytes == 0 || guests_bytes + beside_bytes <= total_bytes)
        return NULL;
    return finding_new(
        "host-overcommit", AUDIT_WARNING,
        g_strdup_printf("guests of %s and %s beside them on a host of %s: when they fill, the "
                        "kernel kills the largest VM",
                        guests, beside, total),
        "MemTotal against the sum of the guests' RAM and reservations",
        g_strdup("fewer or smaller guests here, or more memory"));
}

/* What systemctl takes, without a quote. */
static bool
is_slice(const char *label)
{
    return *label == '/' && g_str_has_suffix(label, ".slice") &&
           strspn(label + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
               strlen(label + 1);
}

static bool
is_uncapped(const HostTree *tree)
{
    return !tree->has_limit && host_tree_others(tree, 1) >= SMALL_BYTES;
}

/* "user.slice 2.1G, docker.slice 300M"; NULL: there is none. */
static char *
uncapped_names(const HostTree *trees, guint n_trees, const HostTree **ret_largest)
{
    GString *names = g_string_new(NULL);
    guint n = 0;

    *ret_largest = NULL;
    for (guint i = 0; i < n_trees; i++) {
        g_autofree char *held = units_format_size_short(host_tree_others(&trees[i], 1));

        if (!is_uncapped(&trees[i]))
            continue;
        if (!*ret_largest || host_tree_others(&trees[i], 1) > host_tree_others(*ret_largest, 1))
            *ret_largest = &trees[i];
        if (n++ < NAMED_MAX)
            g_string_append_printf(names, "%s%s %s", n > 1 ? ", " : "", trees[i].label, held);
    }
    if (n > NAMED_MAX)
        g_string_append_printf(names, ", %u more", n - NAMED_MAX);
    return g_string_free(names, n == 0);
}

/* Half as much again, in whole MiB: room for what is usual, none for a leak. */
static char *
cap_of(const HostTree *tree)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT "M",
                           host_tree_others(tree, 1) * 3 / 2 / UNITS_MIB + 1);
}

static char *
over_words(guint64 others_bytes, guint64 vms_bytes, guint64 total_bytes)
{
    g_autofree char *others = units_format_size_short(others_bytes);
    g_autofree char *vms = units_format_size_short(vms_bytes);
    g_autofree char *total = units_format_size_short(total_bytes);

    return g_strdup_printf("; all that is no VM holds %s, the VMs need %s, and the host has %s",
                           others, vms, total);
}

AuditFinding *
audit_uncapped(const HostTree *trees, guint n_trees, guint64 vms_bytes, guint64 total_bytes)
{
    const HostTree *largest;
    g_autofree char *names = uncapped_names(trees, n_trees, &largest);
    guint64 others_bytes = host_tree_others(trees, n_trees);
    bool is_over = total_bytes > 0 && others_bytes > total_bytes - MIN(vms_bytes, total_bytes);
    g_autofree char *over = NULL, *cap = NULL;
    AuditFinding *finding;

    if (!names)
        return NULL;
    over = over_words(others_bytes, vms_bytes, total_bytes);
    cap = cap_of(largest);
    finding = finding_new(
        "uncapped-trees", is_over ? AUDIT_WARNING : AUDIT_NOTE,
        g_strdup_printf("no memory limit on %s: what grows there takes the VMs' memory, and the "
                        "kernel then kills the largest VM%s",
                        names, is_over ? over : ""),
        "what the groups hold that cannot be reclaimed, against MemTotal",
        is_slice(largest->label)
            ? g_strdup_printf("systemctl set-property %s MemoryMax=%s", largest->label + 1, cap)
            : g_strdup_printf("give %s a memory limit of %s", largest->label, cap));
    finding->preflight = "what it holds at its busiest: at its limit the kernel kills within it";
    return finding;
}

AuditFinding *
audit_limits_sum(guint64 vms_bytes, const HostTree *trees, guint n_trees, guint64 reserve_bytes,
                 guint64 total_bytes)
{
    g_autofree char *limits = NULL, *total = units_format_size_short(total_bytes);
    g_autofree char *reserve = units_format_size_short(reserve_bytes);
    guint64 sum_bytes = vms_bytes;

    for (guint i = 0; i < n_trees; i++)
        if (trees[i].has_limit && trees[i].vms_bytes == 0)
            sum_bytes += MIN(trees[i].limit_bytes, G_MAXUINT64 - sum_bytes);
    if (total_bytes == 0 || vms_bytes == 0 ||
        sum_bytes <= total_bytes - MIN(reserve_bytes, total_bytes))
        return NULL;
    limits = units_format_size_short(sum_bytes);
    return finding_new(
        "limits-exceed-host", AUDIT_NOTE,
        g_strdup_printf("the limits together allow %s, and the host has %s of which %s are its "
                        "own: no limit stops them in time, the whole host runs out first",
                        limits, total, reserve),
        "the VMs' own limits and those of trees without VMs against MemTotal",
        g_strdup("lower limits, fewer VMs here, or more memory"));
}

AuditFinding *
audit_virt_handler(gint64 pid, const char *group, guint64 held_bytes)
{
    g_autofree char *held = units_format_size_short(held_bytes);

    if (held_bytes <= HANDLER_BYTES)
        return NULL;
    return finding_new(
        "virt-handler-grows", AUDIT_WARNING,
        g_strdup_printf("virt-handler[%" G_GINT64_FORMAT "] in %s holds %s that cannot be "
                        "reclaimed: it is taken from the VMs of this node",
                        pid, group, held),
        "KubeVirt issues 9820 and 13295",
        g_strdup("kubectl delete its pod of this node: the DaemonSet starts a new one, VMs go on"));
}
