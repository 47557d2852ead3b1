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
    guint64 limits_bytes;   /* of those that have one, each limit once */
} HostVms;

typedef struct {
    PressureLevel level;
    const char *reason;    /* static sentence */
    guint64 needed_bytes;  /* guests, measured overheads, hugetlbfs, the ARC's minimum, the host's
                              reserve */
    guint64 missing_bytes; /* what that is more than the host has; 0 = enough */
    bool limits_exceed;    /* the limits together allow more than the host has */
    bool arc_must_shrink;  /* enough only when ZFS gives back what it caches now */
} HostVerdict;

HostVerdict host_memory_judge(const HostMemory *memory, const HostVms *vms, guint64 reserve_bytes);
/* Adds one VM. reserved_bytes is what its policy sets aside, 0 unknown. */
void host_vms_add(HostVms *vms, const MemorySample *memory, guint64 reserved_bytes);
