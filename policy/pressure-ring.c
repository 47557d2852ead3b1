/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pressure-ring.h"

#include <string.h>

/* A window is cut into quarters; each must have grown by at least half of the mean. So a burst
 * that is over is no growth, and neither is one step in a flat line. */
#define PARTS 4
void
pressure_ring_clear(PressureRing *ring)
{
    memset(ring, 0, sizeof *ring);
}

void
pressure_ring_add(PressureRing *ring, gint64 at_us, guint64 used_bytes, guint64 overhead_bytes)
{
    ring->points[ring->next] = (PressurePoint){at_us, used_bytes, overhead_bytes};
    ring->next = (ring->next + 1) % PRESSURE_POINTS;
    ring->n_points = MIN(ring->n_points + 1, PRESSURE_POINTS);
}

/* i = 0 is the newest. */
static const PressurePoint *
ring_point(const PressureRing *ring, guint i)
{
    return &ring->points[(ring->next + PRESSURE_POINTS - 1 - i) % PRESSURE_POINTS];
}

const PressurePoint *
pressure_ring_newest(const PressureRing *ring)
{
    return ring->n_points > 0 ? ring_point(ring, 0) : NULL;
}

/* The newest point that is not newer than at_us; NULL when all are. */
static const PressurePoint *
ring_at(const PressureRing *ring, gint64 at_us)
{
    for (guint i = 0; i < ring->n_points; i++)
        if (ring_point(ring, i)->at_us <= at_us)
            return ring_point(ring, i);
    return NULL;
}

static guint64
grown(guint64 from, guint64 to)
{
    return to > from ? to - from : 0;
}

static guint64
value_of(const PressurePoint *point, bool of_used)
{
    return of_used ? point->used_bytes : point->overhead_bytes;
}

static bool
is_steady(const PressurePoint *const *cuts, guint64 all_bytes, bool of_used)
{
    if (all_bytes == 0)
        return false;
    for (guint i = 0; i < PARTS; i++)
        if (grown(value_of(cuts[i], of_used), value_of(cuts[i + 1], of_used)) <
            all_bytes / PARTS / 2)
            return false;
    return true;
}

static guint64
per_second(guint64 bytes, gint64 us)
{
    return (guint64)((double)bytes / ((double)us / G_USEC_PER_SEC));
}

static PressureGrowth
growth_between(const PressurePoint *from, const PressurePoint *to)
{
    gint64 us = to->at_us - from->at_us;

    return us <= 0 ? (PressureGrowth){0}
                   : (PressureGrowth){
                         .window_us = us,
                         .used_bps = per_second(grown(from->used_bytes, to->used_bytes), us),
                         .overhead_bps =
                             per_second(grown(from->overhead_bytes, to->overhead_bytes), us)};
}

PressureGrowth
pressure_ring_growth(const PressureRing *ring, gint64 window_us, bool of_used, guint64 least_bytes)
{
    const PressurePoint *cuts[PARTS + 1];
    PressureGrowth growth;

    if (ring->n_points == 0)
        return (PressureGrowth){0};
    cuts[PARTS] = ring_point(ring, 0);
    for (guint i = 0; i < PARTS; i++) {
        cuts[i] = ring_at(ring, cuts[PARTS]->at_us - window_us + window_us * i / PARTS);
        if (!cuts[i])
            return (PressureGrowth){0};
    }
    growth = growth_between(cuts[0], cuts[PARTS]);
    /* a gap in the readings: nothing is known of how it grew */
    if (growth.window_us == 0 || growth.window_us > window_us * 3 / 2)
        return (PressureGrowth){0};
    growth.bytes = grown(value_of(cuts[0], of_used), value_of(cuts[PARTS], of_used));
    growth.is_steady = growth.bytes >= least_bytes && is_steady(cuts, growth.bytes, of_used);
    return growth;
}

PressureGrowth
pressure_ring_last_growth(const PressureRing *ring)
{
    return ring->n_points < 2 ? (PressureGrowth){0}
                              : growth_between(ring_point(ring, 1), ring_point(ring, 0));
}
