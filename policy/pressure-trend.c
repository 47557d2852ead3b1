/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pressure-trend.h"

/* What a VM's group goes up and down by while nothing happens: stacks, sockets, slab. */
#define NOISE_BYTES (8 * G_GUINT64_CONSTANT(1024) * 1024)
/* What a backup, a migration or a shell in the pod takes within seconds and gives back, and QEMU
 * without KVM in the first 15 s of its guest (50 MiB were seen). */
#define BURST_BYTES (64 * G_GUINT64_CONSTANT(1024) * 1024)
/* Growth beside a guest that is seen for less is told from such a burst by its size only. */
#define BURST_US (60 * (gint64)G_USEC_PER_SEC)
/* And of a lost VM less than half a minute of growth says nothing of what comes in minutes. */
#define GLIMPSE_US (30 * (gint64)G_USEC_PER_SEC)
#define GLIMPSE_END_US (120 * (gint64)G_USEC_PER_SEC)
/* The rings hold five minutes and an hour. */
#define FINE_US (5 * (gint64)G_USEC_PER_SEC)
#define COARSE_US (60 * (gint64)G_USEC_PER_SEC)
/* So little time is left that five seconds are too long, and so much grew that it is no noise. */
#define FAST_US (300 * (gint64)G_USEC_PER_SEC)
#define FAST_BYTES (G_GUINT64_CONSTANT(1024) * 1024)

static const gint64 S = G_USEC_PER_SEC;

/* How much further than it was seen is steady growth believed? What is only shown may be over soon;
 * what wakes somebody, and raises limits, must not. The first that holds is told. */
typedef struct {
    PressureLevel level;
    gint64 seen_us;   /* the shortest window it may be seen in */
    guint times;      /* it is over within so many times the window */
    gint64 within_us; /* and within so long */
    const char *reason;
} Belief;

static const Belief beliefs[] = {
    {.level = PRESSURE_IMMINENT,
     .times = 1,
     .within_us = PRESSURE_IMMINENT_US,
     .reason = "steady growth beside the guest has used up half of what was left"},
    /* what kills 80 s after it began is seen for 15 s: a minute is left. What takes longer than
     * this is shown in time by the next one. */
    {.level = PRESSURE_WATCH,
     .times = 5,
     .within_us = 150 * (gint64)G_USEC_PER_SEC,
     .reason = "growth beside the guest has begun to use up what the limit leaves"},
    {.level = PRESSURE_WATCH,
     .seen_us = BURST_US,
     .times = 3,
     .within_us = G_MAXINT64,
     .reason = "growth beside the guest will use up what the limit leaves"},
};

typedef enum { RING_QUICK, RING_FINE, RING_COARSE } RingName;

/* Each up to half as long again as the one before: so much later than half of the time that is left
 * growth is told at worst. */
static const struct {
    gint64 window_s;
    RingName ring;
} windows[] = {{10, RING_QUICK}, {15, RING_QUICK}, {20, RING_QUICK},   {30, RING_QUICK},
               {45, RING_QUICK}, {60, RING_FINE},  {90, RING_FINE},    {120, RING_FINE},
               {180, RING_FINE}, {300, RING_FINE}, {900, RING_COARSE}, {3600, RING_COARSE}};

static void
add_apart(PressureRing *ring, gint64 apart_us, gint64 at_us, guint64 used_bytes,
          guint64 overhead_bytes)
{
    const PressurePoint *newest = pressure_ring_newest(ring);

    if (!newest || at_us - newest->at_us >= apart_us)
        pressure_ring_add(ring, at_us, used_bytes, overhead_bytes);
}

void
pressure_trend_add(PressureTrack *track, gint64 at_us, guint64 used_bytes, guint64 overhead_bytes)
{
    add_apart(&track->quick, 0, at_us, used_bytes, overhead_bytes);
    add_apart(&track->fine, FINE_US, at_us, used_bytes, overhead_bytes);
    add_apart(&track->coarse, COARSE_US, at_us, used_bytes, overhead_bytes);
}

void
pressure_trend_clear(PressureTrack *track)
{
    pressure_ring_clear(&track->quick);
    pressure_ring_clear(&track->fine);
    pressure_ring_clear(&track->coarse);
}

