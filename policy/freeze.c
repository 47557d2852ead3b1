/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The freeze verdict.
 *
 * query-blockstats counts completed requests, so a frozen disk and an idle one look the same in it.
 * What tells them apart is a request in flight that does not come back. One sample is judged in
 * this order, and the first line that applies decides:
 *
 *   of the VM, for all its disks
 *     the sample is late, or the host slept      unknown; an open freeze stays, every window starts
 * again the process is gone                        unknown / process-gone the process is in state T
 * suspect, in two samples in a row frozen / process-stopped no greeting unknown / socket-busy:
 * another client holds the monitor a greeting or more, then no answer         suspect, for max(3
 * periods, `silent`) frozen / main-loop-blocked not running                                ok /
 * not-running / the status
 *
 *   of one disk
 *     it made progress                           ok
 *     nothing in flight                          ok
 *     in flight in every sample, patience over   frozen / block-path, or / throttle at the cap of
 * patience in flight for half the patience            suspect, same layer its limit is so slow that
 * it explains all  suspect / throttle / throttle-bound, at once no evidence to be had, and not yet
 * settled unknown else                                       ok
 *
 * Progress is a completed or failed operation, unless what completed was itself older than the
 * patience: a controller's reset loop lets one 47 s old write through every 47 s, and that is no
 * progress. A request counts as the same one while its queue's used index stands still; where
 * several disks share the queue the index moves with the neighbour, and there "never empty, and
 * this disk without progress" is the evidence.
 *
 * Only a VM that has been running for `settle` is named frozen: after io-error and incoming the
 * queue holds requests that wait for their retry. Named and paged are two moments: frozen is named
 * as soon as the rule holds, and paged when it has lasted `page_after`. */

#include "freeze.h"

#include <string.h>

/* Linux splits at 1280 KiB by default (max_sectors_kb): the largest single request a limit must let
 * pass. */
#define REQUEST_BYTES_MAX (1280 * 1024.0)
/* A limit may hold one request while it pays for two before it. */
#define PATIENCE_REQUESTS 3
/* Two still samples before costly evidence: one is what every slow writer shows. */
#define STILL_SAMPLES_MIN 2
/* An idle disk is asked again after 2, 4, 8 s and not more rarely: a freeze that meets an idle
 * disk's first request must still be named within 30 s. */
#define EVIDENCE_GAP_MIN_US (2 * G_USEC_PER_SEC)
#define EVIDENCE_GAP_MAX_US (8 * G_USEC_PER_SEC)
/* Process in T in two samples: a debugger that stops it for a stack trace is gone by then. */
#define STOPPED_SAMPLES_MIN 2

/* Seconds one legal request can take under the disk's own limit; 0 without one. */
static double
limit_request_s(const DiskSample *disk)
{
    double by_bytes = 0, by_operations = 0;

    if (!disk->has_limit)
        return 0;
    if (disk->limit_bps > 0)
        by_bytes = REQUEST_BYTES_MAX / (double)disk->limit_bps;
    if (disk->limit_iops > 0)
        by_operations = 1.0 / (double)disk->limit_iops;
    return MAX(by_bytes, by_operations);
}

gint64
freeze_patience_us(const DiskSample *disk, const Limits *limits)
{
    double wanted_us = PATIENCE_REQUESTS * limit_request_s(disk) * G_USEC_PER_SEC;

    if (wanted_us >= (double)limits->patience_max_us)
        return MAX(limits->patience_max_us, limits->patience_us);
    return MAX((gint64)wanted_us, limits->patience_us);
}

/* Can its own limit explain what is seen? Only a limit that earned more patience than everybody
 * has. */
static bool
limit_explains(const DiskSample *disk, const Limits *limits)
{
    return PATIENCE_REQUESTS * limit_request_s(disk) * G_USEC_PER_SEC > (double)limits->patience_us;
}

static Verdict
judge_silence(Track *track, const Sample *sample, const Limits *limits)
{
    gint64 patience = MAX(3 * sample->period_us, limits->silent_us);
    Verdict verdict = {.layer = LAYER_MAIN_LOOP_BLOCKED, .patience_us = patience};

    if (track->silent_since_us == 0)
        track->silent_since_us = sample->now_us - sample->waited_us;
    verdict.cause = sample->monitor == MONITOR_NO_NEGOTIATION ? "no-negotiation" : "no-answer";
    verdict.since_us = track->silent_since_us;
    verdict.reason = "the monitor greets or has greeted, but QEMU's main loop does not answer";
    verdict.state = STATE_SUSPECT;
    if (sample->now_us - track->silent_since_us >= patience) {
        verdict.state = STATE_FROZEN;
    } else if (sample->now_us - track->silent_since_us < patience / 2) {
        verdict.state = STATE_UNKNOWN; /* one slow answer on a busy host is no suspicion */
        verdict.layer = LAYER_UNKNOWN;
    }
    return verdict;
}

