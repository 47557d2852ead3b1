/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Is this VM's disk path frozen, since when, which layer, on what evidence? The judge sees one
 * Sample after the other and remembers what it needs in a Track. It never asks a clock. The rules
 * stand at the head of freeze.c. */

#include "track.h"

/* Judges one sample: updates every disk's verdict and the VM's. */
void freeze_judge(Track *track, const Sample *sample, const Limits *limits);
/* Is costly evidence of this disk worth its price in the sample being made, in which its counters
 * stand still? disk may be NULL: never seen yet. */
bool freeze_wants_evidence(const DiskTrack *disk, gint64 now_us);
/* Would a canary tell more about this disk: without any evidence and any limit that explains the
 * wait, and suspect, or quiet for half of what would make it suspect, so that the answer is there
 * then? track may be NULL: never seen. */
bool freeze_wants_canary(const DiskTrack *track, const DiskSample *disk, const Limits *limits,
                         gint64 now_us);
/* Is any verdict open, so that a shared monitor is worth asking at the suspect's period? */
bool freeze_is_suspect(const Track *track);
/* How long a request may be in flight: max(patience, 3 x max(1.25 MiB / bps, 1 / iops)), capped.
 * Source: 98 recorded runs that were not freezes, none of them over 20 s. */
gint64 freeze_patience_us(const DiskSample *disk, const Limits *limits);
