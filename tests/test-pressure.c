/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The OOM forecast on stories of a group, in virtual time: the lost one is named, and the healthy
 * one beside it is not. */

#include "t.h"

#include "pressure-fixture.h"

#include <string.h>

typedef struct {
    const char *name;
    Group group;
    PressureLevel level;
    guint missing; /* at least, in MiB */
} PressureRow;

/* One reading of a group that is young: what can be said at once. */
static const PressureRow pressure_rows[] = {
    {"a guest that fits is fine",
     {.ram = 1024, .touched = 100, .own = 40, .beside = 60, .limit = 1400},
     PRESSURE_OK,
     0},
    {"the incident: 400 MiB beside a guest that is not full",
     {.ram = 1948, .touched = 305, .own = 24, .beside = 456, .limit = 2300},
     PRESSURE_DOOMED,
     104},
    {"the same counted names QEMU's own part, too",
     {.ram = 1948, .touched = 305, .own = 24, .beside = 456, .limit = 2300, .is_counted = true},
     PRESSURE_DOOMED,
     128},
    {"a full guest with room left is no forecast",
     {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 1130},
     PRESSURE_OK,
     0},
    {"a full guest with little room left and a full page cache is no forecast",
     {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .cache = 6, .limit = 1130},
     PRESSURE_OK,
     0},
    {"page cache up to the limit raises nothing",
     {.ram = 1024, .touched = 300, .own = 40, .beside = 60, .cache = 800, .limit = 1200},
     PRESSURE_OK,
     0},
    {"shared guest RAM is told from QEMU's own",
     {.ram = 1024, .touched = 300, .own = 140, .beside = 60, .limit = 1200, .is_shared = true},
     PRESSURE_DOOMED,
     24},
    {"shared guest RAM that fits is fine",
     {.ram = 1024, .touched = 300, .own = 110, .beside = 60, .limit = 1200, .is_shared = true},
     PRESSURE_OK,
     0},
    {"QEMU's own heap is taken for the guest's until it is counted",
     {.ram = 1024, .touched = 300, .own = 140, .beside = 60, .limit = 1200},
     PRESSURE_OK,
     0},
    {"and not after it",
     {.ram = 1024, .touched = 300, .own = 140, .beside = 60, .limit = 1200, .is_counted = true},
     PRESSURE_DOOMED,
     24},
    {"guest RAM in hugetlbfs is not charged and cannot be missing",
     {.ram = 1024, .touched = 300, .own = 110, .beside = 60, .limit = 256, .is_hugetlb = true},
     PRESSURE_OK,
     0},
    {"a balloon takes what the guest may not touch",
     {.ram = 2048, .touched = 300, .own = 40, .beside = 60, .limit = 1200, .balloon = 1024},
     PRESSURE_OK,
     0},
    {"a balloon that may be given back is watched",
     {.ram = 2048,
      .touched = 300,
      .own = 40,
      .beside = 60,
      .limit = 1200,
      .balloon = 1024,
      .is_counted = true},
     PRESSURE_WATCH,
     0},
    {"a balloon that leaves too much is no excuse",
     {.ram = 2048,
      .touched = 300,
      .own = 40,
      .beside = 260,
      .limit = 1200,
      .balloon = 1024,
      .is_counted = true},
     PRESSURE_DOOMED,
     124},
    {"what can be swapped out is room",
     {.ram = 1948, .touched = 305, .own = 24, .beside = 456, .limit = 2300, .swap = 512},
     PRESSURE_OK,
     0},
    {"without a limit only the host ends it",
     {.ram = 1024, .touched = 300, .own = 40, .beside = 600},
     PRESSURE_OK,
     0},
    {"at the limit with more to take it begins to die",
     {.ram = 1024, .touched = 300, .own = 40, .beside = 860, .limit = 1200},
     PRESSURE_IMMINENT,
     684},
};

static void
run_row(void **state)
{
    const PressureRow *row = *state;
    Story story = {.group = row->group};
    const PressureVerdict *verdict = story_read(&story);

    assert_string_equal(pressure_level_name(verdict->level), pressure_level_name(row->level));
    assert_int_equal(verdict->missing_low_bytes, MIB(row->missing));
    assert_true(verdict->reason && *verdict->reason);
}

