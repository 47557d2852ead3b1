/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When is the limit reached at the present growth? Growth is believed as far as it has been seen:
 * over a few seconds where seconds are left, over an hour where hours are. */

#include "pressure.h"

#include "pressure-ring.h"

/* Once a reading; the rings keep what their windows need of it. */
void pressure_trend_add(PressureTrack *track, gint64 at_us, guint64 used_bytes,
                        guint64 overhead_bytes);
/* What was read says nothing of what will be. */
void pressure_trend_clear(PressureTrack *track);

/* Of a lost group: *ret_bps, the steady growth of all that cannot be reclaimed, and *ret_end_us
 * from now on, when it fills room_bytes. false: none. */
bool pressure_trend_end(const PressureTrack *track, guint64 room_bytes, guint64 *ret_bps,
                        gint64 *ret_end_us);
/* Of one that is not: does growth beside the guest, at *ret_bps, use up what the guest will leave
 * of room_bytes? ok, watch, imminent. spare_bytes: room_bytes less what the guest may still take;
 * error_bytes: what of the growth may have been the guest's. */
PressureLevel pressure_trend_level(const PressureTrack *track, guint64 room_bytes,
                                   guint64 spare_bytes, guint64 error_bytes, guint64 *ret_bps);
/* At what was added between the two newest readings, steady or not: is so little time left that the
 * next reading must not wait? */
bool pressure_trend_is_fast(const PressureTrack *track, guint64 room_bytes, guint64 spare_bytes);
