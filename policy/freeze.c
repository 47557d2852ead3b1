/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The freeze verdict.
 *
 * query-blockstats counts completed requests, so a frozen disk and an idle one look the same in it.
 * What tells them apart is a request in flight that does not come back. One sample is judged in
 * this order, and the first line that applies decides:
 *
 *   of the VM, for all its disks
 *     the process is gone                 unknown / process-gone
 *     the process is in state T, or the   suspect; twice in a row frozen / process-stopped
 *     cgroup freezer holds it
 *     no greeting                         unknown / socket-busy: another client holds the monitor
 *     a greeting, then no answer          unknown; for half of max(3 periods, `silent`) suspect,
 *                                         for all of it frozen / main-loop-blocked; five times
 *                                         that while a migration arrives that a hook announced
 *     three pauses or resets a minute     ok / not-running / pause-loop or reset-loop, and an alert
 *     not running                         ok / not-running / the status
 *
 *   of one disk (freeze-disk.c)
 *     it made progress                    ok; suspect / throttle where its own limit made that
 *                                         request older than everybody's patience, and lets as much
 *                                         pass as it should; suspect / storage / storage-saturated
 *                                         where requests older than the patience complete in three
 *                                         samples in a row
 *     its virtqueue is empty              ok: that is proof
 *     two completions in a row, each      frozen: a controller's reset loop lets one 47 s old write
 *     older than the patience             through every 47 s, and that is no progress; / throttle
 *                                         where its limit explains it, and then at the cap
 *     in flight, patience over            frozen / block-path; / storage when the host's device
 *                                         holds it or the neighbours stand still too; /
 *                                         backup-target when a block job stands still with it; /
 *                                         throttle at the cap of patience
 *     the host's device is slow for all   suspect / storage / storage-saturated up to the cap
 *     where it would be frozen            (freeze-device.h)
 *     its limit explains the wait         suspect / throttle / throttle-bound, at once
 *     in flight for half the patience     suspect, same layer as above
 *     the canary is not back after 10 s   frozen / block-path
 *     and the silence breaks its habit
 *     nothing known, not yet settled      unknown
 *     its block job stands still with it  frozen / backup-target when the job used to move by
 *                                         itself and its speed does not excuse it, else suspect
 *                                         (freeze-job.h)
 *     quiet under a limit that lets not   suspect / throttle after half the patience, frozen at the
 *     even a page pass within the cap     cap: a writer, or old writes that a drain let through
 *     quiet for less than the patience    suspect / throttle
 *     that its limit earns
 *     quiet for longer than its habit     suspect / unknown / habit-broken; / device-model where
 *     allows (habit.h), no evidence       the canary came back; frozen / device-model only after a
 *                                         day of learning, when its CPU ramps while the neighbours
 *                                         on the same storage move
 *     else                                ok
 *
 * In flight means: in every sample that looked, and the same request, because the evidence's mark
 * stands still (evidence.h). Progress is a completed or failed operation, unless what completed was
 * itself older than the patience. Only a VM that has been running for `settle` is named frozen:
 * after io-error and incoming the queue holds requests that wait for their retry. A sample that
 * came late, or after the host slept, neither accuses nor acquits: windows start again, what was
 * open stays open.
 *
 * Under its own limit a request may be as old as it likes while the limit is used to the full: a
 * deep queue of 10 operations/s is slow and legal. What a drain lets through comes above the
 * limit's pace, or under a limit that lets nothing pass: that is old, and no progress.
 *
 * Named and paged are two moments: frozen is named as soon as the rule holds, and paged at once
 * when a second signal agrees (network collapsed, CPU ramps, neighbours still, host device stuck),
 * else when it has lasted `page_after`. */

#include "freeze-disk.h"
#include "freeze-guest.h"

/* A writer that is still for two samples is quiet; one is what every slow writer shows. */
#define STILL_SAMPLES_MIN 2
/* Process in T in two samples: a debugger that stops it for a stack trace is gone by then. */
#define STOPPED_SAMPLES_MIN 2
/* One reboot is several RESET events at once: the firmware resets again (measured: three). */
#define RESETS_MOST 1

/* The last part of a migration, loading the devices' state, runs in the destination's main loop:
 * seconds with many vCPUs and vhost devices. A minute at the default, and then it is blocked. */
#define INCOMING_PATIENCE 5

