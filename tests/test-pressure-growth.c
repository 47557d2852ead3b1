/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The OOM forecast of what grows, in virtual time: told before it dies, and what only breathes is
 * not. */

#include "t.h"

#include "pressure-fixture.h"

/* The guest fills up at 20 MiB/s beside a stranger: doomed from the first reading on, and a page
 * at least a minute before the end. */
static void
a_doomed_vm_is_paged_a_minute_before_it_dies(void **state)
{
    Story story = {.group = {.ram = 2048, .touched = 300, .own = 24, .beside = 456, .limit = 2300}};
    gint64 doomed_us = 0, paged_us = 0;

    while (story.group.touched + story.group.own + story.group.beside < story.group.limit) {
        const PressureVerdict *verdict = story_read(&story);

        if (verdict->level >= PRESSURE_DOOMED && doomed_us == 0)
            doomed_us = story.now_us;
        if (verdict->level >= PRESSURE_IMMINENT && paged_us == 0)
            paged_us = story.now_us;
        story.group.touched += 20 * 5 / 4;
    }
    assert_int_equal(story.track.verdict.grows_bps, 0); /* nothing beside it does */
    assert_int_equal(doomed_us, 5 * S);
    assert_true(paged_us > 0);
    assert_true(story.now_us - paged_us >= 60 * S);
}

/* It stands still for hours: a ticket, not a page. */
static void
a_doomed_vm_that_does_not_grow_is_not_paged(void **state)
{
    Story story = {.group = {.ram = 2048, .touched = 300, .own = 24, .beside = 456, .limit = 2300}};

    for (guint i = 0; i < 4 * 720; i++)
        assert_int_equal(story_read(&story)->level, PRESSURE_DOOMED);
    assert_int_equal(story_read(&story)->since_us, 5 * S);
}

/* Runs the story until its group is full; how long before that it was paged, in seconds; -1: not
 * at all. */
static gint64
paged_before_s(Story *story, guint step_mib)
{
    gint64 paged_us = 0;

    while (story->group.touched + story->group.own + story->group.beside < story->group.limit) {
        if (story_read(story)->level == PRESSURE_IMMINENT && paged_us == 0)
            paged_us = story->now_us;
        story->group.beside += step_mib;
    }
    return paged_us == 0 ? -1 : (story->now_us - paged_us) / S;
}

static void
a_leak_beside_a_full_guest_is_paged_in_time(void **state)
{
    for (guint step = 1; step <= 8; step++) { /* 0.2 to 1.6 MiB/s */
        Story story = {
            .group = {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 1524}};
        gint64 before_s = paged_before_s(&story, step);

        if (before_s < 60 || before_s > PRESSURE_IMMINENT_US / S)
            fail_msg("%u MiB in 5 s: paged %" G_GINT64_FORMAT " s before", step, before_s);
        /* what a raised limit has to reckon with */
        if (story.track.verdict.grows_bps / 1024 != step * 1024 / 5)
            fail_msg("%u MiB in 5 s: grows by %" G_GUINT64_FORMAT, step,
                     story.track.verdict.grows_bps);
    }
}

/* Boot: the guest fills its RAM in a minute and nothing grows beside it. */
static void
a_guest_that_fills_up_is_no_leak(void **state)
{
    Story story = {.group = {.ram = 2048, .touched = 0, .own = 40, .beside = 60, .limit = 2200}};

    for (; story.group.touched < 2048; story.group.touched += 64)
        assert_int_equal(story_read(&story)->level, PRESSURE_OK);
    for (guint i = 0; i < 100; i++)
        assert_int_equal(story_read(&story)->level, PRESSURE_OK);
}

/* A migration, a backup: 100 MiB more for half a minute, in a group with 250 to spare. */
static void
a_burst_that_is_over_is_not_paged(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 1374}};

    for (guint i = 0; i < 1000; i++) {
        guint phase = i % 100;

        story.group.own = 40 + (phase < 6 ? phase * 16 : phase < 20 ? 100 : 0);
        assert_true(story_read(&story)->level < PRESSURE_DOOMED);
    }
}

