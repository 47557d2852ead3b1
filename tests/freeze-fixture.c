/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "freeze-fixture.h"

const Limits story_limits = {
    .settle_us = 10 * S,
    .patience_us = 20 * S,
    .patience_max_us = 120 * S,
    .page_after_us = 60 * S,
    .silent_us = 12 * S,
};

int
story_begin(void **state)
{
    Story *story = g_new0(Story, 1);

    track_init(&story->track);
    story->sample = (Sample){.now_us = 1000 * S,
                             .boottime_us = 1000 * S,
                             .period_us = 2 * S,
                             .process_state = 'S',
                             .monitor = MONITOR_ANSWERED,
                             .run = RUN_RUNNING,
                             .has_disks = true,
                             .disks = story->disks,
                             .n_disks = 2};
    for (guint i = 0; i < 2; i++)
        story->disks[i] = (DiskSample){.id = (char *)(i ? "/disk1" : "/disk0"),
                                       .label = (char *)(i ? "disk1" : "disk0"),
                                       .has_counters = true,
                                       .has_queue = true};
    *state = story;
    return 0;
}

int
story_end(void **state)
{
    Story *story = *state;

    track_clear(&story->track);
    g_free(story);
    return 0;
}

const Verdict *
story_verdict(const Story *story, guint disk)
{
    const DiskTrack *track = track_find_disk(&story->track, story->disks[disk].id);

    assert_non_null(track);
    return &track->verdict;
}

void
disk_writes(DiskSample *disk, guint64 ops, gint64 latency_us)
{
    disk->wr_ops += ops;
    disk->queue_used_idx += ops;
    disk->total_time_ns += ops * (guint64)latency_us * 1000;
    disk->queue_inflight = 0;
}

void
story_tick(Story *story)
{
    const Verdict *verdict;

    story->sample.now_us += story->sample.period_us;
    story->sample.boottime_us += story->sample.period_us;
    freeze_judge(&story->track, &story->sample, &story_limits);
    if (story->track.disks->len < 2)
        return;
    verdict = story_verdict(story, 0);
    if (verdict->state == STATE_FROZEN && story->frozen_at_us == 0)
        story->frozen_at_us = story->sample.now_us;
    if (verdict->is_paged && story->paged_at_us == 0)
        story->paged_at_us = story->sample.now_us;
    story->worst = MAX(story->worst, verdict->state);
    story->worst_neighbour = MAX(story->worst_neighbour, story_verdict(story, 1)->state);
}

void
story_warm_up(Story *story, gint64 for_us)
{
    gint64 until = story->sample.now_us + for_us;

    while (story->sample.now_us < until) {
        disk_writes(&story->disks[0], 1, 2000);
        disk_writes(&story->disks[1], 1, 2000);
        story_tick(story);
    }
    story->worst = story->worst_neighbour = STATE_OK;
    story->frozen_at_us = story->paged_at_us = 0;
}

void
story_stall(Story *story, gint64 for_us)
{
    gint64 until = story->sample.now_us + for_us;

    story->disks[0].queue_inflight = 1;
    while (story->sample.now_us < until) {
        disk_writes(&story->disks[1], 1, 2000);
        story_tick(story);
    }
}
