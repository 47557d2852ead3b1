/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The canary beside the judge, in virtual time: two disks on a controller that shows nothing in
 * flight. What becomes of the first must leave the second alone. */

#include "t.h"

#include "canary.h"
#include "freeze.h"

#define S ((gint64)G_USEC_PER_SEC)
#define PERIOD (2 * S)

/* One disk as QEMU sees it: its counters hold the guest's reads and ours alike. */
typedef struct {
    DiskSample counters;
    guint canaries;  /* that were sent to it */
    guint waiting;   /* of these, not back */
    gint64 sent_us;  /* the last of them */
    gint64 named_us; /* frozen, for the first time */
    State worst;
    DiskSample last; /* as the judge got it */
} Disk;

typedef struct {
    Vm vm;
    Disk disks[2];
    gint64 now_us;
} Story;

static int
story_begin(void **state)
{
    Story *story = g_new0(Story, 1);

    /* of a VM the canary knows no more than this */
    story->vm.run = RUN_RUNNING;
    story->vm.limits = (Limits){.settle_us = 10 * S,
                                .patience_us = 20 * S,
                                .patience_max_us = 120 * S,
                                .page_after_us = 60 * S,
                                .silent_us = 12 * S,
                                .canary = CANARY_SUSPECT};
    story->vm.canaries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    track_init(&story->vm.track);
    story->now_us = 1000 * S;
    for (guint i = 0; i < 2; i++)
        story->disks[i].counters = (DiskSample){.id = (char *)(i ? "/disk1" : "/disk0"),
                                                .label = (char *)(i ? "disk1" : "disk0"),
                                                .has_counters = true,
                                                .rd_ops = 50,
                                                .rd_bytes = 50 * 4096};
    *state = story;
    return 0;
}

static int
story_end(void **state)
{
    Story *story = *state;

    track_clear(&story->vm.track);
    g_hash_table_unref(story->vm.canaries);
    g_free(story);
    return 0;
}

static const Verdict *
verdict_of(const Story *story, guint i)
{
    return &track_find_disk(&story->vm.track, story->disks[i].counters.id)->verdict;
}

static void
send_canary(Story *story, Disk *disk, const DiskSample *seen)
{
    if (!canary_is_wanted(&story->vm, seen, story->now_us))
        return;
    canary_sent(&story->vm, seen, story->now_us);
    disk->canaries++;
    disk->waiting++;
    disk->sent_us = story->now_us;
    assert_int_equal(disk->waiting, 1);
}

/* One sample: what the guardian takes, sends and judges, in its order. */
static void
tick(Story *story)
{
    DiskSample disks[2];
    Sample sample = {.period_us = PERIOD,
                     .process_state = 'S',
                     .monitor = MONITOR_ANSWERED,
                     .run = story->vm.run,
                     .has_disks = true,
                     .disks = disks,
                     .n_disks = 2};

    sample.now_us = sample.boottime_us = story->now_us += PERIOD;
    for (guint i = 0; i < 2; i++) {
        disks[i] = story->disks[i].counters;
        canary_note(&story->vm, &disks[i], story->now_us);
        send_canary(story, &story->disks[i], &disks[i]);
        story->disks[i].last = disks[i];
    }
    freeze_judge(&story->vm.track, &sample, &story->vm.limits);
    for (guint i = 0; i < 2; i++) {
        Disk *disk = &story->disks[i];

        disk->worst = MAX(disk->worst, verdict_of(story, i)->state);
        if (verdict_of(story, i)->state == STATE_FROZEN && disk->named_us == 0)
            disk->named_us = story->now_us;
    }
}

static void
complete_write(Disk *disk, gint64 age_us)
{
    disk->counters.wr_ops++;
    disk->counters.wr_bytes += 65536;
    disk->counters.total_time_ns += (guint64)age_us * 1000;
}

static void
complete_canaries(Disk *disk)
{
    disk->counters.rd_ops += disk->waiting;
    disk->counters.rd_bytes += disk->waiting * (guint64)512;
    disk->waiting = 0;
}

/* Both write in every sample; the worst verdicts count from the end of it. */
static void
write_both(Story *story, gint64 for_us)
{
    for (gint64 until = story->now_us + for_us; story->now_us < until;) {
        for (guint i = 0; i < 2; i++) {
            complete_write(&story->disks[i], 2000);
            complete_canaries(&story->disks[i]);
        }
        tick(story);
    }
    story->disks[0].worst = story->disks[1].worst = STATE_OK;
}

/* The first disk completes nothing of its guest; reads of ours only where they pass. */
static void
stall_first(Story *story, gint64 for_us, bool canaries_pass)
{
    for (gint64 until = story->now_us + for_us; story->now_us < until;) {
        complete_write(&story->disks[1], 2000);
        if (canaries_pass)
            complete_canaries(&story->disks[0]);
        tick(story);
    }
}

