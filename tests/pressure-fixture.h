/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group with a limit in virtual time, told in MiB, and the readings a judge gets of it. */

#include "pressure.h"
#include "units.h"

#define S ((gint64)G_USEC_PER_SEC)
#define MIB(n) ((guint64)(n)*UNITS_MIB)

/* A group in MiB, what its guest does and what stands beside it. */
typedef struct {
    guint ram, touched; /* the guest's RAM, and what it has touched of it */
    guint own, beside;  /* QEMU's own, helpers and strangers */
    guint cache, limit; /* limit 0: none */
    bool is_shared, is_hugetlb, is_counted;
    guint balloon; /* 0 none */
    guint swap;    /* still to be swapped out */
} Group;

typedef struct {
    Group group;
    PressureTrack track;
    gint64 now_us;
    guint oom_kills, max_events;
    guint64 stalled_us;
    guint burst;
} Story;

/* What would be read of it now. */
MemorySample story_reading(const Story *story);
/* One reading, so much after the last one. */
const PressureVerdict *story_read_after(Story *story, gint64 us);
/* Five seconds after it. */
const PressureVerdict *story_read(Story *story);
