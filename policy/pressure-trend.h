/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When is the limit reached at the present growth? Growth is believed as far as it has been seen:
 * over a few seconds where seconds are left, over an hour where hours are. */

#include "pressure.h"

#include "pressure-ring.h"

typedef struct {
    guint64 room_bytes;  /* below the limit */
    guint64 spare_bytes; /* of them: what the guest will leave */
    guint64 error_bytes; /* what of the growth may have been the guest's */
} PressureRoom;

typedef struct {
    PressureLevel level; /* ok, watch, imminent */
    const char *reason;  /* static; NULL when ok */
    guint64 grows_bps;   /* beside the guest */
    gint64 lost_in_us;   /* with it: when nothing is left for the rest of the guest */
} PressureOutlook;

/* Once a reading; the rings keep what their windows need of it. */
void pressure_trend_add(PressureTrack *track, gint64 at_us, guint64 used_bytes,
                        guint64 overhead_bytes);
/* What was read says nothing of what will be. */
void pressure_trend_clear(PressureTrack *track);

/* Of a lost group: *ret_bps, the steady growth of all that cannot be reclaimed, and *ret_end_us
 * from now on, when it fills room_bytes. false: none. */
bool pressure_trend_end(const PressureTrack *track, guint64 room_bytes, guint64 *ret_bps,
                        gint64 *ret_end_us);
/* Of one that is not: does growth beside the guest use up what the guest will leave? A VM's usual
 * bursts are not shown when they begin. */
PressureOutlook pressure_trend_outlook(const PressureTrack *track, const PressureRoom *room);
/* At what was added between the two newest readings, steady or not: is so little time left that the
 * next reading must not wait? */
bool pressure_trend_is_fast(const PressureTrack *track, guint64 room_bytes, guint64 spare_bytes);
