/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-job.h"

/* A write of the guest's makes a backup copy the clusters it touches, 64 KiB each by default: its
 * own bytes, and one more at each end. Twice that is no doubt. */
#define CLUSTER_BYTES (64 * 1024.0)
/* Proxmox's backups to its backup server have clusters of 4 MiB: a debt is not forgiven before. */
#define CLUSTER_BYTES_MAX (4 * 1024 * 1024.0)
#define BY_ITSELF_FACTOR 2
/* What is copied for writes that do not count yet because they are in flight. */
#define BY_ITSELF_MIN (4 * 1024 * 1024.0)
/* QEMU copies at most 1 MiB at once (BLOCK_COPY_MAX_BUFFER), or a cluster, and then pays for it. */
#define CHUNK_BYTES (1024 * 1024.0)
/* Thirty years: what the excuse of a job of one byte a second may be, and fit. */
#define EXCUSE_SECONDS_MAX 1e9

static bool
has_moved_by_itself(const JobMark *from, const JobMark *newest, double cluster_bytes)
{
    double by_guest = (double)(newest->bytes - from->bytes) +
                      2 * cluster_bytes * (double)(newest->ops - from->ops);

    return (double)(newest->offset_bytes - from->offset_bytes) >
           BY_ITSELF_FACTOR * by_guest + BY_ITSELF_MIN;
}

/* How much a discard makes the job copy is not known, and it began before it counted. */
static void
forget_before_discard(JobTrack *job)
{
    job->first = job->paid = job->newest;
    job->is_moving_by_itself = false;
}

/* What it copied since the last sample counts as copied just now: it may be owed for longer. */
static void
follow_moves(JobTrack *job, const JobMark *newest, guint64 speed_bps, gint64 now_us)
{
    double paid = (double)speed_bps * (double)(now_us - job->seen_us) / G_USEC_PER_SEC;
    guint64 moved = newest->offset_bytes - job->newest.offset_bytes;
    bool has_discarded = newest->unmap_ops != job->newest.unmap_ops;

    job->newest = *newest;
    job->debt_bytes = MAX(0, job->debt_bytes - paid) + (double)moved;
    if (has_discarded)
        forget_before_discard(job);
    if (has_moved_by_itself(&job->first, newest, CLUSTER_BYTES))
        job->is_moving_by_itself = true;
    if (has_moved_by_itself(&job->paid, newest, CLUSTER_BYTES_MAX)) {
        job->debt_bytes =
            MIN(job->debt_bytes, (double)(newest->offset_bytes - job->paid.offset_bytes));
        job->paid = *newest;
    }
}

static void
follow_excuse(JobTrack *job, guint64 speed_bps, gint64 now_us)
{
    double seconds;

    if (speed_bps == 0) {
        job->excused_us = 0;
    } else if (job->debt_bytes > 0 || speed_bps != job->speed_bps) {
        seconds =
            MIN((job->debt_bytes + CLUSTER_BYTES_MAX) / (double)speed_bps, EXCUSE_SECONDS_MAX);
        job->excused_us = now_us + (gint64)(seconds * G_USEC_PER_SEC);
    }
    job->speed_bps = speed_bps;
    job->seen_us = now_us;
}

void
job_follow(JobTrack *job, const DiskSample *disk, gint64 now_us)
{
    JobMark before = job->newest, newest = {.offset_bytes = disk->job_offset_bytes,
                                            .ops = disk->wr_ops,
                                            .bytes = disk->wr_bytes,
                                            .unmap_ops = disk->unmap_ops};
    bool is_new = !job->is_seen || newest.offset_bytes < before.offset_bytes ||
                  newest.ops < before.ops || newest.bytes < before.bytes ||
                  newest.unmap_ops < before.unmap_ops; /* or another life of the VM */

    if (!disk->has_job || !disk->has_counters) {
        job->is_seen = false;
        return;
    }
    if (is_new)
        *job = (JobTrack){.is_seen = true,
                          .first = newest,
                          .paid = newest,
                          .newest = newest,
                          .still_since_us = now_us,
                          .debt_bytes = (double)newest.offset_bytes};
    else
        follow_moves(job, &newest, disk->job_speed_bps, now_us);
    if (newest.offset_bytes != before.offset_bytes)
        job->still_since_us = now_us;
    follow_excuse(job, disk->job_speed_bps, now_us);
}

/* When neither the job nor the disk has moved since. */
static gint64
still_since_us(const DiskTrack *track)
{
    return MAX(track->job.still_since_us, track->habit.last_progress_us);
}

static gint64
patience_us(const DiskTrack *track, const DiskContext *context)
{
    gint64 patience = context->limits->patience_us;

    return MAX(patience,
               habit_patience_us(&track->habit, context->sample->now_us, patience, false));
}

bool
job_is_stalled(const DiskTrack *track, const DiskContext *context, gint64 *ret_us)
{
    gint64 granted;

    if (!track->job.is_seen || !habit_is_writer(&track->habit))
        return false;
    granted = patience_us(track, context);
    if (track->job.speed_bps > 0)
        granted += (gint64)(CHUNK_BYTES / (double)track->job.speed_bps * G_USEC_PER_SEC);
    *ret_us = granted;
    return context->sample->now_us - still_since_us(track) >= granted;
}

bool
job_is_proof(const DiskTrack *track, const DiskContext *context)
{
    gint64 since = MAX(still_since_us(track), track->job.excused_us);

    return track->job.is_moving_by_itself && context->is_settled &&
           context->sample->now_us - since >= patience_us(track, context);
}
