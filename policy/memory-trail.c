/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-trail.h"

#include <string.h>

/* Points this close are not worth keeping apart for their own sake: readings come each 5 s, and
 * each second while the end is near. */
#define NEAR_US (5 * (gint64)G_USEC_PER_SEC)

static guint64
less(guint64 a, guint64 b)
{
    return a - MIN(a, b);
}

static void
point_fill_process(MemoryPoint *point, const MemorySample *memory)
{
    guint64 shared = memory->counted_shared_bytes, anon = memory->rss_anon_bytes, low, high;

    point->has_guest = memory->has_rss && pressure_touched(memory, &low, &high);
    if (!point->has_guest)
        return;
    point->guest_low_bytes = low;
    point->guest_high_bytes = high;
    point->own_low_bytes = memory->guest_ram_is_shared ? anon : less(anon, less(high, shared));
    point->own_high_bytes = memory->guest_ram_is_shared ? anon : less(anon, less(low, shared));
}

static void
point_fill_roles(MemoryPoint *point, const RoleTable *roles)
{
    point->has_roles = roles->is_known;
    if (!roles->is_known)
        return;
    point->helpers_bytes = role_table_helpers_bytes(roles);
    point->strangers_bytes = role_table_strangers_bytes(roles);
    point->stranger_pid = roles->stranger_pid;
    memcpy(point->stranger_name, roles->stranger_name, sizeof point->stranger_name);
    point->stranger_bytes = roles->stranger_private_bytes;
}

static bool
point_of(const MemorySample *memory, const RoleTable *roles, PressureLevel level,
         MemoryPoint *ret_point)
{
    MemoryPoint point = {.at_us = memory->at_us, .level = level};
    guint64 rest;

    if (!memory->has_limit && !memory->has_group)
        return false;
    point.charged_bytes =
        memory->has_limit ? memory->limited_unreclaimable_bytes : memory->group_unreclaimable_bytes;
    point.has_limit = memory->has_limit;
    point.limit_bytes = memory->limit_bytes;
    point.has_kernel = memory->kinds.is_known;
    point.kernel_bytes = memory->kinds.kernel_bytes;
    point_fill_process(&point, memory);
    point_fill_roles(&point, roles);
    rest = less(point.charged_bytes, point.guest_high_bytes);
    rest = less(less(rest, point.own_low_bytes), point.has_kernel ? point.kernel_bytes : 0);
    point.rest_bytes = less(less(rest, point.helpers_bytes), point.strangers_bytes);
    *ret_point = point;
    return true;
}

static void
trail_remove(MemoryTrail *trail, guint i)
{
    trail->n_points--;
    memmove(&trail->points[i], &trail->points[i + 1],
            (trail->n_points - i) * sizeof trail->points[0]);
}

/* The point whose neighbours are closest to each other, measured by how long ago that was. */
static guint
trail_least(const MemoryTrail *trail, gint64 now_us)
{
    double least = G_MAXDOUBLE;
    guint found = 1;

    for (guint i = 1; i + 1 < trail->n_points; i++) {
        gint64 before_us = trail->points[i - 1].at_us, after_us = trail->points[i + 1].at_us;
        double gap = (double)(after_us - before_us) / (double)(now_us - before_us + NEAR_US);

        if (gap < least) {
            least = gap;
            found = i;
        }
    }
    return found;
}

void
memory_trail_add(MemoryTrail *trail, const MemorySample *memory, const RoleTable *roles,
                 PressureLevel level)
{
    MemoryPoint point;

    if (!point_of(memory, roles, level, &point))
        return;
    /* the same reading once more */
    while (trail->n_points > 0 && trail->points[trail->n_points - 1].at_us >= point.at_us)
        trail->n_points--;
    while (trail->n_points > 0 && point.at_us - trail->points[0].at_us > MEMORY_TRAIL_US)
        trail_remove(trail, 0);
    if (trail->n_points == MEMORY_TRAIL_POINTS)
        trail_remove(trail, trail_least(trail, point.at_us));
    trail->points[trail->n_points++] = point;
}
