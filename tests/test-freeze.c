/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The judge on made-up samples, in virtual time. Every story has two disks: what it does to the
 * first must leave the second alone. */

#include "t.h"

#include "freeze.h"

#define S ((gint64)G_USEC_PER_SEC)

static const Limits limits = {
    .settle_us = 10 * S,
    .patience_us = 20 * S,
    .patience_max_us = 120 * S,
    .page_after_us = 60 * S,
    .silent_us = 12 * S,
};

/* A VM of two virtio disks that is sampled every 2 s; each test bends it. */
typedef struct {
    Track track;
    Sample sample;
    DiskSample disks[2];
    gint64 frozen_at_us, paged_at_us;
    State worst, worst_neighbour;
} Story;

static int
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

static int
story_end(void **state)
{
    Story *story = *state;

    track_clear(&story->track);
    g_free(story);
    return 0;
}

static const Verdict *
story_verdict(const Story *story, guint disk)
{
    const DiskTrack *track = track_find_disk(&story->track, story->disks[disk].id);

    assert_non_null(track);
    return &track->verdict;
}

static void
disk_writes(DiskSample *disk, guint64 ops, gint64 latency_us)
{
    disk->wr_ops += ops;
    disk->queue_used_idx += ops;
    disk->total_time_ns += ops * (guint64)latency_us * 1000;
    disk->queue_inflight = 0;
}

static void
story_tick(Story *story)
{
    const Verdict *verdict;

    story->sample.now_us += story->sample.period_us;
    story->sample.boottime_us += story->sample.period_us;
    freeze_judge(&story->track, &story->sample, &limits);
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

/* Both disks write, one request a tick of 2 ms, for so long; worst verdicts count from here. */
static void
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

/* The first disk has one request that does not come back; the second goes on writing. */
static void
story_stall(Story *story, gint64 for_us)
{
    gint64 until = story->sample.now_us + for_us;

    story->disks[0].queue_inflight = 1;
    while (story->sample.now_us < until) {
        disk_writes(&story->disks[1], 1, 2000);
        story_tick(story);
    }
}

static void
a_stuck_request_is_named_within_30_s_and_paged_at_60(void **state)
{
    Story *story = *state;
    gint64 onset;

    story_warm_up(story, 30 * S);
    onset = story->sample.now_us;
    story_stall(story, 18 * S);
    assert_int_equal(story->frozen_at_us, 0);
    assert_int_equal(story_verdict(story, 0)->state, STATE_SUSPECT);
    story_stall(story, 62 * S);
    assert_in_range(story->frozen_at_us - onset, 20 * S, 30 * S);
    assert_in_range(story->paged_at_us - onset, 58 * S, 62 * S);
    assert_int_equal(story_verdict(story, 0)->layer, LAYER_BLOCK_PATH);
    assert_int_equal(story_verdict(story, 0)->since_us, onset);
    assert_int_equal(story->worst_neighbour, STATE_OK);
    assert_int_equal(story->track.verdict.state, STATE_FROZEN);
}

static void
healing_closes_it_once_and_for_all(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story_stall(story, 80 * S);
    disk_writes(&story->disks[0], 1, 80 * S);
    story_tick(story);
    story_warm_up(story, 10 * S);
    assert_int_equal(story_verdict(story, 0)->state, STATE_OK);
    assert_false(story_verdict(story, 0)->is_paged);
    assert_int_equal(story->track.verdict.state, STATE_OK);
}

static void
an_idle_disk_is_fine_for_a_day(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 24 * 1800; i++)
        story_tick(story);
    assert_int_equal(story->worst, STATE_OK);
    assert_int_equal(story->worst_neighbour, STATE_OK);
}

static void
evidence_of_an_idle_disk_is_asked_rarely(void **state)
{
    Story *story = *state;
    guint asked = 0;

    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 1800; i++) {
        story->disks[0].has_queue = freeze_wants_evidence(track_find_disk(&story->track, "/disk0"),
                                                          story->sample.now_us + 2 * S);
        asked += story->disks[0].has_queue;
        story_tick(story);
    }
    assert_in_range(asked, 400, 460);
    assert_int_equal(story->worst, STATE_OK);
}

static void
an_idle_disk_whose_first_request_is_stuck_is_named_within_30_s(void **state)
{
    Story *story = *state;
    gint64 onset;

    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 500; i++) {
        story->disks[0].has_queue = freeze_wants_evidence(track_find_disk(&story->track, "/disk0"),
                                                          story->sample.now_us + 2 * S);
        story_tick(story);
    }
    onset = story->sample.now_us;
    story->disks[0].queue_inflight = 1;
    while (story->frozen_at_us == 0 && story->sample.now_us < onset + 60 * S) {
        story->disks[0].has_queue = freeze_wants_evidence(track_find_disk(&story->track, "/disk0"),
                                                          story->sample.now_us + 2 * S);
        story_tick(story);
    }
    assert_in_range(story->frozen_at_us - onset, 20 * S, 30 * S);
}

