/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-job.h"

/* A write of the guest's makes a backup copy the clusters it touches, 64 KiB each by default: its
 * own bytes, and one more at each end. Twice that is no doubt. */
#define CLUSTER_BYTES (64 * 1024.0)
#define BY_ITSELF_FACTOR 2
/* What is copied for writes that do not count yet because they are in flight. */
#define BY_ITSELF_MIN (4 * 1024 * 1024.0)
/* QEMU copies at most 1 MiB at once (BLOCK_COPY_MAX_BUFFER), and then pays for it. */
#define CHUNK_BYTES (1024 * 1024.0)

static bool
is_moving_by_itself(const JobMark *first, const JobMark *newest)
{
    double by_guest = (double)(newest->bytes - first->bytes) +
                      2 * CLUSTER_BYTES * (double)(newest->ops - first->ops);

    return (double)(newest->offset_bytes - first->offset_bytes) >
           BY_ITSELF_FACTOR * by_guest + BY_ITSELF_MIN;
}

void
job_follow(JobTrack *job, const DiskSample *disk, gint64 now_us)
{
    JobMark before = job->newest, newest = {.offset_bytes = disk->job_offset_bytes,
                                            .ops = disk->wr_ops + disk->unmap_ops,
                                            .bytes = disk->wr_bytes};
    bool was_seen = job->is_seen;

    job->is_seen = disk->has_job && disk->has_counters;
    job->newest = newest;
    if (!was_seen || newest.offset_bytes < before.offset_bytes || newest.ops < before.ops ||
        newest.bytes < before.bytes) { /* another job, or another life of the VM */
        job->first = newest;
        job->still_since_us = now_us;
        job->is_moving_by_itself = false;
        return;
    }
    if (newest.offset_bytes != before.offset_bytes)
        job->still_since_us = now_us;
    job->is_moving_by_itself =
        job->is_moving_by_itself || is_moving_by_itself(&job->first, &newest);
}

bool
job_is_stalled(const DiskTrack *track, const DiskContext *context, const DiskSample *disk,
               gint64 *ret_us)
{
    gint64 now = context->sample->now_us;
    gint64 granted = context->limits->patience_us;

    if (!track->job.is_seen || !habit_is_writer(&track->habit))
        return false;
    if (disk->job_speed_bps > 0)
        granted += (gint64)(CHUNK_BYTES / (double)disk->job_speed_bps * G_USEC_PER_SEC);
    granted =
        MAX(granted, habit_patience_us(&track->habit, now, context->limits->patience_us, false));
    *ret_us = granted;
    return now - MAX(track->job.still_since_us, track->habit.last_progress_us) >= granted;
}
