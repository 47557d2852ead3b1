/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Days of healthy VMs, in virtual time: what they take and give back alerts nobody, and is hardly
 * ever shown; what their bursts were is learned from them, as the daemon does. A leak in the same
 * VM is told. */

#include "t.h"

#include "pressure-fixture.h"
#include "reservation.h"

#define DAY_S 86400
#define SEEDS 6

/* A burst: so many MiB within rise_s, back after hold_s. */
typedef struct {
    const char *name;
    guint mib_least, mib_most, rise_least_s, rise_most_s, hold_most_s;
} Habit;

static const Habit habits[] = {
    {"a backup's bitmaps", 20, 300, 1, 6, 600},
    {"a migration's buffers", 20, 200, 5, 30, 300},
    {"an exec probe", 20, 30, 1, 3, 10},
    {"100 MiB in 20 s", 100, 100, 20, 20, 400},
    {"caches of its disks", 20, 150, 20, 240, 600},
    {"a shell", 10, 150, 1, 3, 900},
};

typedef struct {
    const Habit *habit;
    gint64 begin_s, rise_s, end_s;
    guint mib;
} Burst;

typedef struct {
    Story story;
    Reservation reservation;
    GRand *rand;
    Burst burst;
    guint room, rest, n_bursts, n_shown;
    gint64 began_us;
} Day;

static gint64
between(GRand *rand, gint64 least, gint64 most)
{
    return g_rand_int_range(rand, (gint32)least, (gint32)most + 1);
}

/* The bursts of a healthy VM fit three times into what its limit leaves. */
static Burst
burst_next(Day *day, gint64 now_s)
{
    const Habit *habit = &habits[g_rand_int_range(day->rand, 0, G_N_ELEMENTS(habits))];
    Burst burst = {.habit = habit, .begin_s = now_s + between(day->rand, 200, 3600)};

    burst.rise_s = between(day->rand, habit->rise_least_s, habit->rise_most_s);
    burst.end_s = burst.begin_s + burst.rise_s + between(day->rand, 5, habit->hold_most_s);
    burst.mib = (guint)between(day->rand, habit->mib_least, habit->mib_most);
    burst.mib = MIN(burst.mib, day->room * 3 / 10);
    return burst;
}

static guint
burst_mib(const Burst *burst, gint64 now_s)
{
    if (now_s < burst->begin_s || now_s >= burst->end_s)
        return 0;
    return (guint)(burst->mib * MIN(now_s - burst->begin_s, burst->rise_s) / burst->rise_s);
}

static void
day_begin(Day *day, guint32 seed)
{
    static const guint rams[] = {512, 1024, 4096}, rooms[] = {150, 200, 300, 400, 600, 1000};

    day->rand = g_rand_new_with_seed(seed);
    day->room = rooms[seed % G_N_ELEMENTS(rooms)];
    day->rest = 60;
    day->story.group = (Group){.ram = rams[seed % G_N_ELEMENTS(rams)],
                               .own = 60,
                               .beside = day->rest,
                               .is_counted = true,
                               .is_shared = seed % 2 == 0};
    day->story.group.limit = day->story.group.ram + 60 + day->rest + day->room;
    day->burst = burst_next(day, 600);
}

/* Read as the daemon does: in five seconds, or in one when it is hurried. */
static PressureLevel
day_read(Day *day, guint leaked_mib)
{
    Story *story = &day->story;
    Group *g = &story->group;
    gint64 apart_us = pressure_is_hurried(&story->track) ? S : 5 * S;
    gint64 now_s = (story->now_us + apart_us) / S;
    guint own = 60 - (guint)g_rand_int_range(day->rand, 0, 10);

    if (now_s >= day->burst.end_s) {
        day->n_bursts++;
        day->burst = burst_next(day, now_s);
    }
    g->own = own;
    g->beside = day->rest + burst_mib(&day->burst, now_s) + leaked_mib;
    g->touched = MIN(g->ram, g->touched + (guint)g_rand_int_range(day->rand, 0, 9));
    g->cache = (guint)g_rand_int_range(day->rand, 0, 200);
    reservation_follow(&day->reservation, MIB(g->own + g->beside), 1700000000 + now_s);
    story->burst = (guint)(reservation_burst(&day->reservation) / UNITS_MIB);
    return story_read_after(story, apart_us)->level;
}