static void
without_evidence_nothing_is_frozen(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story->disks[0].has_queue = false;
    story_stall(story, 600 * S);
    assert_true(story->worst < STATE_FROZEN);
}

static void
slow_storage_of_15_s_a_write_is_never_frozen(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 40; i++) {
        story_stall(story, 14 * S);
        disk_writes(&story->disks[0], 1, 15 * S);
        story_tick(story);
    }
    assert_true(story->worst < STATE_FROZEN);
}

static void
a_trickle_of_old_requests_is_no_progress(void **state)
{
    Story *story = *state;
    const Verdict *verdict;

    story_warm_up(story, 30 * S);
    story->disks[0].queue_is_shared = true;
    for (guint i = 0; i < 4; i++) {
        story_stall(story, 46 * S);
        disk_writes(&story->disks[0], 1, 47 * S);
        story->disks[0].queue_inflight = 1;
        story_tick(story);
    }
    verdict = story_verdict(story, 0);
    assert_int_equal(verdict->state, STATE_FROZEN);
    assert_true(verdict->is_paged);
    assert_int_equal(story->worst_neighbour, STATE_OK);
}

static void
on_a_shared_queue_the_moving_neighbour_is_innocent(void **state)
{
    Story *story = *state;

    story->disks[0].queue_is_shared = story->disks[1].queue_is_shared = true;
    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 60; i++) {
        disk_writes(&story->disks[1], 1, 2000);
        story->disks[0].queue_used_idx = story->disks[1].queue_used_idx;
        story->disks[0].queue_inflight = story->disks[1].queue_inflight = 1;
        story_tick(story);
    }
    assert_int_equal(story_verdict(story, 0)->state, STATE_FROZEN);
    assert_int_equal(story->worst_neighbour, STATE_OK);
}

static void
on_a_shared_queue_one_request_makes_a_disk_answerable(void **state)
{
    Story *story = *state;

    story->disks[0].queue_is_shared = story->disks[1].queue_is_shared = true;
    story_tick(story);
    story_warm_up(story, 2 * S); /* the freeze comes right after the guest's first write */
    for (guint i = 0; i < 20; i++) {
        disk_writes(&story->disks[1], 1, 2000);
        story->disks[0].queue_used_idx = story->disks[1].queue_used_idx;
        story->disks[0].queue_inflight = story->disks[1].queue_inflight = 1;
        story_tick(story);
    }
    assert_int_equal(story_verdict(story, 0)->state, STATE_FROZEN);
    assert_int_equal(story->worst_neighbour, STATE_OK);
}

static void
a_queue_that_moves_is_not_frozen(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 200; i++) { /* requests without a completion count, e.g. get-id */
        story->disks[0].queue_inflight = 1;
        story->disks[0].queue_used_idx++;
        story_tick(story);
    }
    assert_int_equal(story->worst, STATE_OK);
}

static void
a_failing_disk_is_not_a_frozen_one(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    for (guint i = 0; i < 100; i++) {
        story->disks[0].failed_ops++;
        story->disks[0].queue_inflight = 1;
        story_tick(story);
    }
    assert_int_equal(story->worst, STATE_OK);
}

typedef struct {
    const char *name;
    RunState run;
    const char *cause;
} RunCase;

static const RunCase run_cases[] = {
    {"a paused guest is never frozen", RUN_PAUSED, "paused"},
    {"an io-error pause is never frozen", RUN_IO_ERROR, "io-error"},
    {"a guest shut down is never frozen", RUN_SHUTDOWN, "shutdown"},
    {"a panicked guest is never frozen", RUN_PANICKED, "guest-panicked"},
    {"a VM that migrates away is never frozen", RUN_MIGRATING, "migrating"},
    {"a VM that waits for its migration is never frozen", RUN_INCOMING, "incoming"},
    {"a VM before its start is never frozen", RUN_PRELAUNCH, "prelaunch"},
};

static void
run_case(void **state)
{
    const RunCase *row = *state;
    void *fresh;
    Story *story;

    story_begin(&fresh);
    story = fresh;
    story_warm_up(story, 30 * S);
    story->sample.run = row->run;
    story->disks[0].queue_inflight = 1;
    for (guint i = 0; i < 300; i++)
        story_tick(story);
    assert_int_equal(story->worst, STATE_OK);
    assert_int_equal(story->track.verdict.layer, LAYER_NOT_RUNNING);
    assert_string_equal(story->track.verdict.cause, row->cause);
    story_end(&fresh);
}

