/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Is there memory for all VMs of a host when each guest has touched its whole RAM? The same
 * question as pressure.h asks of one group, where no limit but the host's own memory ends it. */

#include "pressure.h"

typedef struct {
    bool is_known;
    guint64 total_bytes, free_bytes, swap_free_bytes;
    guint64 hugetlb_bytes; /* set aside for hugetlbfs, used or not */
    bool has_available;
    guint64 available_bytes; /* the kernel's own estimate; counts none of the ARC */
    bool has_arc;            /* of ZFS, which gives back what is above its minimum */
    guint64 arc_bytes, arc_min_bytes;
} HostMemory;

/* All VMs of the host. */
typedef struct {
    guint n_vms, n_unknown, n_unlimited; /* unknown: their RAM */
    guint64 guests_bytes;                /* RAM of all guests without that in hugetlbfs */
    guint64 overheads_bytes;             /* beside it, as measured at least */
    guint64 reserved_bytes; /* beside it, as policies reserve, or measured where that is more */
    guint64 limits_bytes;   /* of those that have one of their own, not in common with others */
} HostVms;

/* A group at the top of the hierarchy of memory, with all below it. */
typedef struct {
    const char *label;  /* its path, printable; borrowed */
    guint64 held_bytes; /* cannot be reclaimed */
    guint64 vms_bytes;  /* of it: what VMs' own groups hold */
    bool has_limit;
    guint64 limit_bytes;
} HostTree;

/* What trees hold beside VMs. */
guint64 host_tree_others(const HostTree *trees, guint n_trees);

typedef struct {
    PressureLevel level;
    const char *reason;   /* static sentence */
    guint64 host_bytes;   /* what is no VM: the reserve, or what it holds now where that is more */
    guint64 needed_bytes; /* guests, measured overheads, hugetlbfs, the ARC's minimum, host_bytes */
    guint64 missing_bytes; /* what that is more than the host has; 0 = enough */
    bool limits_exceed;    /* the limits together allow more than the host has */
    bool arc_must_shrink;  /* enough only when ZFS gives back what it caches now */
} HostVerdict;

/* others_bytes: host_tree_others(); 0 unknown. */
HostVerdict host_memory_judge(const HostMemory *memory, const HostVms *vms, guint64 reserve_bytes,
                              guint64 others_bytes);
/* Adds one VM. reserved_bytes is what its policy sets aside, 0 unknown. */
void host_vms_add(HostVms *vms, const MemorySample *memory, guint64 reserved_bytes);