/* A day of five healthy VMs: they boot, fill up, cache, burst, breathe. */
static void
a_healthy_day_has_no_forecast(void **state)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(4);
    Story stories[] = {
        {.group = {.ram = 1024, .own = 40, .beside = 60, .limit = 1400, .is_counted = true}},
        {.group = {.ram = 2048, .own = 40, .beside = 200, .limit = 2500, .is_shared = true}},
        {.group = {.ram = 1024, .own = 40, .beside = 60, .limit = 512, .is_hugetlb = true}},
        {.group = {.ram = 4096, .own = 240, .beside = 180, .limit = 4900}},
        {.group = {.ram = 512, .own = 30, .beside = 10}},
    };

    static const guint homes[] = {40, 40, 40, 240, 30};

    for (guint tick = 0; tick < 24 * 720; tick++) {
        for (guint i = 0; i < G_N_ELEMENTS(stories); i++) {
            Story *story = &stories[i];
            Group *g = &story->group;

            g->touched =
                MIN(g->ram, g->touched + (guint)g_rand_int_range(rand, 0, 1 + g->ram / 64));
            /* a heap breathes around what it needs */
            g->own = homes[i] + (guint)g_rand_int_range(rand, 0, 12) + (tick / 360 % 2) * 8;
            g->beside =
                MIN(g->beside, 200) + (tick % 720 == 0 ? 40 : 0) - (tick % 720 == 60 ? 40 : 0);
            g->cache = (guint)g_rand_int_range(rand, 0, 200);
            story->max_events += g_rand_boolean(rand) ? 3 : 0;
            story->stalled_us += (guint64)g_rand_int_range(rand, 0, 1000);
            if (story_read(story)->level > PRESSURE_OK)
                fail_msg("VM %u after %u s: %s, %s", i, tick * 5,
                         pressure_level_name(story->track.verdict.level),
                         story->track.verdict.reason);
        }
    }
}

/* What grows beside the guest, in what manner, and what is left at first. */
typedef struct {
    const char *name;
    guint mib_per_s, room;
    guint step_s;     /* it grows at once by what it would have in so long; 0: all the time */
    guint noise;      /* up and down by so many MiB */
    guint left;       /* of the room: what the guest may take and does not */
    gint64 shown_s;   /* at least so long before its end it is shown */
    gint64 told_s;    /* and somebody is told */
    guint ends_after; /* it takes so many MiB and no more, and nobody is told; 0: it goes on */
} GrowthRow;

/* Shown when a sixth of what was left is eaten and the rest is a matter of minutes, told when half
 * is, with a reading or a window too many. */