static void
after_a_resume_the_gate_opens_only_when_settled(void **state)
{
    Story *story = *state;
    gint64 resumed;

    story->sample.run = RUN_IO_ERROR;
    for (guint i = 0; i < 30; i++) {
        story->disks[0].queue_inflight = 1;
        story_tick(story);
    }
    resumed = story->sample.now_us;
    story->sample.run = RUN_RUNNING;
    story_stall(story, 60 * S);
    assert_in_range(story->frozen_at_us - resumed, 20 * S, 30 * S);
}

typedef struct {
    const char *name;
    guint64 bps, iops;
    gint64 patience_us;
} PatienceCase;

static const PatienceCase patience_cases[] = {
    {"no limit has the plain patience", 0, 0, 20 * S},
    {"60 MiB/s has the plain patience", 60 << 20, 0, 20 * S},
    {"100 kB/s earns 39 s", 100000, 0, 39321600},
    {"20 kB/s earns the cap", 20000, 0, 120 * S},
    {"1 byte/s earns the cap", 1, 0, 120 * S},
    {"one operation in ten seconds cannot be written, one a second earns nothing", 0, 1, 20 * S},
};

static void
patience_case(void **state)
{
    const PatienceCase *row = *state;
    DiskSample disk = {.has_limit = true, .limit_bps = row->bps, .limit_iops = row->iops};

    assert_int_equal(freeze_patience_us(&disk, &limits), row->patience_us);
}

static void
its_own_limit_is_named_at_once_and_frozen_only_at_the_cap(void **state)
{
    Story *story = *state;
    gint64 onset;

    story->disks[0].has_limit = true;
    story->disks[0].limit_bps = 1;
    story_warm_up(story, 30 * S);
    onset = story->sample.now_us;
    story_stall(story, 6 * S);
    assert_int_equal(story_verdict(story, 0)->state, STATE_SUSPECT);
    assert_int_equal(story_verdict(story, 0)->layer, LAYER_THROTTLE);
    assert_string_equal(story_verdict(story, 0)->cause, "throttle-bound");
    story_stall(story, 140 * S);
    assert_in_range(story->frozen_at_us - onset, 120 * S, 126 * S);
    assert_int_equal(story_verdict(story, 0)->layer, LAYER_THROTTLE);
    assert_int_equal(story->worst_neighbour, STATE_OK);
}

static void
silence_after_negotiation_is_a_blocked_main_loop(void **state)
{
    Story *story = *state;
    gint64 onset;

    story_warm_up(story, 30 * S);
    onset = story->sample.now_us;
    story->sample.monitor = MONITOR_SILENT;
    story->sample.waited_us = 2 * S;
    for (guint i = 0; i < 10; i++)
        story_tick(story);
    assert_int_equal(story->track.verdict.state, STATE_FROZEN);
    assert_int_equal(story->track.verdict.layer, LAYER_MAIN_LOOP_BLOCKED);
    assert_in_range(story->frozen_at_us - onset, 8 * S, 14 * S);
    story->sample.monitor = MONITOR_ANSWERED;
    story_warm_up(story, 4 * S);
    assert_int_equal(story->track.verdict.state, STATE_OK);
}

static void
a_slow_answer_in_the_middle_loses_nothing(void **state)
{
    Story *story = *state;
    gint64 onset;

    story_warm_up(story, 30 * S);
    onset = story->sample.now_us;
    story_stall(story, 12 * S);
    assert_int_equal(story_verdict(story, 0)->state, STATE_SUSPECT);
    story->sample.monitor = MONITOR_SILENT;
    story->sample.waited_us = 2 * S;
    story_tick(story);
    assert_int_equal(story_verdict(story, 0)->state, STATE_SUSPECT);
    assert_int_equal(story_verdict(story, 1)->state, STATE_OK);
    story->sample.monitor = MONITOR_ANSWERED;
    story_stall(story, 20 * S);
    assert_in_range(story->frozen_at_us - onset, 20 * S, 30 * S);
    assert_int_equal(story->worst_neighbour, STATE_OK);
}

static void
a_foreign_client_is_unknown_and_nothing_else(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story->sample.monitor = MONITOR_NO_GREETING;
    for (guint i = 0; i < 300; i++)
        story_tick(story);
    assert_int_equal(story->worst, STATE_UNKNOWN);
    assert_int_equal(story->track.verdict.layer, LAYER_SOCKET_BUSY);
}