static Verdict
judge_not_running(const Sample *sample)
{
    Verdict verdict = {.state = STATE_OK,
                       .layer = LAYER_NOT_RUNNING,
                       .cause = run_state_name(sample->run),
                       .reason = "a VM that does not run writes nothing, and that is right"};

    if (sample->run == RUN_UNKNOWN) {
        verdict.state = STATE_UNKNOWN;
        verdict.layer = LAYER_UNKNOWN;
        verdict.cause = "no-status";
        verdict.reason = "query-status gave no word that is known";
    }
    return verdict;
}

static Verdict
judge_stopped(Track *track, const Sample *sample)
{
    Verdict verdict = {.state = STATE_SUSPECT, .layer = LAYER_PROCESS_STOPPED};

    verdict.cause = sample->process_state == 't' ? "traced" : "stopped";
    verdict.reason = "the QEMU process itself is stopped (state T)";
    if (++track->stopped_samples >= STOPPED_SAMPLES_MIN)
        verdict.state = STATE_FROZEN;
    return verdict;
}

static Verdict
judge_monitor(Track *track, const Sample *sample, const Limits *limits)
{
    static const Verdict answers[] = {
        [MONITOR_NOT_ASKED] = {.state = STATE_UNKNOWN,
                               .layer = LAYER_UNKNOWN,
                               .cause = "no-monitor",
                               .reason = "there is no monitor that may be asked"},
        [MONITOR_REFUSED] = {.state = STATE_UNKNOWN,
                             .layer = LAYER_UNKNOWN,
                             .cause = "monitor-refused",
                             .reason = "nobody listens on the monitor's socket"},
        [MONITOR_NO_GREETING] = {.state = STATE_UNKNOWN,
                                 .layer = LAYER_SOCKET_BUSY,
                                 .cause = "foreign-client",
                                 .reason =
                                     "the monitor serves one client, and another one holds it"},
        [MONITOR_BROKEN] = {.state = STATE_UNKNOWN,
                            .layer = LAYER_UNKNOWN,
                            .cause = "monitor-broken",
                            .reason = "what the monitor says is not QMP"},
        [MONITOR_ANSWERED] = {.state = STATE_OK, .layer = LAYER_NONE},
    };

    if (sample->monitor == MONITOR_NO_NEGOTIATION || sample->monitor == MONITOR_SILENT)
        return judge_silence(track, sample, limits);
    track->silent_since_us = 0;
    return answers[sample->monitor];
}

/* What holds for the whole VM; state ok and layer none: look at each disk. */
static Verdict
judge_vm(Track *track, const Sample *sample, const Limits *limits)
{
    Verdict verdict;

    if (sample->process_is_gone)
        return (Verdict){.state = STATE_UNKNOWN,
                         .layer = LAYER_PROCESS_GONE,
                         .cause = "gone",
                         .reason = "the QEMU process has ended"};
    if (sample->process_state == 'T' || sample->process_state == 't') {
        track->silent_since_us = 0;
        return judge_stopped(track, sample);
    }
    track->stopped_samples = 0;
    verdict = judge_monitor(track, sample, limits);
    if (verdict.layer != LAYER_NONE)
        return verdict;
    if (sample->run != RUN_RUNNING)
        return judge_not_running(sample);
    if (!sample->has_disks)
        return (Verdict){.state = STATE_UNKNOWN,
                         .layer = LAYER_UNKNOWN,
                         .cause = "no-blockstats",
                         .reason = "query-blockstats gave nothing that can be read"};
    return verdict;
}

static bool
disk_progressed(DiskTrack *track, const DiskSample *disk, gint64 patience_us)
{
    guint64 ops = disk->rd_ops + disk->wr_ops + disk->flush_ops + disk->unmap_ops;
    guint64 done = ops - track->last_ops;
    guint64 spent_ns = disk->total_time_ns - track->last_time_ns;
    bool is_first = !track->has_last;
    bool has_failed = disk->failed_ops != track->last_failed_ops;
    bool has_restarted = ops < track->last_ops || disk->total_time_ns < track->last_time_ns;

    track->has_last = true;
    track->last_ops = ops;
    track->last_failed_ops = disk->failed_ops;
    track->last_time_ns = disk->total_time_ns;
    if (is_first)
        return false;
    if (has_failed || has_restarted)
        return true;
    return done > 0 && spent_ns / done <= (guint64)patience_us * 1000;
}

