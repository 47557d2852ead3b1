/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pressure.h"
#include "pressure-trend.h"

#include <string.h>

/* One reading of the group that carries the tightest limit (cgroup.h):
 *
 *   used     what of its charge cannot be reclaimed
 *   touched  the guest's RAM that is in it, as a pair of bounds
 *   left     the guest's RAM that is not: low with touched at its highest
 *   room     limit - used, and what could be swapped out
 *
 * doomed: left (low) > room. Whatever QEMU itself holds, the guest may take more than there is.
 *
 * watch: left (high) > room, where the guest's RAM was counted; or it is with the balloon given
 * back; or the next burst would not fit; or steady growth beside the guest, more than this VM's
 * bursts so far, would use the rest up within three times as long as it has been seen, or, where
 * that is a matter of minutes, five times.
 *
 * oom-imminent: doomed, and at its steady growth, the guest's touching included, the limit is
 * reached within 15 minutes; or doomed with a second signal (tasks stand still for memory, the
 * limit was hit); or growth beside the guest has steadily eaten half of the room, so that the rest
 * is gone as fast; or the kernel has killed, or would have, were its OOM killer not off.
 *
 * Private guest RAM is not told from QEMU's heap by RssAnon. Before pages were counted the guest
 * gets all of RssAnon: "doomed" is then certain, and "ok" is not; after it QEMU's own part is taken
 * as it was counted, with the error of the count, until the next one.
 *
 * A full guest with room left, page cache up to the limit and huge pages change none of these. */

/* memory.stat lags behind the charge by the per-CPU batches: 64 pages on each of some CPUs. */
#define LAG_BYTES (2 * 1024 * 1024)
/* A verdict becomes milder when the readings have been for so long: a forecast that comes and goes
 * is read by nobody. */
#define FALL_US (60 * (gint64)G_USEC_PER_SEC)
/* Tasks that stood still for a twentieth of the time are more than the odd reclaim. */
#define STALLED_PART 20
/* How long a second signal counts. */
#define SIGNAL_US (60 * (gint64)G_USEC_PER_SEC)
/* What is told of a kill: as long as a person needs to come and look. */
#define KILL_US PRESSURE_IMMINENT_US
/* The largest burst is taken as it was so long ago: what grows now has not ended yet. */
#define BURST_AGE_US (60 * (gint64)G_USEC_PER_SEC)
/* The counting of 1 GiB of touched RAM takes up to 10 ms of CPU: 4 s a GiB keep it below 0.3 %. */
#define COUNT_GAP_US_PER_GIB (4 * (gint64)G_USEC_PER_SEC)
#define COUNT_GAP_MIN_US (60 * (gint64)G_USEC_PER_SEC)
#define COUNT_GAPS_ROUTINE 10
/* So much more anonymous memory is worth the next count at the short gap. */
#define COUNT_GROWTH_BYTES (64 * G_GUINT64_CONSTANT(1024) * 1024)
#define GIB_SHIFT 30

const char *
pressure_level_name(PressureLevel level)
{
    static const char *const names[] = {
        [PRESSURE_UNKNOWN] = "unknown",       [PRESSURE_OK] = "ok",
        [PRESSURE_WATCH] = "watch",           [PRESSURE_DOOMED] = "doomed",
        [PRESSURE_IMMINENT] = "oom-imminent",
    };

    return names[level];
}

