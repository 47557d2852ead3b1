/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-disk.h"

#include "freeze-job.h"
#include "freeze-limit.h"

/* Firmware, a boot menu, an initrd that looks for its disks: a reset guest has this long. */
#define BOOT_US (120 * (gint64)G_USEC_PER_SEC)

/* Nothing shows a request in flight, but the backup stands still with the guest. */
static Verdict
judge_job(const DiskTrack *track, const DiskSample *disk, const DiskContext *context,
          gint64 granted_us)
{
    Verdict verdict = {.state = job_is_proof(track, context) ? STATE_FROZEN : STATE_SUSPECT,
                       .layer = LAYER_BACKUP_TARGET,
                       .cause = "job-stalled",
                       .since_us = track->clear_us,
                       .patience_us = granted_us,
                       .signals = freeze_second_signals(track, disk, context)};

    verdict.reason = "its block job stands still and so does the disk, which was busy: each write "
                     "waits for the job's target";
    return verdict;
}

/* A limit that lets not even a page pass needs no request in flight to be seen: at the cap, a
 * writer that has never been quiet for that long, or from which a drain has freed an old write, is
 * stuck in it. */
static Verdict
judge_limit(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    gint64 now = context->sample->now_us;
    gint64 patience = freeze_patience_us(disk, context->limits);
    gint64 usual = habit_usual_us(&track->habit, context->limits->patience_us);
    bool is_stuck = track->old_completions > 0 || now - track->habit.last_progress_us >= usual;
    Verdict verdict = {.state = STATE_SUSPECT,
                       .layer = LAYER_THROTTLE,
                       .cause = "throttle-bound",
                       .since_us = track->clear_us,
                       .patience_us = patience,
                       .signals = freeze_second_signals(track, disk, context)};

    verdict.reason = "it was busy and is quiet, and its own limit explains that";
    if (limit_is_shut(disk, context->limits) && context->is_settled && is_stuck &&
        now - track->clear_us >= patience) {
        verdict.state = STATE_FROZEN;
        verdict.reason = "its own limit lets not even a page pass, and patience is over";
    }
    return verdict;
}

/* How long may it be quiet under a limit that explains it? < 0: the limit does not explain it any
 * more. */
static gint64
limit_allows_us(const DiskTrack *track, const DiskSample *disk, const DiskContext *context,
                gint64 allowed_us)
{
    gint64 quiet = context->sample->now_us - track->habit.last_progress_us;
    bool is_shut = limit_is_shut(disk, context->limits);

    if (!limit_explains(disk, context->limits) ||
        (!is_shut && quiet >= freeze_patience_us(disk, context->limits)))
        return -1;
    if (track->verdict.layer == LAYER_THROTTLE) /* only a request that did not wait sets it free */
        return 0;
    return is_shut ? MIN(allowed_us, context->limits->patience_us / 2) : allowed_us;
}

/* Its guest began anew and has not come to its disk yet; what stood still before is not excused. */
static bool
is_booting(const DiskTrack *track, const DiskContext *context)
{
    return context->reset_us > 0 && context->sample->now_us - context->reset_us < BOOT_US &&
           track->habit.last_progress_us <= context->reset_us &&
           track->verdict.state < STATE_SUSPECT;
}

/* Nothing proves a request in flight; all there is is that this disk was busy and is not. */
static Verdict
judge_habit(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    gint64 now = context->sample->now_us;
    gint64 quiet = now - track->habit.last_progress_us;
    bool is_back = disk->has_canary && disk->canary_is_back;
    guint signals = freeze_second_signals(track, disk, context);
    gint64 allowed =
        habit_patience_us(&track->habit, now, context->limits->patience_us, signals != 0);
    gint64 by_limit = limit_allows_us(track, disk, context, allowed);
    Verdict verdict = freeze_fine;

    verdict.reason = "quiet, as it often is; nothing can be seen in flight";
    if (is_booting(track, context)) {
        verdict.reason = "its guest was reset and has not come to this disk yet";
        return verdict;
    }
    if (!habit_is_writer(&track->habit) || quiet < (by_limit >= 0 ? by_limit : allowed))
        return verdict;
    if (by_limit >= 0)
        return judge_limit(track, disk, context);
    verdict.state = STATE_SUSPECT;
    verdict.layer = is_back ? LAYER_DEVICE_MODEL : LAYER_UNKNOWN;
    verdict.cause = "habit-broken";
    verdict.since_us = track->clear_us;
    verdict.patience_us = allowed;
    verdict.signals = signals;
    verdict.reason = "it was busy and is strangely quiet; this controller shows nothing in flight";
    if (is_back)
        verdict.reason = "strangely quiet, and a read of ours passed: it points above the block "
                         "layer, at the device model or a stall of writes only";
    if ((signals & VERDICT_SIGNAL_CPU) && disk->has_neighbours && disk->neighbours_moving > 0 &&
        habit_is_learned(&track->habit, now)) {
        verdict.state = STATE_FROZEN;
        verdict.layer = LAYER_DEVICE_MODEL;
        verdict.reason = "strangely quiet while its CPU ramps and its neighbours on the same "
                         "storage move: processes pile up behind it, inside QEMU";
    }
    return verdict;
}

Verdict
freeze_judge_quiet(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    gint64 granted_us;

    if (job_is_stalled(track, context, &granted_us))
        return judge_job(track, disk, context, granted_us);
    return judge_habit(track, disk, context);
}
