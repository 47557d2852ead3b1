/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hostmemory.h"
#include "overhead.h"

/* needed = guests + overheads + hugetlbfs + ARC's minimum + what is no VM, against MemTotal. What
 * is no VM has the reserve; where it holds more already, that is not the VMs' any more.
 *
 *   watch         needed > total, but swap holds the rest; or it fits only as measured and not as
 *                 reserved; or needed fits only when ZFS shrinks its
 *                 cache, which it does late; or the limits together allow more than there is
 *   doomed        needed > total + free swap: the guests need only touch what they own
 *   oom-imminent  doomed, and less than half of the reserve is available now */

static guint64
plus(guint64 a, guint64 b)
{
    return a > G_MAXINT64 - MIN(b, G_MAXINT64) ? G_MAXINT64 : a + b;
}

static guint64
less(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

void
host_vms_add(HostVms *vms, const MemorySample *memory, guint64 reserved_bytes)
{
    OverheadBounds bounds = overhead_measure(memory);

    vms->n_vms++;
    if (!memory->has_guest_ram) {
        vms->n_unknown++;
        return;
    }
    vms->guests_bytes = plus(vms->guests_bytes, pressure_chargeable(memory));
    vms->overheads_bytes = plus(vms->overheads_bytes, bounds.is_known ? bounds.low_bytes : 0);
    vms->reserved_bytes =
        plus(vms->reserved_bytes, MAX(reserved_bytes, bounds.is_known ? bounds.low_bytes : 0));
    if (memory->has_limit && memory->limit_is_own)
        vms->limits_bytes = plus(vms->limits_bytes, memory->limit_bytes);
    else if (!memory->has_limit)
        vms->n_unlimited++;
}

guint64
host_tree_others(const HostTree *trees, guint n_trees)
{
    guint64 others_bytes = 0;

    for (guint i = 0; i < n_trees; i++)
        others_bytes = plus(others_bytes, less(trees[i].held_bytes, trees[i].vms_bytes));
    return others_bytes;
}

HostVerdict
host_memory_judge(const HostMemory *memory, const HostVms *vms, guint64 reserve_bytes,
                  guint64 others_bytes)
{
    HostVerdict verdict = {.level = PRESSURE_UNKNOWN,
                           .reason = "the host's memory is unknown",
                           .host_bytes = MAX(reserve_bytes, others_bytes)};
    guint64 vms_bytes = plus(vms->guests_bytes, vms->overheads_bytes);
    guint64 cached_bytes = less(memory->arc_bytes, memory->arc_min_bytes);
    guint64 available_bytes = plus(memory->available_bytes, memory->has_arc ? cached_bytes : 0);

    if (!memory->is_known)
        return verdict;
    verdict.needed_bytes = plus(plus(vms_bytes, plus(memory->hugetlb_bytes, verdict.host_bytes)),
                                memory->has_arc ? memory->arc_min_bytes : 0);
    verdict.missing_bytes = less(verdict.needed_bytes, memory->total_bytes);
    verdict.arc_must_shrink = verdict.missing_bytes == 0 && memory->has_arc && vms->n_vms > 0 &&
                              plus(verdict.needed_bytes, cached_bytes) > memory->total_bytes;
    verdict.limits_exceed = plus(vms->limits_bytes, verdict.host_bytes) > memory->total_bytes;
    verdict.level = PRESSURE_OK;
    verdict.reason = "all guests' RAM and all beside it fit into the host's memory";
    if (vms->n_vms == 0) {
        verdict.missing_bytes = 0;
        verdict.reason = "no VM runs here";
    } else if (verdict.missing_bytes > memory->swap_free_bytes) {
        bool is_short = memory->has_available && available_bytes < reserve_bytes / 2;

        verdict.level = is_short ? PRESSURE_IMMINENT : PRESSURE_DOOMED;
        verdict.reason = is_short ? "the guests own more than the host has, and it is used up"
                                  : "the guests own more than the host has";
    } else if (verdict.missing_bytes > 0) {
        verdict.level = PRESSURE_WATCH;
        verdict.reason = "the guests own more than the host has without its swap";
    } else if (plus(verdict.needed_bytes, less(vms->reserved_bytes, vms->overheads_bytes)) >
               memory->total_bytes) {
        verdict.level = PRESSURE_WATCH;
        verdict.reason = "what is reserved beside the guests does not fit into the host's memory";
    } else if (verdict.limits_exceed) {
        verdict.level = PRESSURE_WATCH;
        verdict.reason = "the limits together allow more than the host has";
    } else if (verdict.arc_must_shrink) {
        verdict.level = PRESSURE_WATCH;
        verdict.reason = "it fits only when ZFS gives back what it caches";
    }
    return verdict;
}
