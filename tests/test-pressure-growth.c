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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_doomed_vm_is_paged_a_minute_before_it_dies),
        cmocka_unit_test(a_doomed_vm_that_does_not_grow_is_not_paged),
        cmocka_unit_test(a_leak_beside_a_full_guest_is_paged_in_time),
        cmocka_unit_test(a_guest_that_fills_up_is_no_leak),
        cmocka_unit_test(a_burst_that_is_over_is_not_paged),
        cmocka_unit_test(a_healthy_day_has_no_forecast),
    };

    return cmocka_run_group_tests_name("pressure growth", tests, NULL, NULL);
}
