/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The judge when it is not the disk's word that counts: the guest does not run, the monitor or the
 * process is silent, the guardian itself was late. */

#include "t.h"

#include "freeze-fixture.h"

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
what_the_cgroup_freezer_holds_is_stopped_and_no_blocked_loop(void **state)
{
    Story *story = *state;

    story_warm_up(story, 30 * S);
    story->sample.monitor = MONITOR_SILENT; /* the look that finds out */
    story->sample.waited_us = 2 * S;
    story_tick(story);
    story->sample.monitor = MONITOR_NOT_ASKED;
    story->sample.process_is_frozen = true;
    story_tick(story);
    assert_int_equal(story->worst, STATE_SUSPECT);
    story_tick(story);
    assert_int_equal(story->track.verdict.state, STATE_FROZEN);
    assert_int_equal(story->track.verdict.layer, LAYER_PROCESS_STOPPED);
    assert_string_equal(story->track.verdict.cause, "cgroup-frozen");
    for (guint i = 0; i < 300; i++)
        story_tick(story);
    assert_int_equal(story->track.verdict.layer, LAYER_PROCESS_STOPPED);
    story->sample.monitor = MONITOR_ANSWERED;
    story->sample.process_is_frozen = false;
    story_warm_up(story, 4 * S);
    assert_int_equal(story->track.verdict.state, STATE_OK);
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
        story_test(after_a_resume_the_gate_opens_only_when_settled),
        story_test(silence_after_negotiation_is_a_blocked_main_loop),
        story_test(a_slow_answer_in_the_middle_loses_nothing),
        story_test(a_foreign_client_is_unknown_and_nothing_else),
        story_test(a_stopped_process_is_named_as_such),
        story_test(what_the_cgroup_freezer_holds_is_stopped_and_no_blocked_loop),
        story_test(a_late_tick_and_a_suspend_accuse_nobody),
        story_test(an_open_freeze_outlives_a_late_tick),
        story_test(an_unplugged_disk_takes_its_verdict_along),
    };

    g_array_append_vals(tests, stories, G_N_ELEMENTS(stories));
    for (guint i = 0; i < G_N_ELEMENTS(run_cases); i++) {
        struct CMUnitTest test = t_row(run_cases[i].name, run_case, &run_cases[i]);
        g_array_append_val(tests, test);
    }
    return _cmocka_run_group_tests("freeze gate", (struct CMUnitTest *)(void *)tests->data,
                                   tests->len, NULL, NULL);
}
