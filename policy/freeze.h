/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Is this VM's disk path frozen, since when, which layer, on what evidence? The judge sees one
 * Sample after the other and remembers what it needs in a Track. It never asks a clock. The rules
 * stand at the head of freeze.c. */

#include "model.h"
#include "settings.h"

typedef struct DiskTrack {
    char *id;
    char *label; /* owned: a disk that has just vanished is still named */
    bool has_last;
    guint64 last_ops, last_failed_ops, last_time_ns; /* counters of the last sample that had them */
    gint64 progress_us; /* last sample in which honest progress was seen, or the first one seen */
    guint still_ticks;  /* samples in a row without progress, gate open */
    gint64 evidence_since_us; /* first sample of the unbroken run of in-flight evidence; 0 = none */
    guint64 evidence_used_idx; /* used index at the start of that run */
    gint64 next_evidence_us;   /* costly evidence is not worth asking before this */
    gint64 evidence_gap_us;    /* present back-off */
    Verdict verdict;
} DiskTrack;

typedef struct Track {
    bool has_last;
    gint64 last_us, last_boottime_us;
    gint64 gate_since_us;   /* running without interruption since; 0 = gate shut */
    gint64 silent_since_us; /* first sample of the unbroken run without an answer; 0 = answers */
    guint silent_samples;
    GPtrArray *disks; /* of DiskTrack, owned */
    Verdict verdict;  /* of the VM: the gravest of its disks, or of the monitor */
} Track;

void track_init(Track *ret_track);
void track_clear(Track *track);
const DiskTrack *track_find_disk(const Track *track, const char *id);

/* Judges one sample: updates every disk's verdict and the VM's. */
void freeze_judge(Track *track, const Sample *sample, const Limits *limits);
/* Is costly evidence (virtqueues) worth its price for this disk in the next sample? */
bool freeze_wants_evidence(const DiskTrack *disk, gint64 now_us);
/* Is any verdict of this VM open, so that a shared monitor is worth asking at the suspect's period?
 */
bool freeze_is_suspect(const Track *track);
/* max(patience, 3 x the time one 1.25 MiB request, or one operation, takes under the disk's own
 * throttle), capped. Source: 98 recorded runs that were not freezes, none over 20 s. */
gint64 freeze_patience_us(const DiskSample *disk, const Limits *limits);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Track, track_clear)