static const GrowthRow growth_rows[] = {
    {"1 MiB/s", .mib_per_s = 1, .room = 400, .shown_s = 285, .told_s = 170},
    {"1 MiB/s with noise", .mib_per_s = 1, .room = 400, .noise = 3, .shown_s = 285, .told_s = 170},
    {"1 MiB/s in steps", .mib_per_s = 1, .room = 400, .step_s = 12, .shown_s = 270, .told_s = 160},
    {"2 MiB/s", .mib_per_s = 2, .room = 400, .shown_s = 140, .told_s = 85},
    {"2 MiB/s, little room", .mib_per_s = 2, .room = 120, .shown_s = 25, .told_s = 25},
    {"5 MiB/s", .mib_per_s = 5, .room = 400, .shown_s = 62, .told_s = 35},
    {"5 MiB/s with noise", .mib_per_s = 5, .room = 400, .noise = 3, .shown_s = 62, .told_s = 35},
    {"5 MiB/s in steps", .mib_per_s = 5, .room = 400, .step_s = 12, .shown_s = 25, .told_s = 25},
    {"5 MiB/s, much room", .mib_per_s = 5, .room = 1000, .shown_s = 140, .told_s = 90},
    {"5 MiB/s in steps, much room", .mib_per_s = 5, .room = 1000, .step_s = 12, .shown_s = 130,
     .told_s = 85},
    {"5 MiB/s, guest not full", .mib_per_s = 5, .room = 800, .left = 400, .shown_s = 140,
     .told_s = 75},
    {"20 MiB/s", .mib_per_s = 20, .room = 400, .shown_s = 5, .told_s = 5},
    {"20 MiB/s with noise", .mib_per_s = 20, .room = 400, .noise = 3, .shown_s = 5, .told_s = 5},
    {"20 MiB/s, much room", .mib_per_s = 20, .room = 2400, .shown_s = 95, .told_s = 55},
    {"20 MiB/s in steps, much room", .mib_per_s = 20, .room = 2400, .step_s = 12, .shown_s = 65,
     .told_s = 50},
    {"20 MiB/s, guest not full", .mib_per_s = 20, .room = 2400, .left = 1500, .shown_s = 100,
     .told_s = 70},
    {"100 MiB/s", .mib_per_s = 100, .room = 2400, .shown_s = 8, .told_s = 8},
    {"100 MiB/s, much room", .mib_per_s = 100, .room = 8000, .shown_s = 62, .told_s = 35},
    {"100 MiB/s, guest not full", .mib_per_s = 100, .room = 2400, .left = 1500, .shown_s = 10,
     .told_s = 10},
    {"2 MiB/s, 100 s", .mib_per_s = 2, .room = 200, .shown_s = 60, .told_s = 40},
    {"5 MiB/s, 120 s", .mib_per_s = 5, .room = 600, .shown_s = 95, .told_s = 55},
    {"10 MiB/s", .mib_per_s = 10, .room = 600, .shown_s = 45, .told_s = 27},
    {"a migration that begins is no leak", .mib_per_s = 75, .room = 250, .ends_after = 150},
    {"a backup that begins is no leak", .mib_per_s = 8, .room = 110, .ends_after = 62},
    {"a shell in the pod is no leak", .mib_per_s = 4, .room = 250, .ends_after = 100},
    {"memory plugged in is no leak", .mib_per_s = 200, .room = 300, .ends_after = 200},
    {"a leak that ends at a third is none", .mib_per_s = 5, .room = 900, .ends_after = 300},
};

/* What it has taken so many seconds after it began. */
static guint
taken_mib(const GrowthRow *row, gint64 after_s, GRand *rand)
{
    gint64 moved_s = row->step_s > 0 ? after_s - after_s % row->step_s : after_s;
    guint mib = (guint)moved_s * row->mib_per_s;

    if (row->ends_after > 0)
        mib = MIN(mib, row->ends_after);
    return mib + (row->noise > 0 ? (guint)g_rand_int_range(rand, 0, (gint)row->noise) : 0);
}

/* Read as the daemon does: in five seconds, or in one when it is hurried. */
static void
growth_is_told_in_time(void **state)
{
    const GrowthRow *row = *state;
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);
    Story story = {.group = {.ram = 4096,
                             .touched = 4096 - row->left,
                             .own = 40,
                             .beside = 60,
                             .limit = 4096 - row->left + 100 + row->room,
                             .is_counted = true}};
    gint64 began_us, end_us, shown_us = 0, told_us = 0, apart_us;

    for (guint i = 0; i < 100; i++)
        assert_int_equal(story_read(&story)->level, PRESSURE_OK);
    began_us = story.now_us;
    end_us = began_us + (row->ends_after > 0 ? 1800 * S : row->room * S / row->mib_per_s);
    while (story.now_us + (apart_us = pressure_is_hurried(&story.track) ? S : 5 * S) < end_us) {
        story.group.beside = 60 + taken_mib(row, (story.now_us + apart_us - began_us) / S, rand);
        if (story_read_after(&story, apart_us)->level >= PRESSURE_WATCH && shown_us == 0)
            shown_us = story.now_us;
        if (story.track.verdict.level >= PRESSURE_DOOMED && told_us == 0)
            told_us = story.now_us;
    }
    if (row->ends_after > 0 && told_us > 0)
        fail_msg("told after %d s", (int)((told_us - began_us) / S));
    if (row->ends_after > 0)
        return;
    if (told_us == 0 || end_us - told_us < row->told_s * S)
        fail_msg("told %d s before", told_us == 0 ? -1 : (int)((end_us - told_us) / S));
    if (end_us - shown_us < row->shown_s * S)
        fail_msg("shown %d s before", (int)((end_us - shown_us) / S));
    print_message("# dies after %d s, shown %d s and told %d s before\n",
                  (int)((end_us - began_us) / S), (int)((end_us - shown_us) / S),
                  (int)((end_us - told_us) / S));
}

