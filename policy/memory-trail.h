/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One VM's memory over the last minutes, for the story of its OOM kill: few points, close together
 * near the present and far apart before, of constant size. Pure: time is in the sample. */

#include "model.h"
#include "pressure.h"
#include "role.h"

/* A table that fits a screen beside the report. */
#define MEMORY_TRAIL_POINTS 10
#define MEMORY_TRAIL_US (600 * (gint64)G_USEC_PER_SEC)

/* What cannot be reclaimed, of the group with the limit; each byte in one part only. */
typedef struct {
    gint64 at_us; /* CLOCK_MONOTONIC */
    PressureLevel level;
    guint64 charged_bytes;
    bool has_limit;
    guint64 limit_bytes;
    bool has_guest; /* guest's touched RAM and QEMU's own; one is high where the other is low */
    guint64 guest_low_bytes, guest_high_bytes, own_low_bytes, own_high_bytes;
    bool has_roles; /* as they were read last, which is less often */
    guint64 helpers_bytes, strangers_bytes;
    bool has_kernel;
    guint64 kernel_bytes;
    guint64 rest_bytes;  /* of charged_bytes: what nobody above is known to hold */
    gint64 stranger_pid; /* the one that holds most; 0 none */
    char stranger_name[sizeof((RoleTable *)NULL)->stranger_name]; /* raw */
    guint64 stranger_bytes;
} MemoryPoint;

/* Zeroed is empty. */
typedef struct {
    MemoryPoint points[MEMORY_TRAIL_POINTS]; /* oldest first */
    guint n_points;
} MemoryTrail;

/* Follows one reading; the same one again (at_us) is replaced. A group whose charge is not known
 * leaves no point. */
void memory_trail_add(MemoryTrail *trail, const MemorySample *memory, const RoleTable *roles,
                      PressureLevel level);
