/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the judge remembers of one VM between two samples, and the bookkeeping of verdicts: since
 * when, when named, when paged. The rules are in freeze.c. */

#include "model.h"
#include "settings.h"

typedef struct {
    char *id;
    char *label; /* a disk that has just vanished is still named */
    bool has_last;
    guint64 last_ops, last_failed_ops, last_time_ns;
    bool has_progressed; /* since this track began */
    gint64 clear_us;     /* last sample with progress, or with nothing in flight; the first one */
    guint still_samples; /* in a row without progress */
    bool has_evidence;   /* the newest sample carried the queue */
    gint64 evidence_since_us; /* start of the unbroken run of in-flight evidence; 0 = none */
    guint evidence_samples;   /* in that run */
    guint64 evidence_used_idx;
    gint64 next_evidence_us; /* costly evidence is not worth its price before this */
    gint64 evidence_gap_us;  /* present back-off */
    Verdict verdict;
} DiskTrack;

typedef struct {
    bool has_last;
    gint64 last_us, last_boottime_us, last_period_us;
    gint64 gate_since_us;   /* seen running without interruption since; 0 = gate shut */
    gint64 silent_since_us; /* start of the present silence of the monitor; 0 = it answers */
    guint stopped_samples;  /* in a row with the process in state T */
    GPtrArray *disks;       /* of DiskTrack, owned */
    Verdict verdict;        /* of the VM: its monitor's, or the gravest of its disks */
} Track;

void track_init(Track *ret_track);
void track_clear(Track *track);
/* Borrowed; NULL for a disk not seen in the newest sample that had disks. */
const DiskTrack *track_find_disk(const Track *track, const char *id);

/* Brings the tracks in line with the disks of the sample: new ones begin, vanished ones end. */
void track_follow_disks(Track *track, const Sample *sample);
/* Did this sample come so late, or after a suspend, that the time before it says nothing? */
bool track_is_late(const Track *track, const Sample *sample);
/* After a gap nothing is known about the time between: every window starts again. */
void track_discard_windows(Track *track, const Sample *sample);
/* Takes next over; since, named and paged go on while the state does. */
void verdict_set(Verdict *verdict, Verdict next, const Sample *sample, const Limits *limits);
/* Which of two a person should read first. */
bool verdict_is_graver(const Verdict *a, const Verdict *b);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Track, track_clear)
