/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The disk's half of the rules at the head of freeze.c; only freeze.c calls it. */

#include "freeze.h"

typedef struct {
    const Sample *sample;
    const Limits *limits;
    const Signals *signals;
    gint64 reset_us; /* when the guest began anew; 0: not seen */
    bool is_settled;
    bool is_late; /* this sample: only progress and an empty queue can be told from it */
} DiskContext;

/* What a disk's counters did since the last sample. */
typedef enum {
    STEP_STILL,         /* nothing completed, or only what is older than the patience */
    STEP_PROGRESS,      /* also where operations fail, or the counters begin anew */
    STEP_SLOW_PROGRESS, /* after a long wait for its own limit */
    STEP_SLOW_STORAGE,  /* old, but one after the other without a break */
} Step;

extern const Verdict freeze_late, freeze_fine;

/* Takes the counters over. An old completion is noted in the track and is no step. */
Step freeze_step(DiskTrack *track, const DiskSample *disk, const DiskContext *context);

/* Takes the disk's newest facts into its track and says what they make of it. */
Verdict freeze_judge_disk(DiskTrack *track, const DiskSample *disk, const DiskContext *context);
/* The second signals that agree with a stall of this disk: VERDICT_SIGNAL_ bits. */
guint freeze_second_signals(const DiskTrack *track, const DiskSample *disk,
                            const DiskContext *context);
/* Nothing completes and nothing shows a request in flight: is that strange? (freeze-quiet.c) */
Verdict freeze_judge_quiet(const DiskTrack *track, const DiskSample *disk,
                           const DiskContext *context);