static void
disk_note_progress(DiskTrack *track, gint64 now_us)
{
    track->has_progressed = true;
    track->clear_us = now_us;
    track->still_samples = 0;
    track->evidence_since_us = 0;
    track->evidence_samples = 0;
    track->evidence_gap_us = 0;
    track->next_evidence_us = 0;
}

/* Asked for evidence and got none, or none in flight: the next look may wait, longer each time. */
static void
disk_back_off(DiskTrack *track, gint64 now_us)
{
    if (track->still_samples < STILL_SAMPLES_MIN || now_us < track->next_evidence_us)
        return;
    track->evidence_gap_us =
        CLAMP(2 * track->evidence_gap_us, EVIDENCE_GAP_MIN_US, EVIDENCE_GAP_MAX_US);
    track->next_evidence_us = now_us + track->evidence_gap_us;
}

static void
disk_note_evidence(DiskTrack *track, const DiskSample *disk, gint64 now_us)
{
    track->has_evidence = disk->has_queue;
    if (!disk->has_queue || disk->queue_inflight == 0) {
        if (disk->has_queue) {
            track->clear_us = now_us;
            track->evidence_since_us = 0;
            track->evidence_samples = 0;
        }
        disk_back_off(track, now_us);
        return;
    }
    if (track->evidence_since_us == 0 ||
        (!disk->queue_is_shared && disk->queue_used_idx != track->evidence_used_idx)) {
        track->evidence_since_us = now_us;
        track->evidence_samples = 0;
        track->evidence_used_idx = disk->queue_used_idx;
    }
    track->evidence_samples++;
    track->evidence_gap_us = 0;
    track->next_evidence_us = 0;
}

/* A request is in flight and has been for `waited`: what does that make of the disk? */
static Verdict
judge_inflight(const DiskTrack *track, const DiskSample *disk, gint64 waited_us, bool is_settled,
               const Limits *limits)
{
    gint64 patience = freeze_patience_us(disk, limits);
    bool is_throttle = limit_explains(disk, limits);
    bool is_at_cap = is_throttle && patience >= limits->patience_max_us;
    Verdict verdict = {.state = STATE_OK,
                       .layer = LAYER_NONE,
                       .cause = "",
                       .inflight = disk->queue_inflight,
                       .patience_us = patience,
                       .since_us = track->clear_us};

    if (waited_us >= patience && is_settled) {
        verdict.state = STATE_FROZEN;
        verdict.layer = is_at_cap ? LAYER_THROTTLE : LAYER_BLOCK_PATH;
        verdict.cause = is_at_cap ? "throttle-bound" : "in-flight";
        verdict.reason = is_at_cap
                             ? "its own limit has held the same request up to the cap of patience"
                             : "the same request is in flight in every sample, patience is over";
    } else if (is_throttle && track->evidence_samples > 1) {
        verdict.state = STATE_SUSPECT;
        verdict.layer = LAYER_THROTTLE;
        verdict.cause = "throttle-bound";
        verdict.reason = "a request is in flight, and its own limit explains the wait";
    } else if (waited_us >= patience / 2 || (!is_settled && track->evidence_samples > 1)) {
        verdict.state = STATE_SUSPECT;
        verdict.layer = LAYER_BLOCK_PATH;
        verdict.cause = "in-flight";
        verdict.reason = "the same request is in flight in every sample, patience is not over";
    } else {
        verdict.reason = "a request is in flight, as in any busy disk";
    }
    return verdict;
}

