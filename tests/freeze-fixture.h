/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The judge on a made-up VM of two virtio disks that is sampled every 2 s, in virtual time; each
 * test bends it. What a story does to the first disk must leave the second alone. Include t.h
 * first. */

#include "freeze.h"

#define S ((gint64)G_USEC_PER_SEC)

typedef struct {
    Track track;
    Sample sample;
    DiskSample disks[2];
    gint64 frozen_at_us, paged_at_us;
    State worst, worst_neighbour;
} Story;

extern const Limits story_limits;

int story_begin(void **state);
int story_end(void **state);
const Verdict *story_verdict(const Story *story, guint disk);
/* Requests of so many microseconds each complete. */
void disk_writes(DiskSample *disk, guint64 ops, gint64 latency_us);
void story_tick(Story *story);
/* Both disks write, one request a tick of 2 ms, for so long; worst verdicts count from here. */
void story_warm_up(Story *story, gint64 for_us);
/* The first disk has one request that does not come back; the second goes on writing. */
void story_stall(Story *story, gint64 for_us);

#define story_test(f) cmocka_unit_test_setup_teardown(f, story_begin, story_end)
