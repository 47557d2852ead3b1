/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The disk's half of the rules at the head of freeze.c; only freeze.c calls it. */

#include "freeze.h"

typedef struct {
    const Sample *sample;
    const Limits *limits;
    const Signals *signals;
    bool is_settled;
    bool is_late; /* this sample: only progress and an empty queue can be told from it */
} DiskContext;

extern const Verdict freeze_late;

/* Takes the disk's newest facts into its track and says what they make of it. */
Verdict freeze_judge_disk(DiskTrack *track, const DiskSample *disk, const DiskContext *context);