static Verdict
judge_silence(Track *track, const Sample *sample, const Limits *limits)
{
    gint64 patience = MAX(3 * sample->period_us, limits->silent_us) *
                      (sample->is_incoming ? INCOMING_PATIENCE : 1);
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

/* A VM that stops and goes on again and again is neither frozen nor well: the loop is told, once.
 */
static Verdict
judge_loops(Track *track, const Sample *sample)
{
    bool is_pausing = loop_update(&track->pauses, sample->has_events, sample->n_stops, G_MAXUINT16,
                                  sample->now_us);
    bool is_resetting = loop_update(&track->resets, sample->has_events, sample->n_resets,
                                    RESETS_MOST, sample->now_us);

    if (is_pausing)
        return (Verdict){.state = STATE_OK,
                         .layer = LAYER_NOT_RUNNING,
                         .cause = "pause-loop",
                         .has_alert = true,
                         .since_us = track->pauses.looping_since_us,
                         .reason = "it pauses and goes on, three times a minute or more"};
    if (is_resetting)
        return (Verdict){.state = STATE_OK,
                         .layer = LAYER_NOT_RUNNING,
                         .cause = "reset-loop",
                         .has_alert = true,
                         .since_us = track->resets.looping_since_us,
                         .reason = "its guest resets three times a minute or more"};
    return (Verdict){.layer = LAYER_NONE};
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

    if (sample->process_is_frozen) {
        verdict.cause = "cgroup-frozen";
        verdict.reason = "the cgroup freezer holds the QEMU process";
    } else {
        verdict.cause = sample->process_state == 't' ? "traced" : "stopped";
        verdict.reason = "the QEMU process itself is stopped (state T)";
    }
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
    if (sample_is_stopped(sample)) {
        track->silent_since_us = 0;
        return judge_stopped(track, sample);
    }
    track->stopped_samples = 0;
    verdict = judge_monitor(track, sample, limits);
    if (verdict.layer != LAYER_NONE)
        return verdict;
    verdict = judge_loops(track, sample);
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
is_strangely_quiet(const Track *track)
{
    for (guint i = 0; i < track->disks->len; i++) {
        const DiskTrack *disk = track->disks->pdata[i];

        if (disk->still_samples >= STILL_SAMPLES_MIN && habit_is_writer(&disk->habit))
            return true;
    }
    return false;
}

/* What is to be said of each disk, in the order of the track. */
static Verdict *
judge_each(Track *track, const Sample *sample, const Limits *limits, const DiskContext *context)
{
    Verdict *verdicts = g_new0(Verdict, track->disks->len + 1);

    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        verdicts[i] = freeze_judge_disk(disk, sample_find_disk(sample, disk->id), context);
    }
    signals_update(&track->signals, sample, is_strangely_quiet(track));
    guest_follow(track, sample);
    if (context->is_late || !guest_is_silent(track, verdicts, sample, limits))
        return verdicts;
    for (guint i = 0; i < track->disks->len; i++)
        if (habit_is_writer(&((const DiskTrack *)track->disks->pdata[i])->habit))
            verdicts[i] = guest_verdict(track, limits);
    return verdicts;
}

static void
judge_disks(Track *track, const Sample *sample, const Limits *limits, bool is_late)
{
    const Verdict *gravest = NULL;
    DiskContext context = {.sample = sample,
                           .limits = limits,
                           .signals = &track->signals,
                           .reset_us = track->resets.happened_us,
                           .is_late = is_late};
    g_autofree Verdict *verdicts = NULL;

    if (track->gate_since_us == 0)
        track->gate_since_us = sample->now_us;
    context.is_settled = sample->now_us - track->gate_since_us >= limits->settle_us;
    track_follow_disks(track, sample);
    verdicts = judge_each(track, sample, limits, &context);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        verdict_set(&disk->verdict, verdicts[i], sample, limits);
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
    guest_track_restart(&track->guest);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        disk_track_restart(disk, sample->now_us);
        verdict_set(&disk->verdict, verdict, sample, limits);
    }
}

/* What was open before a late sample is neither closed nor made worse by it. */
static void
keep_open(Verdict *verdict, const Verdict *before)
{
    if (before->state >= STATE_SUSPECT)
        *verdict = *before;
}

static void
judge_sample(Track *track, const Sample *sample, const Limits *limits, bool is_late)
{
    Verdict vm = judge_vm(track, sample, limits);

    if (vm.layer == LAYER_NONE) {
        judge_disks(track, sample, limits, is_late);
        return;
    }
    if (track->silent_since_us > 0 && vm.state == STATE_UNKNOWN) {
        /* a slow answer is no sample: what is open stays open, and what was seen goes on */
        if (track->verdict.state < STATE_SUSPECT)
            verdict_set(&track->verdict, vm, sample, limits);
        return;
    }
    track->gate_since_us = 0;
    judge_all_alike(track, vm, sample, limits);
}

static void
judge_late(Track *track, const Sample *sample, const Limits *limits)
{
    guint n = track->disks->len;
    g_autofree Verdict *before = g_new0(Verdict, n + 1);
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    Verdict vm_before = track->verdict;

    for (guint i = 0; i < n; i++) {
        const DiskTrack *disk = track->disks->pdata[i];

        before[i] = disk->verdict;
        g_ptr_array_add(ids, g_strdup(disk->id));
    }
    track_discard_windows(track, sample);
    judge_sample(track, sample, limits, true);
    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *disk = track->disks->pdata[i];

        for (guint j = 0; j < n; j++)
            if (g_strcmp0(ids->pdata[j], disk->id) == 0)
                keep_open(&disk->verdict, &before[j]);
    }
    keep_open(&track->verdict, &vm_before);
}

void
freeze_judge(Track *track, const Sample *sample, const Limits *limits)
{
    bool is_late = track_is_late(track, sample);

    track->has_last = true;
    track->last_us = sample->now_us;
    track->last_boottime_us = sample->boottime_us;
    track->last_period_us = sample->period_us;
    if (is_late)
        judge_late(track, sample, limits);
    else
        judge_sample(track, sample, limits, false);
}

bool
freeze_is_suspect(const Track *track)
{
    EvidenceKind kind;

    for (guint i = 0; i < track->disks->len; i++) {
        const DiskTrack *disk = track->disks->pdata[i];
        /* it was busy, went still, and nobody has looked into its queue since */
        bool is_unexplained =
            habit_is_writer(&disk->habit) && disk->still_samples > 0 && disk->next_evidence_us == 0;

        if (disk->verdict.state >= STATE_SUSPECT || is_unexplained ||
            evidence_longest(&disk->evidence, &kind))
            return true;
    }
    return track->verdict.state >= STATE_SUSPECT || track->silent_since_us > 0;
}
