/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "track.h"

#include <string.h>

/* A tick is late when three are missing; below 4 s it is scheduling, not a gap. */
#define LATE_PERIODS 3
#define LATE_MIN_US (4 * G_USEC_PER_SEC)
/* Boottime runs on in suspend, monotonic does not; a second between the two is no rounding. */
#define SUSPEND_MIN_US G_USEC_PER_SEC

static void
disk_track_free(gpointer data)
{
    DiskTrack *disk = data;

    g_free(disk->id);
    g_free(disk->label);
    g_free(disk);
}

void
track_init(Track *ret_track)
{
    memset(ret_track, 0, sizeof *ret_track);
    ret_track->disks = g_ptr_array_new_with_free_func(disk_track_free);
    ret_track->verdict =
        (Verdict){.state = STATE_UNKNOWN, .layer = LAYER_UNKNOWN, .cause = "young", .reason = ""};
}

void
track_clear(Track *track)
{
    if (track->disks)
        g_ptr_array_unref(track->disks);
    memset(track, 0, sizeof *track);
}

static DiskTrack *
track_disk(const Track *track, const char *id)
{
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        if (g_strcmp0(disk->id, id) == 0)
            return disk;
    }
    return NULL;
}

const DiskTrack *
track_find_disk(const Track *track, const char *id)
{
    return track_disk(track, id);
}

/* Keeps since, named and paged while the state goes on; a change of layer inside a state is not
 * news of its own. */
void
verdict_set(Verdict *verdict, Verdict next, const Sample *sample, const Limits *limits)
{
    if (next.since_us == 0)
        next.since_us = sample->now_us;
    next.named_us = sample->now_us;
    if (verdict->state == next.state && verdict->named_us > 0 &&
        (next.state >= STATE_SUSPECT || verdict->layer == next.layer)) {
        next.named_us = verdict->named_us;
        next.since_us = MIN(next.since_us, verdict->since_us);
        next.is_paged = verdict->is_paged;
    }
    if (verdict->state == STATE_SUSPECT && next.state == STATE_FROZEN)
        next.since_us = MIN(next.since_us, verdict->since_us);
    if (next.state == STATE_FROZEN &&
        (next.signals > 0 || sample->now_us - next.since_us >= limits->page_after_us))
        next.is_paged = true;
    /* not knowing is no recovery: a verdict that turns unknown keeps its alert */
    next.has_alert =
        next.has_alert || next.state == STATE_FROZEN ||
        (verdict->has_alert && next.state != STATE_OK && next.layer != LAYER_PROCESS_GONE);
    *verdict = next;
}

bool
track_is_late(const Track *track, const Sample *sample)
{
    gint64 step = sample->now_us - track->last_us;
    gint64 slept = sample->boottime_us - track->last_boottime_us - step;
    gint64 period = MAX(sample->period_us, track->last_period_us);

    return track->has_last &&
           (step < 0 || step > MAX(LATE_PERIODS * period, LATE_MIN_US) || slept > SUSPEND_MIN_US);
}

void
disk_track_restart(DiskTrack *disk, gint64 now_us)
{
    disk->clear_us = now_us;
    disk->still_samples = 0;
    disk->next_evidence_us = 0;
    disk->evidence_gap_us = 0;
    disk->old_completions = 0;
    disk->job.still_since_us = now_us;
    evidence_clear(&disk->evidence);
}

void
guest_track_restart(GuestTrack *guest)
{
    guest->has_last = false;
    guest->silent_since_us = 0;
}

void
track_discard_windows(Track *track, const Sample *sample)
{
    track->gate_since_us = 0;
    track->silent_since_us = 0;
    track->stopped_samples = 0;
    signals_discard(&track->signals);
    guest_track_restart(&track->guest);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        disk_track_restart(disk, sample->now_us);
    }
}

void
track_follow_disks(Track *track, const Sample *sample)
{
    for (guint i = track->disks->len; i-- > 0;) {
        const DiskTrack *disk = track->disks->pdata[i];

        if (!sample_find_disk(sample, disk->id))
            g_ptr_array_remove_index(track->disks, i);
    }
    for (guint i = 0; i < sample->n_disks; i++) {
        DiskTrack *disk;

        if (track_disk(track, sample->disks[i].id))
            continue;
        disk = g_new0(DiskTrack, 1);
        disk->id = g_strdup(sample->disks[i].id);
        disk->label = g_strdup(sample->disks[i].label);
        disk->clear_us = sample->now_us;
        g_ptr_array_add(track->disks, disk);
    }
}

bool
verdict_is_graver(const Verdict *a, const Verdict *b)
{
    if (a->state != b->state)
        return a->state > b->state;
    if (a->is_paged != b->is_paged)
        return a->is_paged;
    return a->since_us < b->since_us;
}

/* Within a minute three times: a person who pauses a VM twice is no loop. */
#define LOOP_WINDOW_US (60 * (gint64)G_USEC_PER_SEC)
#define LOOP_COUNT_MIN 3

bool
loop_update(Loop *loop, bool has_count, guint32 count, guint most, gint64 now_us)
{
    guint new_ones = has_count && loop->has_last ? count - loop->last : 0;

    if (has_count) {
        loop->has_last = true;
        loop->last = count;
    }
    if (new_ones > 0)
        loop->happened_us = now_us;
    if (now_us - loop->window_since_us >= LOOP_WINDOW_US) {
        if (loop->in_window < LOOP_COUNT_MIN)
            loop->looping_since_us = 0;
        loop->window_since_us = now_us;
        loop->in_window = 0;
    }
    loop->in_window += MIN(new_ones, most);
    if (loop->in_window >= LOOP_COUNT_MIN && loop->looping_since_us == 0)
        loop->looping_since_us = loop->window_since_us;
    return loop->looping_since_us > 0;
}
