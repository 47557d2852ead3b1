/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Growth that can be relied on: steady over a window, and not a burst that is over. */

#include "pressure.h"

typedef struct {
    bool is_steady;   /* and more than least_bytes */
    gint64 window_us; /* really covered */
    guint64 bytes;    /* grown in it, of what was asked for */
    guint64 used_bps, overhead_bps;
} PressureGrowth;

void pressure_ring_add(PressureRing *ring, gint64 at_us, guint64 used_bytes,
                       guint64 overhead_bytes);
void pressure_ring_clear(PressureRing *ring);
const PressurePoint *pressure_ring_newest(const PressureRing *ring); /* NULL when empty */
/* Over about window_us: of the overhead, or, with of_used, of all that cannot be reclaimed. */
PressureGrowth pressure_ring_growth(const PressureRing *ring, gint64 window_us, bool of_used,
                                    guint64 least_bytes);
/* Between the two newest readings, steady or not; 0 and false when there are none. */
PressureGrowth pressure_ring_last_growth(const PressureRing *ring);
