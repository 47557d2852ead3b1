/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-disk.h"

#include "freeze-device.h"
#include "freeze-job.h"
#include "freeze-limit.h"

/* An idle disk is asked again after 2, 4, 8 s and not more rarely: a freeze that meets an idle
 * disk's first request must still be named within 30 s. */
#define EVIDENCE_GAP_MIN_US (2 * (gint64)G_USEC_PER_SEC)
#define EVIDENCE_GAP_MAX_US (8 * (gint64)G_USEC_PER_SEC)
/* Two ticks of one period are never that exactly apart. */
#define TICK_JITTER_US (G_USEC_PER_SEC / 5)
/* Busy means a request in the last minute: what was quiet before is not what is stuck now. */
#define BUSY_US (60 * (gint64)G_USEC_PER_SEC)
/* One old completion is the end of a hiccup, the second is a trickle. */
#define OLD_COMPLETIONS_MIN 2
/* A 512-byte read takes milliseconds, and on storage of 15 s a write its turn comes too. */
#define CANARY_PATIENCE_US (10 * (gint64)G_USEC_PER_SEC)
/* Of the silence that is strange: at half of it, 10 s, the canary is late when the silence is
 * strange, 20 s, and the block layer is named before a guest's error handling, 30 s after its
 * request, blocks the main loop. */
#define CANARY_SENT_AT 0.5

const Verdict freeze_late = {
    .state = STATE_UNKNOWN,
    .layer = LAYER_UNKNOWN,
    .cause = "late-tick",
    .reason = "our own sample came late, or the host slept: nothing can be concluded"};

const Verdict freeze_fine = {.state = STATE_OK, .layer = LAYER_NONE, .cause = ""};

/* Asked for evidence and got none, or none in flight: the next look may wait, longer each time. */
static void
back_off(DiskTrack *track, gint64 now_us)
{
    track->evidence_gap_us =
        CLAMP(2 * track->evidence_gap_us, EVIDENCE_GAP_MIN_US, EVIDENCE_GAP_MAX_US);
    track->next_evidence_us = now_us + track->evidence_gap_us;
}

/* Had it been writing until a moment ago, so that what is stuck in a shared place may be its own?
 */
static bool
was_busy(const DiskTrack *track, gint64 now_us)
{
    EvidenceKind kind;

    return track->habit.progress_samples > 0 &&
           (now_us - track->habit.last_progress_us <= BUSY_US ||
            evidence_longest(&track->evidence, &kind));
}

static void
note_still(DiskTrack *track, const DiskSample *disk, gint64 now_us)
{
    bool was_asked = freeze_wants_evidence(track, now_us);
    EvidenceKind kind;

    track->still_samples++;
    track->queue_is_visible = track->queue_is_visible || disk->has_queue;
    evidence_update(&track->evidence, disk, was_busy(track, now_us), now_us);
    if (track->evidence.is_queue_empty)
        track->clear_us = now_us;
    if (evidence_longest(&track->evidence, &kind)) {
        track->evidence_gap_us = 0;
        track->next_evidence_us = 0;
    } else if (was_asked) {
        back_off(track, now_us);
    }
}

guint
freeze_second_signals(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    const EvidenceRun *device = &track->evidence.runs[EVIDENCE_DEVICE];
    gint64 now = context->sample->now_us;
    guint signals = 0;

    if (signals_network_collapsed(context->signals))
        signals |= VERDICT_SIGNAL_NETWORK;
    if (signals_cpu_ramps(context->signals))
        signals |= VERDICT_SIGNAL_CPU;
    if (disk->has_neighbours && disk->neighbours_still > 0 && disk->neighbours_moving == 0)
        signals |= VERDICT_SIGNAL_NEIGHBOURS;
    if (device->is_current && now - device->since_us >= context->limits->patience_us / 2)
        signals |= VERDICT_SIGNAL_DEVICE;
    return signals;
}

/* A request is stuck: below what? */
static void
name_layer(Verdict *verdict, const DiskTrack *track, EvidenceKind kind, const DiskContext *context)
{
    gint64 now = context->sample->now_us;
    bool is_job_still =
        track->job.is_seen && now - track->job.still_since_us >= context->limits->patience_us / 2;

    verdict->layer = LAYER_BLOCK_PATH;
    verdict->cause = evidence_cause(kind);
    if (is_job_still) {
        verdict->layer = LAYER_BACKUP_TARGET;
        verdict->cause = "job-stalled";
    } else if (verdict->signals & VERDICT_SIGNAL_DEVICE) {
        verdict->layer = LAYER_STORAGE;
        verdict->cause = "device-stuck";
    } else if (verdict->signals & VERDICT_SIGNAL_NEIGHBOURS) {
        verdict->layer = LAYER_STORAGE;
        verdict->cause = "neighbours-still";
    }
}

/* One sample, young VM: QEMU's own clock of the last completion says whether the wait is long
 * already. */
