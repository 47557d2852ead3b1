/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Will this VM's group be OOM-killed although guest and host look fine? A guest touches all its RAM
 * sooner or later and gives none back, so the group is lost as soon as
 *
 *     guest RAM not yet touched + what cannot be reclaimed now > limit,
 *
 * perhaps months before it dies. Page cache never counts. Pure: time is in the sample. */

#include "model.h"

typedef enum {
    PRESSURE_UNKNOWN,
    PRESSURE_OK,
    PRESSURE_WATCH,    /* it may become lost: shown, nobody is told */
    PRESSURE_DOOMED,   /* lost already, not dead yet: somebody must act some day */
    PRESSURE_IMMINENT, /* it dies within PRESSURE_IMMINENT_US, or begins to: somebody must act now
                        */
} PressureLevel;

/* A person who is woken needs this long to act. */
#define PRESSURE_IMMINENT_US (15 * 60 * (gint64)G_USEC_PER_SEC)

typedef struct {
    PressureLevel level;
    const char *reason; /* static sentence: the rule that decided */
    gint64 since_us;    /* at this level or a graver one since */

    bool has_sum; /* the fields below, all of the newest reading */
    guint64 guest_left_low_bytes, guest_left_high_bytes; /* guest RAM that is not touched yet */
    gint64 room_bytes; /* limit - unreclaimable (+ swap); negative when over */
    guint64 missing_low_bytes, missing_high_bytes; /* what the limit is too small by; 0 = enough */
    guint64 sufficient_bytes; /* the lowest limit that would do: no margin, not rounded */
    bool
        has_rate; /* steady growth of all that cannot be reclaimed, the guest's touching included */
    guint64 rate_bps;
    guint64 grows_bps; /* growth beside the guest, where that is what it dies of; else 0 */
    gint64 lost_in_us; /* with it: when that has used up what the guest will leave */
    bool has_end;      /* when the limit is reached at that rate, from the newest reading on */
    gint64 end_in_us;
} PressureVerdict;

/* Of every reading, of one in five seconds, and of one a minute: a minute, five and an hour at
 * least. */
#define PRESSURE_POINTS 64

typedef struct {
    gint64 at_us;
    guint64 used_bytes;     /* all that cannot be reclaimed */
    guint64 overhead_bytes; /* the same without what the guest has touched */
} PressurePoint;

typedef struct {
    PressurePoint points[PRESSURE_POINTS];
    guint n_points, next;
} PressureRing;

/* What the judge remembers of one VM. Zeroed is young. */
typedef struct {
    PressureRing quick, fine, coarse; /* pressure-trend.h */
    guint64 limit_bytes; /* of the newest reading: growth under another limit is another story */
    bool has_last;
    MemorySample last;
    gint64 signal_us;                      /* newest second signal: PSI, events; 0 never */
    gint64 kill_us;                        /* newest OOM kill in the group; 0 never */
    guint64 burst_bytes, next_burst_bytes; /* the largest, as of a while ago; 0 unknown */
    gint64 burst_us;                       /* when next_burst_bytes was */
    gint64 falling_us; /* readings have been milder than the verdict since; 0 = they are not */
    PressureVerdict verdict;
} PressureTrack;

/* The guest's RAM that is touched, where not all of it is shared, up to ram_bytes: after a count
 * its private part is RssAnon less QEMU's own; before it nothing to all of it. */
void pressure_touched_private(const MemorySample *memory, guint64 ram_bytes, guint64 *ret_low,
                              guint64 *ret_high);

/* Follows one reading; the same one again (at_us) changes nothing. burst_bytes is the largest
 * growth seen within the reaction time (reservation.h), 0 unknown. Returns track->verdict. */
const PressureVerdict *pressure_judge(PressureTrack *track, const MemorySample *memory,
                                      guint64 burst_bytes);
/* From here on the readings are of another group: its counters and its growth are its own. */
void pressure_forget_group(PressureTrack *track);
/* Is the limit so near, at what was added since the reading before, that the next one must come at
 * once? */
bool pressure_is_hurried(const PressureTrack *track);
/* Would a page count (pagecount.h) tell more than the readings do, and is the last one, at
 * counted_us (0 never) with that RssAnon, old enough for its price? Only for private guest RAM. */
bool pressure_wants_count(const MemorySample *memory, gint64 counted_us,
                          guint64 counted_anon_bytes);
/* The guest's RAM that is touched, charged as memory, between two bounds; false when unknown. */
bool pressure_touched(const MemorySample *memory, guint64 *ret_low, guint64 *ret_high);
/* Guest RAM that can be charged to the group at all: none in hugetlbfs. */
guint64 pressure_chargeable(const MemorySample *memory);

/* "ok", "watch", "doomed", "oom-imminent", "unknown". Static. */
const char *pressure_level_name(PressureLevel level);