static void
a_stuck_block_layer_is_named_before_the_guest_gives_up(void **state)
{
    Story *story = *state;
    gint64 onset;

    write_both(story, 60 * S);
    onset = story->now_us;
    stall_first(story, 60 * S, false);
    assert_in_range(story->disks[0].sent_us - onset, 10 * S, 12 * S);
    assert_in_range(story->disks[0].named_us - onset, 20 * S, 24 * S);
    assert_string_equal(verdict_of(story, 0)->cause, "canary-late");
    assert_int_equal(story->disks[0].canaries, 1);
    assert_int_equal(story->disks[1].canaries, 0);
    assert_int_equal(story->disks[1].worst, STATE_OK);
    write_both(story, 4 * S);
    assert_int_equal(verdict_of(story, 0)->state, STATE_OK);
}

static void
a_canary_that_comes_back_points_at_the_device_model(void **state)
{
    Story *story = *state;
    guint64 reads = story->disks[0].counters.rd_ops;

    write_both(story, 60 * S);
    stall_first(story, 60 * S, true);
    assert_int_equal(verdict_of(story, 0)->state, STATE_SUSPECT);
    assert_int_equal(verdict_of(story, 0)->layer, LAYER_DEVICE_MODEL);
    assert_int_equal(story->disks[0].canaries, 1);
    assert_int_equal(story->disks[0].last.rd_ops, reads);
    assert_int_equal(story->disks[0].last.rd_bytes, reads * 4096);
    assert_int_equal(story->disks[1].worst, STATE_OK);
}

static void
the_next_silence_gets_a_canary_of_its_own(void **state)
{
    Story *story = *state;
    guint64 reads = story->disks[0].counters.rd_ops;

    write_both(story, 60 * S);
    stall_first(story, 14 * S, true);
    assert_int_equal(story->disks[0].canaries, 1);
    assert_int_equal(story->disks[0].worst, STATE_OK);
    write_both(story, 10 * S);
    stall_first(story, 60 * S,
                false); /* 14 s were its longest gap, so that it may be still for 45 */
    assert_int_equal(story->disks[0].canaries, 2);
    assert_string_equal(verdict_of(story, 0)->cause, "canary-late");
    write_both(story, 4 * S);
    assert_int_equal(story->disks[0].last.rd_ops, reads);
}

static void
storage_of_15_s_a_write_is_not_named(void **state)
{
    Story *story = *state;

    write_both(story, 30 * S);
    for (guint i = 0; i < 40; i++) {
        stall_first(story, 14 * S, false);
        complete_write(&story->disks[0], 15 * S);
        complete_canaries(&story->disks[0]);
        tick(story);
    }
    assert_int_equal(story->disks[0].worst, STATE_OK);
    assert_in_range(story->disks[0].canaries, 1, 2); /* then it is known to be slow */
    assert_int_equal(story->disks[1].canaries, 0);
}

static void
a_guest_at_work_and_a_paused_one_get_none(void **state)
{
    Story *story = *state;

    write_both(story, 600 * S);
    story->vm.run = RUN_PAUSED;
    for (guint i = 0; i < 60; i++)
        tick(story);
    story->vm.run = RUN_RUNNING;
    write_both(story, 60 * S);
    assert_int_equal(story->disks[0].canaries + story->disks[1].canaries, 0);
}

static void
without_leave_none_is_sent(void **state)
{
    Story *story = *state;

    story->vm.limits.canary = CANARY_OFF;
    write_both(story, 60 * S);
    stall_first(story, 120 * S, false);
    assert_int_equal(story->disks[0].canaries, 0);
    assert_int_equal(story->disks[0].worst, STATE_SUSPECT);
}

static void
a_disk_with_a_visible_queue_needs_none(void **state)
{
    Story *story = *state;

    for (guint i = 0; i < 2; i++)
        story->disks[i].counters.has_queue = true;
    write_both(story, 60 * S);
    story->disks[0].counters.queue_inflight = 1;
    stall_first(story, 60 * S, false);
    assert_int_equal(story->disks[0].worst, STATE_FROZEN);
    assert_int_equal(story->disks[0].canaries, 0);
    assert_int_equal(story->disks[1].worst, STATE_OK);
}

static void
a_limit_that_explains_the_silence_gets_none(void **state)
{
    Story *story = *state;

    story->disks[0].counters.has_limit = true;
    story->disks[0].counters.limit_iops = 1;
    story->disks[0].counters.limit_bps = 100000;
    write_both(story, 60 * S);
    stall_first(story, 100 * S, false);
    assert_int_equal(story->disks[0].canaries, 0);
    assert_int_equal(story->disks[0].worst, STATE_SUSPECT);
    assert_int_equal(story->disks[1].worst, STATE_OK);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, story_begin, story_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_stuck_block_layer_is_named_before_the_guest_gives_up),
        STORY(a_canary_that_comes_back_points_at_the_device_model),
        STORY(the_next_silence_gets_a_canary_of_its_own),
        STORY(storage_of_15_s_a_write_is_not_named),
        STORY(a_guest_at_work_and_a_paused_one_get_none),
        STORY(without_leave_none_is_sent),
        STORY(a_disk_with_a_visible_queue_needs_none),
        STORY(a_limit_that_explains_the_silence_gets_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