static bool
is_long_already(const DiskTrack *track, const DiskSample *disk, const DiskContext *context,
                const EvidenceRun *run)
{
    return !context->is_settled && run->samples > 1 && !habit_is_writer(&track->habit) &&
           disk->has_idle_time &&
           disk->idle_time_ns / 1000 >= (guint64)context->limits->patience_us / 2;
}

static Verdict
judge_inflight(const DiskTrack *track, const DiskSample *disk, const DiskContext *context,
               EvidenceKind kind)
{
    const EvidenceRun *run = &track->evidence.runs[kind];
    gint64 waited = context->sample->now_us - run->since_us;
    gint64 patience = freeze_patience_us(disk, context->limits);
    bool is_throttle = limit_explains(disk, context->limits);
    bool is_at_cap = is_throttle && patience >= context->limits->patience_max_us;
    bool was_suspect = track->verdict.state >= STATE_SUSPECT;
    /* between two requests that its limit let pass */
    bool was_throttle = was_suspect && track->verdict.layer == LAYER_THROTTLE &&
                        waited < context->limits->patience_us / 2;
    Verdict verdict = freeze_fine;

    verdict.inflight = disk->queue_inflight;
    verdict.patience_us = patience;
    verdict.since_us = track->clear_us;
    verdict.signals = freeze_second_signals(track, disk, context);
    verdict.reason = "a request is in flight, as in any busy disk";
    if (waited >= patience && context->is_settled) {
        verdict.state = STATE_FROZEN;
        name_layer(&verdict, track, kind, context);
        verdict.reason = "the same request is in flight in every sample, and patience is over";
        if (is_at_cap) {
            verdict.layer = LAYER_THROTTLE;
            verdict.cause = "throttle-bound";
            verdict.reason = "its own limit has held the same request up to the cap of patience";
        }
    } else if ((is_throttle && run->samples > 1) || was_throttle) {
        verdict.state = STATE_SUSPECT;
        verdict.layer = LAYER_THROTTLE;
        verdict.cause = "throttle-bound";
        verdict.reason = "a request is in flight, and its own limit explains the wait";
    } else if (waited >= context->limits->patience_us / 2 || was_suspect ||
               is_long_already(track, disk, context, run)) {
        verdict.state = STATE_SUSPECT;
        name_layer(&verdict, track, kind, context);
        verdict.reason = "the same request is in flight in every sample, patience is not over";
    }
    return verdict;
}

static Verdict
judge_trickle(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    bool is_throttle = limit_explains(disk, context->limits);
    gint64 patience = freeze_patience_us(disk, context->limits);
    gint64 waited = context->sample->now_us - track->clear_us;
    bool is_over = context->is_settled && (!is_throttle || waited >= patience);
    Verdict verdict = {.state = is_over ? STATE_FROZEN : STATE_SUSPECT,
                       .layer = is_throttle ? LAYER_THROTTLE : LAYER_BLOCK_PATH,
                       .cause = is_throttle ? "throttle-bound" : "trickle",
                       .since_us = track->old_since_us,
                       .patience_us = patience,
                       .inflight = disk->queue_inflight,
                       .signals = freeze_second_signals(track, disk, context)};

    verdict.reason = "what completes is older than the patience, again and again: a trickle";
    if (is_throttle)
        verdict.reason = "its own limit lets nothing pass; what completes is old, and was let "
                         "through by a reset of the guest's";
    return verdict;
}

/* For how long has nothing completed that counts, of the time after which that is strange? */
static double
strangeness(const DiskTrack *track, const Limits *limits, gint64 now_us)
{
    gint64 allowed = habit_patience_us(&track->habit, now_us, limits->patience_us, false);

    return (double)(now_us - track->habit.last_progress_us) / (double)allowed;
}

/* It was sent before the silence was strange, so that it is late when the silence is. */
static bool
canary_is_late(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    return disk->has_canary && !disk->canary_is_back &&
           disk->canary_waited_us >= CANARY_PATIENCE_US && !limit_explains(disk, context->limits) &&
           (track->verdict.state >= STATE_SUSPECT ||
            strangeness(track, context->limits, context->sample->now_us) >= 1);
}

static Verdict
judge_canary(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    Verdict verdict = {.state = context->is_settled ? STATE_FROZEN : STATE_SUSPECT,
                       .layer = LAYER_BLOCK_PATH,
                       .cause = "canary-late",
                       .since_us = track->clear_us,
                       .signals = freeze_second_signals(track, disk, context)};

    verdict.reason = "a read that we sent into the block layer does not come back either";
    return verdict;
}