static Verdict
judge_disk(DiskTrack *track, const DiskSample *disk, const Sample *sample, bool is_settled,
           const Limits *limits)
{
    Verdict verdict = {.state = STATE_OK, .layer = LAYER_NONE, .cause = ""};

    if (!disk->has_counters) {
        track->has_last = false;
        verdict.state = STATE_UNKNOWN;
        verdict.layer = LAYER_UNKNOWN;
        verdict.cause = "no-counters";
        verdict.reason = "the counters of this disk cannot be read";
        return verdict;
    }
    if (disk_progressed(track, disk, freeze_patience_us(disk, limits))) {
        disk_note_progress(track, sample->now_us);
        verdict.reason = "requests complete";
        return verdict;
    }
    track->still_samples++;
    disk_note_evidence(track, disk, sample->now_us);
    if (track->evidence_since_us > 0 && track->has_evidence)
        return judge_inflight(track, disk, sample->now_us - track->evidence_since_us, is_settled,
                              limits);
    if (track->has_evidence) {
        verdict.reason = "nothing is in flight";
        return verdict;
    }
    if (track->verdict.state >= STATE_SUSPECT) /* evidence failed this once: nothing new is known */
        return track->verdict;
    if (!is_settled && !track->has_progressed) {
        verdict.state = STATE_UNKNOWN;
        verdict.layer = LAYER_UNKNOWN;
        verdict.cause = "young";
        verdict.reason = "watched for too short a time, and nothing completed meanwhile";
        return verdict;
    }
    verdict.reason = "quiet, without evidence that anything is in flight";
    return verdict;
}

static void
judge_disks(Track *track, const Sample *sample, const Limits *limits)
{
    const Verdict *gravest = NULL;
    bool is_settled;

    if (track->gate_since_us == 0)
        track->gate_since_us = sample->now_us;
    is_settled = sample->now_us - track->gate_since_us >= limits->settle_us;
    track_follow_disks(track, sample);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];
        const DiskSample *seen = sample_find_disk(sample, disk->id);

        verdict_set(&disk->verdict, judge_disk(disk, seen, sample, is_settled, limits), sample,
                    limits);
        if (!gravest || verdict_is_graver(&disk->verdict, gravest))
            gravest = &disk->verdict;
    }
    if (gravest)
        verdict_set(&track->verdict, *gravest, sample, limits);
    else
        verdict_set(
            &track->verdict,
            (Verdict){.state = STATE_OK, .cause = "", .reason = "it has no disk with a medium"},
            sample, limits);
}

/* The same verdict for the VM and every disk of it; windows of the disks start again. */
static void
judge_all_alike(Track *track, Verdict verdict, const Sample *sample, const Limits *limits)
{
    verdict_set(&track->verdict, verdict, sample, limits);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        disk->still_samples = 0;
        disk->evidence_since_us = 0;
        disk->evidence_samples = 0;
        disk->clear_us = sample->now_us;
        verdict_set(&disk->verdict, verdict, sample, limits);
    }
}

static void
judge_late(Track *track, const Sample *sample, const Limits *limits)
{
    Verdict late = {.state = STATE_UNKNOWN,
                    .layer = LAYER_UNKNOWN,
                    .cause = "late-tick",
                    .reason =
                        "our own sample came late, or the host slept: nothing can be concluded"};

    track_discard_windows(track, sample);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        if (disk->verdict.state != STATE_FROZEN)
            verdict_set(&disk->verdict, late, sample, limits);
    }
    if (track->verdict.state != STATE_FROZEN)
        verdict_set(&track->verdict, late, sample, limits);
}

void
freeze_judge(Track *track, const Sample *sample, const Limits *limits)
{
    bool is_late = track_is_late(track, sample);
    Verdict vm;

    track->has_last = true;
    track->last_us = sample->now_us;
    track->last_boottime_us = sample->boottime_us;
    track->last_period_us = sample->period_us;
    if (is_late) {
        judge_late(track, sample, limits);
        return;
    }
    vm = judge_vm(track, sample, limits);
    if (vm.layer == LAYER_NONE) {
        judge_disks(track, sample, limits);
        return;
    }
    track->gate_since_us = 0;
    judge_all_alike(track, vm, sample, limits);
}

bool
freeze_wants_evidence(const DiskTrack *disk, gint64 now_us)
{
    if (!disk || !disk->has_last)
        return true;
    if (disk->verdict.state >= STATE_SUSPECT || disk->evidence_since_us > 0)
        return true;
    return (disk->still_samples >= STILL_SAMPLES_MIN || !disk->has_progressed) &&
           now_us >= disk->next_evidence_us;
}

bool
freeze_is_suspect(const Track *track)
{
    for (guint i = 0; i < track->disks->len; i++) {
        const DiskTrack *disk = track->disks->pdata[i];

        /* it was busy, went still, and nobody has looked into its queue since */
        bool is_unexplained =
            disk->has_progressed && disk->still_samples > 0 && disk->next_evidence_us == 0;

        if (disk->verdict.state >= STATE_SUSPECT || disk->evidence_since_us > 0 || is_unexplained)
            return true;
    }
    return track->verdict.state >= STATE_SUSPECT || track->silent_since_us > 0;
}