static void
what_is_unknown_is_no_forecast(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 300, .own = 40, .beside = 860, .limit = 1200}};
    MemorySample memory;
    PressureTrack track = {0};

    story.now_us = 5 * S;
    memory = story_reading(&story);
    memory.has_guest_ram = false;
    assert_int_equal(pressure_judge(&track, &memory, 0)->level, PRESSURE_UNKNOWN);
    memory.at_us += S;
    memory.has_guest_ram = true;
    memory.has_rss = false;
    assert_int_equal(pressure_judge(&track, &memory, 0)->level, PRESSURE_UNKNOWN);
    memory.at_us += S;
    memory.has_rss = true;
    memory.kinds.is_known = false;
    assert_int_equal(pressure_judge(&track, &memory, 0)->level, PRESSURE_UNKNOWN);
    memory.at_us += S;
    memory.has_limit = memory.limit_is_known = false;
    assert_int_equal(pressure_judge(&track, &memory, 0)->level, PRESSURE_UNKNOWN);
}

/* Broken numbers must neither wrap nor crash, and 2^64 bytes of limit are room enough. */
static void
broken_numbers_do_not_wrap(void **state)
{
    MemorySample memory = {.at_us = 1,
                           .has_guest_ram = true,
                           .guest_ram_bytes = G_MAXUINT64,
                           .has_rss = true,
                           .rss_anon_bytes = G_MAXUINT64,
                           .has_limit = true,
                           .limit_bytes = 4096,
                           .limited_unreclaimable_bytes = G_MAXUINT64,
                           .kinds = {.is_known = true},
                           .has_peers = true,
                           .peers_left_bytes = G_MAXUINT64,
                           .has_swap_room = true,
                           .swap_room_bytes = G_MAXUINT64};
    PressureTrack track = {0};

    (void)pressure_judge(&track, &memory, G_MAXUINT64);
    memory = (MemorySample){.at_us = 2,
                            .has_guest_ram = true,
                            .guest_ram_bytes = MIB(64),
                            .has_rss = true,
                            .has_limit = true,
                            .limit_bytes = G_MAXUINT64,
                            .kinds = {.is_known = true}};
    memset(&track, 0, sizeof track);
    assert_int_equal(pressure_judge(&track, &memory, 0)->level, PRESSURE_OK);
}

/* A DIMM in shared memory beside private RAM, both full: with room for QEMU's own it is well,
 * before and after the count; without that it is doomed as soon as it is counted. */
static void
a_shared_dimm_beside_private_ram_is_the_guests(void **state)
{
    for (guint room = 0; room <= 200; room += 200) {
        Story story = {.group = {.ram = 2048, .touched = 1948, .own = 40, .beside = 60}};
        PressureTrack track = {0};
        MemorySample memory;

        story.group.limit = 2100 + room;
        for (guint i = 0; i < 20; i++) {
            story.now_us += 5 * S;
            memory = story_reading(&story);
            memory.rss_anon_bytes = MIB(1024 + 40);
            memory.rss_shmem_bytes = MIB(1948 - 1024);
            memory.has_count = i >= 10;
            memory.counted_shared_bytes = MIB(1948 - 1024);
            (void)pressure_judge(&track, &memory, 0);
            if (room > 0)
                assert_int_equal(track.verdict.level, PRESSURE_OK);
        }
        assert_int_equal(track.verdict.guest_left_low_bytes, MIB(100));
        assert_int_equal(track.verdict.level, room > 0 ? PRESSURE_OK : PRESSURE_DOOMED);
    }
}

static void
a_kill_in_the_group_is_paged(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 300, .own = 40, .beside = 60, .limit = 1200}};

    assert_int_equal(story_read(&story)->level, PRESSURE_OK);
    story.oom_kills++;
    assert_int_equal(story_read(&story)->level, PRESSURE_IMMINENT);
    for (guint i = 0; i < 15 * 12 + 13; i++)
        (void)story_read(&story);
    assert_int_equal(story.track.verdict.level, PRESSURE_OK);
}

/* Of v1. The group beside it has its killer off, too, and memory. */
static void
a_group_that_waits_for_memory_is_paged(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 1124}};
    PressureTrack waiting = {0}, beside = {0};
    MemorySample memory = story_reading(&story);

    memory.at_us = 1;
    assert_int_equal(pressure_judge(&beside, &memory, 0)->level, PRESSURE_OK);
    memory.waits_for_memory = true;
    assert_int_equal(pressure_judge(&waiting, &memory, 0)->level, PRESSURE_IMMINENT);
    assert_non_null(strstr(waiting.verdict.reason, "OOM killer is off"));
}

/* Page cache runs into the limit all day long and is given back: max events and stalls of a group
 * that is not lost say nothing; of one that is, all. */