static void
day_live(Day *day)
{
    PressureLevel before = PRESSURE_OK;

    while (day->story.now_us < DAY_S * S) {
        PressureLevel level = day_read(day, 0);

        if (level >= PRESSURE_DOOMED)
            fail_msg("%s of %u MiB in %d s, %u MiB left: %s", day->burst.habit->name,
                     day->burst.mib, (int)day->burst.rise_s, day->room,
                     day->story.track.verdict.reason);
        day->n_shown += level > before;
        before = level;
    }
}

static void
healthy_days_with_bursts_alert_nobody(void **state)
{
    guint n_bursts = 0, n_shown = 0;

    for (guint32 seed = 0; seed < SEEDS; seed++) {
        Day *day = g_new0(Day, 1);

        day_begin(day, seed);
        day_live(day);
        n_bursts += day->n_bursts;
        n_shown += day->n_shown;
        g_rand_free(day->rand);
        g_free(day);
    }
    print_message("# %u bursts, %u shown\n", n_bursts, n_shown);
    assert_true(n_bursts > SEEDS * 20);
    assert_true(n_shown * 20 <= n_bursts);
}

/* Whatever was learned of it: 2 MiB/s for as long as it takes, told with a quarter of it to go. */
static void
a_leak_after_such_a_day_is_told(void **state)
{
    for (guint32 seed = 0; seed < SEEDS; seed++) {
        Day *day = g_new0(Day, 1);
        gint64 began_us, told_us = 0, end_us;

        day_begin(day, seed);
        day_live(day);
        day->burst =
            (Burst){.habit = habits, .rise_s = 1, .begin_s = G_MAXINT32, .end_s = G_MAXINT32};
        for (guint i = 0; i < 100; i++)
            (void)day_read(day, 0);
        began_us = day->story.now_us;
        end_us = began_us + day->room * S / 2;
        while (told_us == 0 && day->story.now_us < end_us)
            if (day_read(day, (guint)((day->story.now_us - began_us) / S * 2)) >= PRESSURE_DOOMED)
                told_us = day->story.now_us;
        if (told_us == 0 || (told_us - began_us) * 4 > (end_us - began_us) * 3)
            fail_msg("%u MiB left: told after %d of %d s", day->room,
                     (int)((told_us - began_us) / S), (int)((end_us - began_us) / S));
        g_rand_free(day->rand);
        g_free(day);
    }
}

/* How long before its end growth of 7 MiB/s into 400 MiB is shown, where bursts were so large,
 * after so much at once. */
static gint64
shown_before_s(guint burst_mib, guint first_mib, guint ends_after_mib)
{
    Story story = {.group = {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 1524},
                   .burst = burst_mib};
    gint64 began_us;

    for (guint i = 0; i < 100; i++)
        assert_int_equal(story_read(&story)->level, PRESSURE_OK);
    story.group.beside = 60 + first_mib;
    story.burst = MAX(burst_mib, first_mib);
    for (guint i = 0; first_mib > 0 && i < 6; i++)
        (void)story_read(&story);
    began_us = story.now_us;
    for (gint64 s = 1; s < 57; s++) {
        guint grown = (guint)MIN(first_mib + s * 7, ends_after_mib);

        story.group.beside = 60 + grown;
        story.burst = MAX(burst_mib, grown); /* it is learned while it grows */
        if (story_read_after(&story, S)->grows_bps > 0)
            return 57 - (story.now_us - began_us) / S;
    }
    return -1;
}

static void
a_burst_as_large_as_before_is_not_shown_when_it_begins(void **state)
{
    assert_in_range(shown_before_s(0, 0, 400), 40, 57);
    assert_int_equal(shown_before_s(150, 0, 140), -1);
    /* what it begins with is no burst that is over */
    assert_in_range(shown_before_s(0, 60, 400), 40, 57);
    /* it goes on */
    assert_in_range(shown_before_s(150, 0, 400), 30, 40);
    /* one that left hardly anything excuses nothing */
    assert_in_range(shown_before_s(390, 0, 400), 40, 57);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_days_with_bursts_alert_nobody),
        cmocka_unit_test(a_leak_after_such_a_day_is_told),
        cmocka_unit_test(a_burst_as_large_as_before_is_not_shown_when_it_begins),
    };

    return cmocka_run_group_tests_name("pressure bursts", tests, NULL, NULL);
}
