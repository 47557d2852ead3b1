/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "livelock.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)
#define GIB (G_GUINT64_CONSTANT(1) << 30)

/* The field's incident: 12.3 GiB in a band of 12 to 16, no swap, 80 % stalled. */
static const BandSample incident = {.has_high = true,
                                    .has_max = true,
                                    .usage_bytes = 123 * GIB / 10,
                                    .high_bytes = 12 * GIB,
                                    .max_bytes = 16 * GIB,
                                    .has_unreclaimable = true,
                                    .unreclaimable_bytes = 122 * GIB / 10,
                                    .has_events = true,
                                    .high_events = 882948,
                                    .has_stalled = true};

typedef struct {
    const char *name;
    guint stalled_percent; /* of each step */
    guint high_step;       /* events in each step */
    guint kill_every;      /* steps; 0 never */
} BandRow;

static void
story(const BandRow *row, BandSample sample, bool expected)
{
    BandTrack track = {0};

    for (guint i = 0; i < 24; i++) { /* two minutes */
        sample.at_us += 5 * S;
        sample.stalled_us += (guint64)5 * S / 100 * row->stalled_percent;
        sample.high_events += row->high_step;
        sample.oom_kills += row->kill_every > 0 && i % row->kill_every == 0;
        (void)livelock_judge(&track, &sample);
        if (expected && sample.at_us - 5 * S >= 60 * S)
            assert_true(track.verdict.is_livelock); /* within a minute */
        if (!expected && track.verdict.is_livelock)
            fail_msg("named a livelock: %s", row->name);
    }
    assert_int_equal(track.verdict.is_livelock, expected);
    if (expected) {
        assert_int_equal(track.verdict.since_us, 5 * S);
        assert_true(track.verdict.high_events_grown > 0);
    }
}

static void
the_incident_is_named_within_a_minute(void **state)
{
    story(&(BandRow){.stalled_percent = 80, .high_step = 500}, incident, true);
}

/* Each of its tasks sleeps for two seconds: every other reading shows no event, and no stall. */
static void
readings_close_together_say_the_same(void **state)
{
    BandTrack track = {0}, busy = {0};
    BandSample sample = incident, innocent = incident;

    for (guint i = 0; i < 60; i++) {
        sample.at_us += S;
        sample.high_events += i % 2 == 0;
        sample.stalled_us += i % 2 == 0 ? (guint64)(8 * S / 5) : 0;
        (void)livelock_judge(&track, &sample);
        innocent.at_us += S;
        innocent.high_events += i % 10 == 0;
        (void)livelock_judge(&busy, &innocent);
    }
    assert_true(track.verdict.is_livelock);
    assert_false(busy.verdict.is_livelock);
    sample.at_us += S;
    sample.usage_bytes = GIB; /* it is out of the band: that holds at once */
    assert_false(livelock_judge(&track, &sample)->is_livelock);
}

static void
without_psi_the_tasks_tell(void **state)
{
    BandSample sample = incident;

    sample.has_stalled = false;
    story(&(BandRow){.name = "nobody looked", .high_step = 500}, sample, false);
    sample.has_tasks = true;
    story(&(BandRow){.name = "no task is throttled", .high_step = 500}, sample, false);
    sample.n_tasks = 9;
    sample.n_throttled = 7;
    story(&(BandRow){.high_step = 500}, sample, true);
}

static void
the_innocent_are_left_alone(void **state)
{
    BandSample sample = incident;
    const BandRow stalls = {.stalled_percent = 80, .high_step = 500, .name = "see line"};

    story(&(BandRow){.name = "busy, hardly stalled", .stalled_percent = 10, .high_step = 500},
          incident, false);
    story(&(BandRow){.name = "no events", .stalled_percent = 80}, incident, false);
    story(
        &(BandRow){
            .name = "the kernel kills", .stalled_percent = 80, .high_step = 500, .kill_every = 4},
        incident, false);
    sample.has_high = false;
    story(&stalls, sample, false);
    sample = incident;
    sample.usage_bytes = 11 * GIB; /* below the band */
    story(&stalls, sample, false);
    sample.usage_bytes = 16 * GIB; /* at memory.max: that ends in a kill */
    story(&stalls, sample, false);
    sample = incident;
    sample.has_swap_room = true; /* it swaps, slowly */
    sample.swap_room_bytes = GIB;
    story(&stalls, sample, false);
    sample = incident;
    sample.unreclaimable_bytes = 2 * GIB; /* page cache above memory.high */
    story(&stalls, sample, false);
}

static void
it_ends_when_the_hog_is_gone(void **state)
{
    BandTrack track = {0};
    BandSample sample = incident;

    for (guint i = 0; i < 24; i++) {
        sample.at_us += 5 * S;
        sample.stalled_us += 4 * S;
        sample.high_events += 5;
        (void)livelock_judge(&track, &sample);
    }
    assert_true(track.verdict.is_livelock);
    sample.at_us += 5 * S;
    sample.usage_bytes = sample.unreclaimable_bytes = GIB;
    assert_false(livelock_judge(&track, &sample)->is_livelock);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_incident_is_named_within_a_minute),
        cmocka_unit_test(readings_close_together_say_the_same),
        cmocka_unit_test(without_psi_the_tasks_tell),
        cmocka_unit_test(the_innocent_are_left_alone),
        cmocka_unit_test(it_ends_when_the_hog_is_gone),
    };

    return cmocka_run_group_tests_name("livelock", tests, NULL, NULL);
}