static void
second_signals_count_for_the_lost_only(void **state)
{
    Story fine = {
        .group = {
            .ram = 1024, .touched = 300, .own = 40, .beside = 60, .cache = 800, .limit = 1200}};
    Story lost = {.group = {.ram = 1024, .touched = 300, .own = 40, .beside = 360, .limit = 1200}};

    for (guint i = 0; i < 100; i++) {
        fine.max_events += 1000;
        fine.stalled_us += 500000;
        assert_int_equal(story_read(&fine)->level, PRESSURE_OK);
    }
    assert_int_equal(story_read(&lost)->level, PRESSURE_DOOMED);
    lost.stalled_us += 500000;
    assert_int_equal(story_read(&lost)->level, PRESSURE_IMMINENT);
}

static void
a_raised_limit_ends_it_at_once_and_a_dip_does_not(void **state)
{
    Story story = {.group = {.ram = 2048, .touched = 300, .own = 24, .beside = 456, .limit = 2300}};

    assert_int_equal(story_read(&story)->level, PRESSURE_DOOMED);
    story.group.beside = 100;
    for (guint i = 0; i < 12; i++)
        assert_int_equal(story_read(&story)->level, PRESSURE_DOOMED);
    assert_int_equal(story_read(&story)->level, PRESSURE_OK);
    story.group.beside = 456;
    assert_int_equal(story_read(&story)->level, PRESSURE_DOOMED);
    story.group.limit = 2700;
    assert_int_equal(story_read(&story)->level, PRESSURE_OK);
}

static void
a_burst_that_would_not_fit_is_watched(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 1024, .own = 40, .beside = 60, .limit = 1174},
                   .burst = 40};

    assert_int_equal(story_read(&story)->level, PRESSURE_OK);
    story.burst = 60;
    assert_int_equal(story_read(&story)->level, PRESSURE_WATCH);
}

/* The limit that is stated as enough must be enough, and one page less must not. */
static void
the_sufficient_limit_is_sufficient_and_the_lowest(void **state)
{
    Story story = {.group = {.ram = 2048,
                             .touched = 300,
                             .own = 24,
                             .beside = 456,
                             .limit = 2300,
                             .is_counted = true}};
    guint64 sufficient = story_read(&story)->sufficient_bytes;

    assert_int_equal(sufficient, MIB(2048 + 24 + 456));
    assert_int_equal(story.track.verdict.missing_low_bytes, sufficient - MIB(2300));
}

static void
pages_are_counted_when_it_is_worth_it(void **state)
{
    Story story = {.group = {.ram = 1024, .touched = 300, .own = 40, .beside = 60, .limit = 1200},
                   .now_us = 1000 * S};
    MemorySample memory = story_reading(&story);

    assert_true(pressure_wants_count(&memory, 0, 0));
    assert_false(pressure_wants_count(&memory, 990 * S, MIB(340)));
    assert_false(pressure_wants_count(&memory, 990 * S, MIB(100)));
    assert_true(pressure_wants_count(&memory, 930 * S, MIB(100)));
    assert_false(pressure_wants_count(&memory, 930 * S, MIB(340)));
    assert_true(pressure_wants_count(&memory, 300 * S, MIB(340)));
    story.group.is_shared = true;
    memory = story_reading(&story);
    assert_false(pressure_wants_count(&memory, 0, 0));
    story.group =
        (Group){.ram = 1024, .touched = 1024, .own = 40, .limit = 1200, .is_counted = true};
    memory = story_reading(&story);
    assert_false(pressure_wants_count(&memory, 300 * S, 0));
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(what_is_unknown_is_no_forecast),
        cmocka_unit_test(broken_numbers_do_not_wrap),
        cmocka_unit_test(a_shared_dimm_beside_private_ram_is_the_guests),
        cmocka_unit_test(a_kill_in_the_group_is_paged),
        cmocka_unit_test(a_group_that_waits_for_memory_is_paged),
        cmocka_unit_test(second_signals_count_for_the_lost_only),
        cmocka_unit_test(a_raised_limit_ends_it_at_once_and_a_dip_does_not),
        cmocka_unit_test(a_burst_that_would_not_fit_is_watched),
        cmocka_unit_test(the_sufficient_limit_is_sufficient_and_the_lowest),
        cmocka_unit_test(pages_are_counted_when_it_is_worth_it),
    };

    for (guint i = 0; i < G_N_ELEMENTS(pressure_rows); i++)
        g_array_append_vals(tests, &t_row(pressure_rows[i].name, run_row, &pressure_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("pressure", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