static PressureGrowth
window_growth(const PressureTrack *track, guint i, bool of_used, guint64 least_bytes)
{
    const PressureRing *rings[] = {&track->quick, &track->fine, &track->coarse};

    return pressure_ring_growth(rings[windows[i].ring], windows[i].window_s * S, of_used,
                                least_bytes);
}

/* How far a window of growth reaches into the future, in us: room at that rate. */
static gint64
reach_us(guint64 room_bytes, guint64 bps)
{
    double us = bps > 0 ? (double)room_bytes / (double)bps * G_USEC_PER_SEC : (double)G_MAXINT64;

    return us >= (double)G_MAXINT64 ? G_MAXINT64 : (gint64)us;
}

bool
pressure_trend_end(const PressureTrack *track, guint64 room_bytes, guint64 *ret_bps,
                   gint64 *ret_end_us)
{
    for (guint i = 0; i < G_N_ELEMENTS(windows); i++) {
        PressureGrowth growth = window_growth(track, i, true, NOISE_BYTES);
        gint64 end_us = reach_us(room_bytes, growth.used_bps);

        if (!growth.is_steady || growth.used_bps == 0 ||
            (windows[i].window_s * S < GLIMPSE_US && end_us > GLIMPSE_END_US))
            continue;
        *ret_bps = growth.used_bps;
        *ret_end_us = end_us;
        return true;
    }
    return false;
}

/* What this VM takes now and then says nothing when it begins: its largest burst so far. One that
 * nearly filled the room excuses nothing. */
static guint64
usual_bytes(const PressureTrack *track, guint64 spare_bytes)
{
    return track->burst_bytes <= spare_bytes / 3 * 2 ? track->burst_bytes : 0;
}

static bool
belief_holds(const Belief *belief, const PressureGrowth *growth, gint64 end_us)
{
    return growth->window_us >= belief->seen_us && end_us < belief->within_us &&
           end_us <= belief->times * growth->window_us;
}

static PressureOutlook
window_outlook(const PressureTrack *track, guint window, const PressureRoom *room)
{
    guint64 least_bytes = windows[window].window_s * S < BURST_US ? BURST_BYTES : NOISE_BYTES;
    PressureGrowth growth = window_growth(
        track, window, false, least_bytes + MIN(room->error_bytes, (guint64)G_MAXINT64));
    gint64 lost_us = reach_us(room->spare_bytes, growth.overhead_bps);
    /* the guest's part of the growth ends when the guest is full */
    gint64 dies_us = MAX(reach_us(room->room_bytes, growth.used_bps), lost_us);
    bool is_usual = growth.bytes < usual_bytes(track, room->spare_bytes + growth.bytes);

    for (guint i = 0; growth.is_steady && i < G_N_ELEMENTS(beliefs); i++) {
        const Belief *belief = &beliefs[i];
        bool is_shown = belief->level == PRESSURE_WATCH;

        if (belief_holds(belief, &growth, is_shown ? lost_us : dies_us) && !(is_shown && is_usual))
            return (PressureOutlook){belief->level, belief->reason, growth.overhead_bps, lost_us};
    }
    return (PressureOutlook){.level = PRESSURE_OK};
}

PressureOutlook
pressure_trend_outlook(const PressureTrack *track, const PressureRoom *room)
{
    PressureOutlook gravest = {.level = PRESSURE_OK};

    for (guint i = 0; i < G_N_ELEMENTS(windows); i++) {
        PressureOutlook outlook = window_outlook(track, i, room);

        if (outlook.level > gravest.level)
            gravest = outlook;
    }
    return gravest;
}

static bool
is_soon(guint64 bytes, guint64 bps, gint64 over_us)
{
    return (double)bps * (double)over_us / G_USEC_PER_SEC >= (double)FAST_BYTES &&
           reach_us(bytes, bps) < FAST_US;
}

bool
pressure_trend_is_fast(const PressureTrack *track, guint64 room_bytes, guint64 spare_bytes)
{
    PressureGrowth growth = pressure_ring_last_growth(&track->quick);

    return is_soon(spare_bytes, growth.overhead_bps, growth.window_us) ||
           (track->verdict.level >= PRESSURE_DOOMED &&
            is_soon(room_bytes, growth.used_bps, growth.window_us));
}
