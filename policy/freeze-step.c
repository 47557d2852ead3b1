/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-disk.h"

#include "freeze-limit.h"

/* Old completions in that many samples in a row are a queue that is served, if slowly: one that a
 * reset's drain lets through, or the last of a hiccup, comes in one sample, or in two. */
#define FLOW_SAMPLES_MIN 3

static void
note_old_completion(DiskTrack *track, gint64 now_us, gint64 age_us)
{
    if (track->old_completions++ == 0)
        track->old_since_us = MAX(now_us - age_us, track->clear_us);
}

/* What completed since the last sample. */
typedef struct {
    guint64 operations, flushes, bytes, spent_ns;
    gint64 elapsed_us; /* since something else had completed */
} Completed;

static Pace
pace_of(const DiskSample *disk, const Completed *completed)
{
    return limit_pace(disk, completed->bytes, completed->operations, completed->elapsed_us);
}

/* Under a limit that cannot have let it pass, what is old was let through by a reset's drain. A
 * mean of writes and flushes hides the age of such a write, because flushes do not wait for a
 * limit. */
static bool
is_drained(const DiskSample *disk, const DiskContext *context, const Completed *completed)
{
    return limit_is_shut(disk, context->limits) ||
           (limit_explains(disk, context->limits) && pace_of(disk, completed) == PACE_ABOVE);
}

static gint64
age_of(const Completed *completed, bool without_flushes)
{
    guint64 flushes = MIN(completed->flushes, completed->operations - 1);
    guint64 operations = completed->operations - (without_flushes ? flushes : 0);

    return (gint64)(completed->spent_ns / operations / 1000);
}

static Step
drained_step(DiskTrack *track, const DiskContext *context, const Completed *completed)
{
    gint64 age_us = age_of(completed, true);

    if (age_us <= context->limits->patience_us)
        return STEP_PROGRESS; /* a burst, before the limit began to bind */
    note_old_completion(track, context->sample->now_us, age_us);
    return STEP_STILL;
}

/* Of what completed, and not because its limit works as it should. */
static Step
aged_step(const DiskSample *disk, const DiskContext *context, const Completed *completed)
{
    gint64 age = age_of(completed, false);

    if (age <= context->limits->patience_us)
        return STEP_PROGRESS;
    if (pace_of(disk, completed) == PACE_LIMIT || age <= freeze_patience_us(disk, context->limits))
        return STEP_SLOW_PROGRESS;
    return STEP_STILL;
}

/* What completed was old; that it goes on and on is another story than one now and then. */
static Step
old_step(DiskTrack *track, const DiskContext *context, gint64 elapsed_us, gint64 age_us)
{
    /* ticks are never that exactly apart */
    bool is_next = elapsed_us <= context->sample->period_us * 3 / 2;

    track->flow_samples = is_next ? track->flow_samples + 1 : 1;
    if (track->flow_samples >= FLOW_SAMPLES_MIN)
        return STEP_SLOW_STORAGE;
    if (track->flow_samples == 1)
        note_old_completion(track, context->sample->now_us, age_us);
    return STEP_STILL;
}

/* Takes the counters over, and says what they did since the last sample. */
Step
freeze_step(DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    DiskCounters now = {.ops = disk_operations(disk),
                        .flushes = disk->flush_ops,
                        .bytes = disk->rd_bytes + disk->wr_bytes,
                        .failed_ops = disk->failed_ops,
                        .time_ns = disk->total_time_ns,
                        .moved_us = context->sample->now_us};
    DiskCounters before = track->last;
    Completed completed = {.operations = now.ops - before.ops,
                           .flushes = now.flushes - before.flushes,
                           .bytes = now.bytes - before.bytes,
                           .spent_ns = now.time_ns - before.time_ns,
                           .elapsed_us = now.moved_us - before.moved_us};
    bool is_first = !track->has_last;
    Step step;

    if (!is_first && completed.operations == 0)
        now.moved_us = before.moved_us;
    track->has_last = true;
    track->last = now;
    if (is_first)
        return STEP_STILL;
    if (now.failed_ops != before.failed_ops || now.ops < before.ops || now.time_ns < before.time_ns)
        return STEP_PROGRESS;
    if (completed.operations == 0) {
        track->flow_samples = 0;
        return STEP_STILL;
    }
    if (is_drained(disk, context, &completed))
        return drained_step(track, context, &completed);
    step = aged_step(disk, context, &completed);
    if (step == STEP_STILL)
        return old_step(track, context, completed.elapsed_us, age_of(&completed, false));
    track->flow_samples = 0;
    return step;
}
