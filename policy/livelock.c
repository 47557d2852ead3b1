/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "livelock.h"

/* In every reading of half a minute:
 *
 *   - memory.high is set and the usage has reached it, but not memory.max;
 *   - nothing can be swapped out, and what cannot be reclaimed is nearly all of memory.high: page
 *     cache above it would be given back, slowly, but it would;
 *   - the counter `high` of memory.events grew, oom_kill did not;
 *   - all tasks stood still for memory a third of the time (PSI full), or, without PSI, tasks sleep
 *     in mem_cgroup_handle_over_high.
 *
 * Why nothing ends it: memory.max is not reached, so the kernel does not kill; earlyoom looks at
 * the host, which has free memory; systemd-oomd acts on groups that reclaim, and there is nothing
 * to reclaim. In the field such a group stalled 80 % of the time. */

/* Long enough that a start-up that passes through the band is not named, and short enough that it
 * is within a minute. */
#define NAME_AFTER_US (30 * (gint64)G_USEC_PER_SEC)
/* The usage swings around the limit by the per-CPU batches of the charge. */
#define NEAR_PERCENT 97
#define UNRECLAIMABLE_PERCENT 90
/* Allocations are slowed to some 2 s for each overrun; a third of the time is far from both a busy
 * group's few percent and the field's 80. */
#define STALLED_PERCENT_MIN 33
/* Who is slowed down sleeps for up to 2 s at a time (MEMCG_MAX_HIGH_DELAY_JIFFIES): two readings
 * that are closer than this need not show another event. */
#define STEP_MIN_US (4 * (gint64)G_USEC_PER_SEC)
#define SWAP_ROOM_MIN_BYTES (16 * 1024 * 1024)

static guint64
percent_of(guint64 bytes, guint percent)
{
    return bytes / 100 * percent;
}

static bool
is_in_band(const BandSample *sample)
{
    return sample->has_high && sample->has_events &&
           sample->usage_bytes >= percent_of(sample->high_bytes, NEAR_PERCENT) &&
           (!sample->has_max || sample->usage_bytes < sample->max_bytes) &&
           (!sample->has_swap_room || sample->swap_room_bytes < SWAP_ROOM_MIN_BYTES) &&
           (!sample->has_unreclaimable ||
            sample->unreclaimable_bytes >= percent_of(sample->high_bytes, UNRECLAIMABLE_PERCENT));
}

bool
livelock_wants_tasks(const BandSample *sample)
{
    return is_in_band(sample);
}

static guint
stalled_percent(const BandSample *from, const BandSample *to)
{
    guint64 stalled = to->stalled_us > from->stalled_us ? to->stalled_us - from->stalled_us : 0;
    gint64 time = to->at_us - from->at_us;

    return time > 0 ? (guint)MIN(stalled / ((guint64)time / 100 + 1), 100) : 0;
}

/* Between two readings. Without PSI the tasks must have been looked at. */
static bool
stands_still(const BandSample *last, const BandSample *now)
{
    if (now->high_events <= last->high_events || now->oom_kills != last->oom_kills)
        return false;
    if (now->has_stalled && last->has_stalled)
        return stalled_percent(last, now) >= STALLED_PERCENT_MIN;
    return now->has_tasks && now->n_throttled > 0;
}

const BandVerdict *
livelock_judge(BandTrack *track, const BandSample *sample)
{
    BandVerdict verdict = {.reason = "it makes progress"};

    if (track->has_last && sample->at_us <= track->last.at_us)
        return &track->verdict;
    if (track->has_last && sample->at_us - track->last.at_us < STEP_MIN_US && is_in_band(sample) &&
        is_in_band(&track->last) && sample->high_bytes == track->last.high_bytes)
        return &track->verdict;
    if (!track->has_last || !is_in_band(sample) || !is_in_band(&track->last) ||
        sample->high_bytes != track->last.high_bytes || !stands_still(&track->last, sample)) {
        track->since_us = 0;
    } else if (track->since_us == 0) {
        track->since_us = track->last.at_us;
        track->first = track->last;
    }
    if (track->since_us > 0) {
        verdict.since_us = track->since_us;
        verdict.has_stalled = sample->has_stalled && track->first.has_stalled;
        verdict.stalled_percent = stalled_percent(&track->first, sample);
        verdict.high_events_grown = sample->high_events - track->first.high_events;
        verdict.is_livelock = sample->at_us - track->since_us >= NAME_AFTER_US;
        verdict.reason = verdict.is_livelock
                             ? "above memory.high, below memory.max, nothing to reclaim: it is "
                               "slowed down for ever, and never killed"
                             : "above memory.high and standing still, not for long yet";
    }
    track->has_last = true;
    track->last = *sample;
    track->verdict = verdict;
    return &track->verdict;
}
