/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The judge on requests that come back late, or never, and on idle disks. */

#include "t.h"

#include "freeze-fixture.h"

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

    assert_int_equal(freeze_patience_us(&disk, &story_limits), row->patience_us);
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

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest stories[] = {
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
        story_test(its_own_limit_is_named_at_once_and_frozen_only_at_the_cap),
    };

    g_array_append_vals(tests, stories, G_N_ELEMENTS(stories));
    for (guint i = 0; i < G_N_ELEMENTS(patience_cases); i++) {
        struct CMUnitTest test = t_row(patience_cases[i].name, patience_case, &patience_cases[i]);
        g_array_append_val(tests, test);
    }
    return _cmocka_run_group_tests("freeze", (struct CMUnitTest *)(void *)tests->data, tests->len,
                                   NULL, NULL);
}