static guint64
less(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

/* Reports that are broken must not wrap. */
static guint64
plus(guint64 a, guint64 b)
{
    return a > G_MAXINT64 - MIN(b, G_MAXINT64) ? G_MAXINT64 : a + b;
}

guint64
pressure_chargeable(const MemorySample *memory)
{
    return memory->guest_ram_is_hugetlb ? 0 : memory->guest_ram_bytes;
}

void
pressure_touched_private(const MemorySample *memory, guint64 ram_bytes, guint64 *ret_low,
                         guint64 *ret_high)
{
    guint64 anon = memory->rss_anon_bytes, shared = memory->counted_shared_bytes;

    if (!memory->has_count) {
        *ret_low = 0;
        *ret_high = MIN(plus(anon, memory->rss_shmem_bytes), ram_bytes);
        return;
    }
    *ret_low = MIN(plus(less(anon, memory->own_high_bytes), shared), ram_bytes);
    /* a shared backend may have been touched further since */
    if (shared > 0)
        shared = MAX(shared, memory->rss_shmem_bytes);
    *ret_high = MIN(plus(less(anon, memory->own_low_bytes), shared), ram_bytes);
}

bool
pressure_touched(const MemorySample *memory, guint64 *ret_low, guint64 *ret_high)
{
    guint64 ram = pressure_chargeable(memory);

    if (!memory->has_guest_ram || (!memory->has_rss && ram > 0))
        return false;
    if (memory->guest_ram_is_shared) {
        *ret_low = *ret_high = MIN(memory->rss_shmem_bytes, ram);
    } else {
        pressure_touched_private(memory, ram, ret_low, ret_high);
    }
    return true;
}

bool
pressure_wants_count(const MemorySample *memory, gint64 counted_us, guint64 counted_anon_bytes)
{
    guint64 ram = pressure_chargeable(memory);
    gint64 gap_us =
        MAX((gint64)(MIN(memory->rss_anon_bytes, ram) >> GIB_SHIFT) * COUNT_GAP_US_PER_GIB,
            COUNT_GAP_MIN_US);
    gint64 age_us = memory->at_us - counted_us;
    guint64 changed_bytes = memory->rss_anon_bytes > counted_anon_bytes
                                ? memory->rss_anon_bytes - counted_anon_bytes
                                : counted_anon_bytes - memory->rss_anon_bytes;

    if (!memory->has_guest_ram || !memory->has_rss || memory->guest_ram_is_shared || ram == 0)
        return false;
    if (counted_us == 0)
        return true;
    /* a guest that has touched everything stays so; what grows from now on is QEMU's own */
    if (memory->has_count && memory->counted_low_bytes >= ram && !memory->has_balloon)
        return false;
    return age_us >= gap_us * COUNT_GAPS_ROUTINE ||
           (age_us >= gap_us && changed_bytes >= MAX(COUNT_GROWTH_BYTES, ram / 16));
}

typedef struct {
    guint64 used_bytes, overhead_bytes;
    guint64 error_bytes; /* of the overhead, and it may come to light as growth */
    guint64 left_low_bytes, left_high_bytes, left_deflated_bytes;
    guint64 room_bytes, over_bytes; /* one of them is 0 */
} Sum;

static bool
sum_make(const MemorySample *memory, Sum *ret_sum)
{
    guint64 ram = pressure_chargeable(memory);
    guint64 allowed = memory->has_balloon ? MIN(memory->balloon_bytes, ram) : ram;
    guint64 peers = memory->has_peers ? memory->peers_left_bytes : 0;
    guint64 ceiling =
        plus(memory->limit_bytes, memory->has_swap_room ? memory->swap_room_bytes : 0);
    bool is_split = memory->guest_ram_is_shared || memory->has_count;
    guint64 low = 0, high = 0;

    if (!memory->has_limit || !memory->kinds.is_known || !pressure_touched(memory, &low, &high))
        return false;
    *ret_sum = (Sum){
        .used_bytes = memory->limited_unreclaimable_bytes,
        /* uncounted, the end of the guest's filling up would look like growth of QEMU's heap */
        .overhead_bytes =
            less(memory->limited_unreclaimable_bytes, is_split ? high : memory->rss_anon_bytes),
        .error_bytes = is_split && !memory->guest_ram_is_shared
                           ? less(memory->own_high_bytes, memory->own_low_bytes)
                           : 0,
        .left_low_bytes = plus(less(allowed, high), peers),
        .left_high_bytes = plus(less(allowed, low), peers),
        .left_deflated_bytes = plus(less(ram, low), peers),
        .room_bytes = less(ceiling, memory->limited_unreclaimable_bytes),
        .over_bytes = less(memory->limited_unreclaimable_bytes, ceiling),
    };
    return true;
}

/* Notes what agrees from the outside: kills, the limit hit, tasks that stand still. */
static void
signals_follow(PressureTrack *track, const MemorySample *memory)
{
    const MemorySample *last = &track->last;
    gint64 step_us = memory->at_us - last->at_us;

    if (!track->has_last || step_us <= 0)
        return;
    if (memory->has_oom_kills && last->has_oom_kills && memory->oom_kills > last->oom_kills)
        track->kill_us = memory->at_us;
    if (memory->has_max_events && last->has_max_events && memory->max_events > last->max_events)
        track->signal_us = memory->at_us;
    if (memory->has_stalled && last->has_stalled &&
        less(memory->stalled_us, last->stalled_us) > (guint64)step_us / STALLED_PART)
        track->signal_us = memory->at_us;
}

static bool
is_recent(gint64 at_us, gint64 now_us, gint64 for_us)
{
    return at_us > 0 && now_us - at_us < for_us;
}

static void
doomed_judge(const PressureTrack *track, const MemorySample *memory, const Sum *sum,
             PressureVerdict *verdict)
{
    verdict->level = PRESSURE_DOOMED;
    verdict->reason = "what the guest may still take is more than the limit leaves";
    if (verdict->has_end && verdict->end_in_us < PRESSURE_IMMINENT_US) {
        verdict->level = PRESSURE_IMMINENT;
        verdict->reason = "the limit is reached within 15 minutes at the present growth";
    } else if (is_recent(track->signal_us, memory->at_us, SIGNAL_US)) {
        verdict->level = PRESSURE_IMMINENT;
        verdict->reason = "the sum is past the limit, and the group runs into it already";
    } else if (sum->room_bytes == 0) {
        verdict->level = PRESSURE_IMMINENT;
        verdict->reason = "what cannot be reclaimed has reached the limit";
    }
}

static void
sum_judge(const PressureTrack *track, const MemorySample *memory, const Sum *sum,
          guint64 burst_bytes, PressureVerdict *verdict)
{
    bool is_split = memory->guest_ram_is_shared || memory->has_count;
    PressureRoom room = {sum->room_bytes, less(sum->room_bytes, sum->left_low_bytes),
                         sum->error_bytes};
    PressureOutlook outlook;

    verdict->has_rate = verdict->has_end =
        pressure_trend_end(track, sum->room_bytes, &verdict->rate_bps, &verdict->end_in_us);
    if (sum->left_low_bytes + sum->over_bytes > sum->room_bytes + LAG_BYTES) {
        doomed_judge(track, memory, sum, verdict);
        return;
    }
    outlook = pressure_trend_outlook(track, &room);
    verdict->level = outlook.level;
    verdict->reason = outlook.reason;
    verdict->grows_bps = outlook.grows_bps;
    verdict->lost_in_us = outlook.lost_in_us;
    if (verdict->reason)
        return;
    if (is_split && sum->left_high_bytes > sum->room_bytes + LAG_BYTES)
        verdict->reason = "within the error of the page count the limit is too small";
    else if (is_split && sum->left_deflated_bytes > sum->room_bytes + LAG_BYTES)
        verdict->reason = "when the balloon is given back the limit is too small";
    else if (burst_bytes > 0 && plus(sum->left_low_bytes, burst_bytes) > sum->room_bytes)
        verdict->reason = "the next burst, as large as the largest seen, would not fit";
    if (verdict->reason)
        verdict->level = PRESSURE_WATCH;
    else
        verdict->reason = "the guest's whole RAM and all beside it fit below the limit";
}

static PressureVerdict
reading_judge(const PressureTrack *track, const MemorySample *memory, guint64 burst_bytes)
{
    PressureVerdict verdict = {0};
    Sum sum;

    if (!sum_make(memory, &sum)) {
        bool is_free = !memory->has_limit && memory->limit_is_known;

        verdict.level = is_free ? PRESSURE_OK : PRESSURE_UNKNOWN;
        verdict.reason = is_free             ? "no limit: only the host's memory ends it"
                         : memory->has_limit ? "the size or the charge of the guest is unknown"
                                             : "its limit is unknown";
        return verdict;
    }
    verdict.has_sum = true;
    verdict.guest_left_low_bytes = sum.left_low_bytes;
    verdict.guest_left_high_bytes = sum.left_high_bytes;
    verdict.room_bytes =
        sum.over_bytes > 0 ? -(gint64)MIN(sum.over_bytes, G_MAXINT64) : (gint64)sum.room_bytes;
    verdict.missing_low_bytes = less(plus(sum.left_low_bytes, sum.over_bytes), sum.room_bytes);
    verdict.missing_high_bytes = less(plus(sum.left_high_bytes, sum.over_bytes), sum.room_bytes);
    verdict.sufficient_bytes = plus(sum.used_bytes, sum.left_high_bytes);
    sum_judge(track, memory, &sum, burst_bytes, &verdict);
    if (is_recent(track->kill_us, memory->at_us, KILL_US)) {
        verdict.level = PRESSURE_IMMINENT;
        verdict.reason = "the kernel has killed in this group for want of memory";
    }
    if (memory->waits_for_memory) {
        verdict.level = PRESSURE_IMMINENT;
        verdict.reason = "the group is out of memory, its OOM killer is off (memory.oom_control): "
                         "whatever in it needs memory waits until somebody makes room";
    }
    return verdict;
}

static void
readings_keep(PressureTrack *track, const MemorySample *memory)
{
    Sum sum;

    if (!sum_make(memory, &sum))
        return;
    /* another limit, or a first count that moved the border between the guest and the rest */
    if (track->has_last && (track->last.limit_bytes != memory->limit_bytes ||
                            track->last.has_count != memory->has_count))
        pressure_trend_clear(track);
    pressure_trend_add(track, memory->at_us, sum.used_bytes, sum.overhead_bytes);
}

static void
burst_follow(PressureTrack *track, gint64 at_us, guint64 burst_bytes)
{
    if (at_us - track->burst_us < BURST_AGE_US)
        return;
    track->burst_bytes = track->next_burst_bytes;
    track->next_burst_bytes = burst_bytes;
    track->burst_us = at_us;
}

/* Up at once, down when the readings have been milder for a while. A limit that was raised, or is
 * gone, is no reading that comes and goes. */
static void
verdict_take(PressureTrack *track, PressureVerdict next, const MemorySample *memory)
{
    PressureVerdict *verdict = &track->verdict;
    bool is_same_limit = track->has_last && track->last.has_limit == memory->has_limit &&
                         track->last.limit_bytes == memory->limit_bytes;

    next.since_us = memory->at_us;
    if (next.level < verdict->level && verdict->level > PRESSURE_OK && is_same_limit) {
        if (track->falling_us == 0)
            track->falling_us = memory->at_us;
        if (memory->at_us - track->falling_us < FALL_US) {
            next.level = verdict->level;
            next.reason = verdict->reason;
        }
    } else {
        track->falling_us = 0;
    }
    if (next.level == verdict->level && verdict->since_us > 0)
        next.since_us = verdict->since_us;
    if (next.level < verdict->level)
        track->falling_us = 0;
    *verdict = next;
}

const PressureVerdict *
pressure_judge(PressureTrack *track, const MemorySample *memory, guint64 burst_bytes)
{
    if (memory->at_us == 0 || (track->has_last && memory->at_us <= track->last.at_us))
        return &track->verdict;
    signals_follow(track, memory);
    readings_keep(track, memory);
    burst_follow(track, memory->at_us, burst_bytes);
    verdict_take(track, reading_judge(track, memory, burst_bytes), memory);
    track->has_last = true;
    track->last = *memory;
    return &track->verdict;
}

void
pressure_forget_group(PressureTrack *track)
{
    pressure_trend_clear(track);
    track->has_last = false;
    track->signal_us = 0;
}

bool
pressure_is_hurried(const PressureTrack *track)
{
    const PressureVerdict *verdict = &track->verdict;
    guint64 room_bytes = (guint64)MAX(verdict->room_bytes, 0);

    return verdict->has_sum &&
           pressure_trend_is_fast(track, room_bytes,
                                  less(room_bytes, verdict->guest_left_low_bytes));
}
