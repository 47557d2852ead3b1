/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A group between memory.high and memory.max without swap, full of memory that cannot be reclaimed,
 * is slowed down for ever and never OOM-killed: all in it stands still while the host looks free.
 * Named after half a minute. Pure: time is in the sample. */

#include <glib.h>
#include <stdbool.h>

typedef struct {
    gint64 at_us;
    bool has_high, has_max;
    guint64 usage_bytes, high_bytes, max_bytes;
    bool has_unreclaimable;
    guint64 unreclaimable_bytes;
    bool has_swap_room;      /* without: none */
    guint64 swap_room_bytes; /* that it may still use */
    bool has_events;
    guint64 high_events, oom_kills; /* only "grew" counts */
    bool has_stalled;
    guint64 stalled_us;
    bool has_tasks;             /* looked at */
    guint n_tasks, n_throttled; /* that sleep in mem_cgroup_handle_over_high */
} BandSample;

typedef struct {
    bool is_livelock;
    gint64 since_us;    /* in the band without progress since */
    const char *reason; /* static sentence */
    bool has_stalled;
    guint stalled_percent;     /* of the time, all tasks stood still */
    guint64 high_events_grown; /* since then */
} BandVerdict;

typedef struct {
    bool has_last;
    BandSample first, last; /* of the present stay in the band; newest */
    gint64 since_us;        /* 0: not in the band, or it goes on */
    BandVerdict verdict;
} BandTrack; /* zeroed is young */

const BandVerdict *livelock_judge(BandTrack *track, const BandSample *sample);
/* Is it worth looking at the tasks of this group? */
bool livelock_wants_tasks(const BandSample *sample);