static void
a_stopped_process_is_named_as_such(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story->sample.monitor = MONITOR_NO_GREETING;
    story->sample.process_state = 'T';
    story_tick(story);
    assert_int_equal(story->worst, STATE_SUSPECT);
    story_tick(story);
    assert_int_equal(story->track.verdict.state, STATE_FROZEN);
    assert_int_equal(story->track.verdict.layer, LAYER_PROCESS_STOPPED);
}

static void
a_late_tick_and_a_suspend_accuse_nobody(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story->disks[0].queue_inflight = 1;
    story_stall(story, 8 * S);
    story->sample.now_us += 60 * S; /* our own SIGSTOP */
    story->sample.boottime_us += 60 * S;
    story_tick(story);
    assert_int_equal(story_verdict(story, 0)->state, STATE_UNKNOWN);
    assert_string_equal(story_verdict(story, 0)->cause, "late-tick");
    disk_writes(&story->disks[0], 1, 2000);
    story_stall(story, 8 * S);
    story->sample.boottime_us += 3600 * S; /* the host slept for an hour */
    story_tick(story);
    assert_string_equal(story_verdict(story, 0)->cause, "late-tick");
    story_stall(story, 8 * S);
    assert_true(story->worst < STATE_FROZEN);
}

static void
an_open_freeze_outlives_a_late_tick(void **state)
{
    Story *story = *state;
    gint64 since;

    story_warm_up(story, 30 * S);
    story_stall(story, 80 * S);
    since = story_verdict(story, 0)->since_us;
    story->sample.now_us += 60 * S;
    story->sample.boottime_us += 60 * S;
    story_tick(story);
    assert_int_equal(story_verdict(story, 0)->state, STATE_FROZEN);
    assert_int_equal(story_verdict(story, 0)->since_us, since);
    assert_true(story_verdict(story, 0)->is_paged);
}

static void
an_unplugged_disk_takes_its_verdict_along(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story_stall(story, 40 * S);
    story->sample.disks = &story->disks[1];
    story->sample.n_disks = 1;
    story_tick(story);
    assert_null(track_find_disk(&story->track, "/disk0"));
    assert_int_equal(story->track.verdict.state, STATE_OK);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest stories[] = {
#define story_test(f) cmocka_unit_test_setup_teardown(f, story_begin, story_end)
        story_test(a_stuck_request_is_named_within_30_s_and_paged_at_60),
        story_test(healing_closes_it_once_and_for_all),
        story_test(an_idle_disk_is_fine_for_a_day),
        story_test(evidence_of_an_idle_disk_is_asked_rarely),
        story_test(an_idle_disk_whose_first_request_is_stuck_is_named_within_30_s),
        story_test(without_evidence_nothing_is_frozen),
        story_test(slow_storage_of_15_s_a_write_is_never_frozen),
        story_test(a_trickle_of_old_requests_is_no_progress),
        story_test(on_a_shared_queue_the_moving_neighbour_is_innocent),
        story_test(on_a_shared_queue_one_request_makes_a_disk_answerable),
        story_test(a_queue_that_moves_is_not_frozen),
        story_test(a_failing_disk_is_not_a_frozen_one),
        story_test(after_a_resume_the_gate_opens_only_when_settled),
        story_test(its_own_limit_is_named_at_once_and_frozen_only_at_the_cap),
        story_test(silence_after_negotiation_is_a_blocked_main_loop),
        story_test(a_slow_answer_in_the_middle_loses_nothing),
        story_test(a_foreign_client_is_unknown_and_nothing_else),
        story_test(a_stopped_process_is_named_as_such),
        story_test(a_late_tick_and_a_suspend_accuse_nobody),
        story_test(an_open_freeze_outlives_a_late_tick),
        story_test(an_unplugged_disk_takes_its_verdict_along),
    };

    g_array_append_vals(tests, stories, G_N_ELEMENTS(stories));
    for (guint i = 0; i < G_N_ELEMENTS(run_cases); i++) {
        struct CMUnitTest test = t_row(run_cases[i].name, run_case, &run_cases[i]);
        g_array_append_val(tests, test);
    }
    for (guint i = 0; i < G_N_ELEMENTS(patience_cases); i++) {
        struct CMUnitTest test = t_row(patience_cases[i].name, patience_case, &patience_cases[i]);
        g_array_append_val(tests, test);
    }
    return _cmocka_run_group_tests("freeze", (struct CMUnitTest *)(void *)tests->data, tests->len,
                                   NULL, NULL);
}