static Verdict
judge_progress(DiskTrack *track, const DiskSample *disk, const DiskContext *context, Step step)
{
    gint64 now = context->sample->now_us;
    Verdict verdict = freeze_fine;

    disk_track_restart(track, now);
    habit_note_progress(&track->habit, now);
    verdict.reason = "requests complete";
    if (step == STEP_SLOW_PROGRESS) {
        verdict.state = STATE_SUSPECT;
        verdict.layer = LAYER_THROTTLE;
        verdict.cause = "throttle-bound";
        verdict.patience_us = freeze_patience_us(disk, context->limits);
        verdict.reason = "requests complete, each after a long wait for its own limit";
    } else if (step == STEP_SLOW_STORAGE) {
        verdict.state = STATE_SUSPECT;
        verdict.layer = LAYER_STORAGE;
        verdict.cause = "storage-saturated";
        verdict.patience_us = context->limits->patience_us;
        verdict.reason = "requests complete one after the other, each after a very long wait";
    }
    return verdict;
}

/* Its storage is slow for all: what would be a freeze is a wait in the queue, up to the cap. What
 * the limit, the job or the main loop explain stays as it is. */
static Verdict
soften_saturated(Verdict verdict, const DiskTrack *track, const DiskContext *context)
{
    gint64 waited = context->sample->now_us - verdict.since_us;
    bool is_below = verdict.layer == LAYER_BLOCK_PATH || verdict.layer == LAYER_STORAGE ||
                    verdict.layer == LAYER_UNKNOWN;

    if (verdict.state < STATE_SUSPECT || !is_below ||
        !device_is_saturated(&track->device, context) ||
        (verdict.state == STATE_FROZEN && track->old_completions == 0 &&
         waited >= context->limits->patience_max_us))
        return verdict;
    verdict.state = STATE_SUSPECT;
    verdict.layer = LAYER_STORAGE;
    verdict.cause = "storage-saturated";
    verdict.patience_us = context->limits->patience_max_us;
    verdict.reason = "the host's device below is slow for everybody: its requests wait their turn";
    return verdict;
}

static Verdict
judge_still(const DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    EvidenceKind kind;
    Verdict verdict = freeze_fine;

    if (track->evidence.is_queue_empty) {
        verdict.reason = "nothing is in flight";
        return verdict;
    }
    if (context->is_late)
        return freeze_late;
    if (track->old_completions >= OLD_COMPLETIONS_MIN)
        return judge_trickle(track, disk, context);
    if (evidence_longest(&track->evidence, &kind))
        return judge_inflight(track, disk, context, kind);
    if (canary_is_late(track, disk, context))
        return judge_canary(track, disk, context);
    if (!context->is_settled && track->habit.progress_samples == 0)
        return (Verdict){.state = STATE_UNKNOWN,
                         .layer = LAYER_UNKNOWN,
                         .cause = "young",
                         .reason = "watched for too short a time, and nothing completed meanwhile"};
    if (track->verdict.state == STATE_FROZEN) /* evidence failed this once: nothing new is known */
        return track->verdict;
    if (track->queue_is_visible) { /* it shows what is in flight, and was empty at the last look */
        verdict.reason = disk->has_queue
                             ? "idle: what is in flight in the shared queue is its neighbour's"
                             : "nothing was in flight at the last look";
        return verdict;
    }
    return freeze_judge_quiet(track, disk, context);
}

Verdict
freeze_judge_disk(DiskTrack *track, const DiskSample *disk, const DiskContext *context)
{
    Step step;

    if (!disk->has_counters) {
        track->has_last = false;
        return (Verdict){.state = STATE_UNKNOWN,
                         .layer = LAYER_UNKNOWN,
                         .cause = "no-counters",
                         .reason = "the counters of this disk cannot be read"};
    }
    job_follow(&track->job, disk, context->sample->now_us);
    device_follow(&track->device, disk, context->sample->now_us);
    step = freeze_step(track, disk, context);
    if (step != STEP_STILL)
        return judge_progress(track, disk, context, step);
    note_still(track, disk, context->sample->now_us);
    return soften_saturated(judge_still(track, disk, context), track, context);
}

bool
freeze_wants_evidence(const DiskTrack *disk, gint64 now_us)
{
    EvidenceKind kind;

    if (!disk || !disk->has_last)
        return true;
    if (disk->verdict.state >= STATE_SUSPECT || evidence_longest(&disk->evidence, &kind))
        return true;
    return now_us + TICK_JITTER_US >= disk->next_evidence_us;
}

bool
freeze_wants_canary(const DiskTrack *track, const DiskSample *disk, const Limits *limits,
                    gint64 now_us)
{
    EvidenceKind kind;

    /* under a limit that explains the wait a read would wait, too, and tell nothing */
    if (limits->canary != CANARY_SUSPECT || !track || track->queue_is_visible ||
        evidence_longest(&track->evidence, &kind) || track->last.ops != disk_operations(disk) ||
        limit_explains(disk, limits))
        return false;
    return track->verdict.state >= STATE_SUSPECT ||
           strangeness(track, limits, now_us) >= CANARY_SENT_AT;
}