/* What nothing grows in is read at leisure, and so is what has hours. */
static void
only_a_near_end_is_a_hurry(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 5220}};

    assert_false(pressure_is_hurried(&story.track));
    for (guint i = 0; i < 20; i++) {
        story.group.beside += 5; /* 1 MiB/s: an hour */
        (void)story_read(&story);
        assert_false(pressure_is_hurried(&story.track));
    }
    story.group.beside += 100; /* 20 MiB/s: three minutes */
    (void)story_read(&story);
    assert_true(pressure_is_hurried(&story.track));
    (void)story_read(&story);
    assert_false(pressure_is_hurried(&story.track));
    /* a guest that fills up below a limit that fits is none, below one that is lost it is */
    story.group = (Group){.ram = 1024, .touched = 100, .own = 40, .beside = 60, .limit = 1400};
    for (guint i = 0; i < 4; i++) {
        story.group.touched += 100;
        (void)story_read(&story);
        assert_false(pressure_is_hurried(&story.track));
    }
    story.group.limit = 1000;
    (void)story_read(&story);
    story.group.touched += 100;
    (void)story_read(&story);
    assert_true(pressure_is_hurried(&story.track));
}

/* A count that was coarse, of a guest that was busy: what it was wrong by comes to light when the
 * guest is full, and it is no growth. */
static void
the_error_of_a_count_is_no_leak(void **state)
{
    Story story = {
        .group = {.ram = 2048, .touched = 1000, .own = 240, .beside = 60, .limit = 2450}};

    for (guint i = 0; i < 60; i++) {
        MemorySample memory;

        story.now_us += 5 * S;
        story.group.touched = MIN(story.group.touched + 25, 2048);
        memory = story_reading(&story);
        memory.has_count = true;
        memory.own_low_bytes = MIB(40); /* the guest is taken for full 200 MiB too early */
        memory.own_high_bytes = MIB(400);
        if (pressure_judge(&story.track, &memory, 0)->level > PRESSURE_WATCH)
            fail_msg("%u touched: %s", story.group.touched, story.track.verdict.reason);
    }
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(a_doomed_vm_is_paged_a_minute_before_it_dies),
        cmocka_unit_test(a_doomed_vm_that_does_not_grow_is_not_paged),
        cmocka_unit_test(a_leak_beside_a_full_guest_is_paged_in_time),
        cmocka_unit_test(a_guest_that_fills_up_is_no_leak),
        cmocka_unit_test(a_burst_that_is_over_is_not_paged),
        cmocka_unit_test(a_healthy_day_has_no_forecast),
        cmocka_unit_test(only_a_near_end_is_a_hurry),
        cmocka_unit_test(the_error_of_a_count_is_no_leak),
    };

    for (guint i = 0; i < G_N_ELEMENTS(growth_rows); i++)
        g_array_append_vals(
            tests, &t_row(growth_rows[i].name, growth_is_told_in_time, &growth_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("pressure growth", (const struct CMUnitTest *)tests->data,
                                   tests->len, NULL, NULL);
}
