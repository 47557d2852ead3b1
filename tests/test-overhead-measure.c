/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overhead.h"
#include "units.h"

#include "t.h"

/* A row's sizes are MiB; what is expected is in MiB, too. */
typedef struct {
    const char *name;
    MemorySample memory;
    OverheadBounds expected;
} MeasureRow;

/* 1 GiB of guest RAM; rows say how much of it was touched, and where it is counted. */
#define PRIVATE .has_guest_ram = true, .guest_ram_bytes = 1024
#define SHARED PRIVATE, .guest_ram_is_shared = true
#define RSS(anon, file, shmem, tables)                                                             \
    .has_rss = true, .rss_anon_bytes = (anon), .rss_file_bytes = (file),                           \
    .rss_shmem_bytes = (shmem), .page_table_bytes = (tables)
#define GROUP(unreclaimable) .has_group = true, .group_unreclaimable_bytes = (unreclaimable)
#define BOUNDS(low, high, from)                                                                    \
    {                                                                                              \
        .is_known = true, .low_bytes = (low), .high_bytes = (high), .source = (from)               \
    }
#define EXACT(bytes, from)                                                                         \
    {                                                                                              \
        .is_known = true, .is_exact = true, .low_bytes = (bytes), .high_bytes = (bytes),           \
        .source = (from)                                                                           \
    }

static const MeasureRow measure_rows[] = {
    {"shared guest RAM is told from the rest exactly",
     {SHARED, RSS(13, 22, 700, 2)},
     EXACT(15, "process")},
    {"shared memory beyond the guest's RAM is overhead",
     {SHARED, RSS(13, 22, 1034, 2)},
     EXACT(25, "process")},
    {"guest RAM in huge pages is in no RSS",
     {SHARED, RSS(13, 22, 5, 2), .hugetlb_bytes = 1024},
     EXACT(20, "process")},
    {"private guest RAM leaves bounds", {PRIVATE, RSS(300, 22, 0, 2)}, BOUNDS(2, 302, "process")},
    {"a private guest that was counted leaves the error of the count",
     {PRIVATE, RSS(300, 22, 0, 2), .has_count = true, .own_low_bytes = 20, .own_high_bytes = 24},
     BOUNDS(22, 26, "process")},
    {"a counted guest that has grown since is still told from QEMU's own",
     {PRIVATE, RSS(1044, 22, 0, 2), GROUP(1100), .group_is_own = true, .has_count = true,
      .own_low_bytes = 20, .own_high_bytes = 20},
     EXACT(76, "cgroup")},
    {"a private guest that touched all leaves bounds",
     {PRIVATE, RSS(1064, 22, 0, 2)},
     BOUNDS(42, 1066, "process")},
    {"QEMU's own shared memory is overhead",
     {PRIVATE, RSS(1064, 22, 9, 2)},
     BOUNDS(51, 1075, "process")},
    {"without guest RAM nothing is told", {RSS(300, 22, 0, 2)}, {.source = "unknown"}},
    {"without RSS and group nothing is told", {PRIVATE}, {.source = "unknown"}},
    {"a group of its own answers for all in it",
     {SHARED, RSS(13, 22, 700, 2), GROUP(900), .group_is_own = true},
     EXACT(200, "cgroup")},
    {"a group of its own of a private guest leaves bounds",
     {PRIVATE, RSS(1064, 22, 0, 2), GROUP(1264), .group_is_own = true},
     BOUNDS(240, 1264, "cgroup")},
    {"a shared group may be a whole session",
     {SHARED, RSS(13, 22, 700, 2), GROUP(9000)},
     EXACT(15, "process")},
    {"a shared group with a limit does not answer either",
     {SHARED, RSS(13, 22, 700, 2), GROUP(9000), .has_limit = true},
     EXACT(15, "process")},
    {"a group that does not hold QEMU's pages does not answer",
     {SHARED, RSS(13, 22, 700, 2), GROUP(40), .group_is_own = true},
     EXACT(15, "process")},
    {"a group of its own answers without RSS, in bounds",
     {SHARED, GROUP(900), .group_is_own = true},
     BOUNDS(0, 900, "cgroup")},
    {"a shared group does not answer without RSS", {SHARED, GROUP(900)}, {.source = "unknown"}},
};

static MemorySample
in_bytes(const MemorySample *mib)
{
    MemorySample memory = *mib;

    memory.guest_ram_bytes *= UNITS_MIB;
    memory.rss_anon_bytes *= UNITS_MIB;
    memory.rss_file_bytes *= UNITS_MIB;
    memory.rss_shmem_bytes *= UNITS_MIB;
    memory.page_table_bytes *= UNITS_MIB;
    memory.hugetlb_bytes *= UNITS_MIB;
    memory.own_low_bytes *= UNITS_MIB;
    memory.own_high_bytes *= UNITS_MIB;
    memory.group_unreclaimable_bytes *= UNITS_MIB;
    return memory;
}

static void
run_measure(void **state)
{
    const MeasureRow *row = *state;
    MemorySample memory = in_bytes(&row->memory);
    OverheadBounds bounds = overhead_measure(&memory);

    assert_int_equal(bounds.is_known, row->expected.is_known);
    assert_int_equal(bounds.is_exact, row->expected.is_exact);
    assert_int_equal(bounds.low_bytes, row->expected.low_bytes * UNITS_MIB);
    assert_int_equal(bounds.high_bytes, row->expected.high_bytes * UNITS_MIB);
    assert_string_equal(bounds.source, row->expected.source);
}

static void
page_cache_is_not_overhead(void **state)
{
    MemorySample memory = {SHARED, RSS(13, 22, 700, 2)};
    OverheadBounds before = overhead_measure(&memory);
    OverheadBounds after;

    memory.rss_file_bytes += 1000;
    after = overhead_measure(&memory);
    assert_int_equal(after.high_bytes, before.high_bytes);
}

static void
a_broken_report_does_not_wrap(void **state)
{
    MemorySample memory = {PRIVATE, RSS(G_MAXUINT64, 0, G_MAXUINT64, G_MAXUINT64)};
    OverheadBounds bounds = overhead_measure(&memory);

    assert_true(bounds.high_bytes == G_MAXUINT64);
    assert_true(bounds.low_bytes == G_MAXUINT64 - 1024);
    memory = (MemorySample){SHARED, RSS(0, 0, 0, 0), .hugetlb_bytes = G_MAXUINT64};
    bounds = overhead_measure(&memory);
    assert_int_equal(bounds.high_bytes, 0);
}

static void
headroom_is_what_the_limit_leaves(void **state)
{
    MemorySample memory = {.has_limit = true, .limit_bytes = 1000};
    gint64 headroom_bytes = 0;

    memory.limited_unreclaimable_bytes = 900;
    assert_true(overhead_headroom(&memory, &headroom_bytes));
    assert_int_equal(headroom_bytes, 100);
    memory.limited_unreclaimable_bytes = 1100;
    assert_true(overhead_headroom(&memory, &headroom_bytes));
    assert_int_equal(headroom_bytes, -100);
    memory.limited_unreclaimable_bytes = G_MAXUINT64;
    assert_true(overhead_headroom(&memory, &headroom_bytes));
    assert_true(headroom_bytes == -G_MAXINT64);
    memory = (MemorySample){.has_limit = true, .limit_bytes = G_MAXUINT64};
    assert_true(overhead_headroom(&memory, &headroom_bytes));
    assert_true(headroom_bytes == G_MAXINT64);
}

static void
without_a_limit_there_is_no_headroom(void **state)
{
    MemorySample memory = {.limit_bytes = 1000, .limit_is_known = true};
    gint64 headroom_bytes = 4711;

    assert_false(overhead_headroom(&memory, &headroom_bytes));
    assert_int_equal(headroom_bytes, 4711);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(page_cache_is_not_overhead),
        cmocka_unit_test(a_broken_report_does_not_wrap),
        cmocka_unit_test(headroom_is_what_the_limit_leaves),
        cmocka_unit_test(without_a_limit_there_is_no_headroom),
    };

    for (guint i = 0; i < G_N_ELEMENTS(measure_rows); i++)
        g_array_append_vals(tests, &t_row(measure_rows[i].name, run_measure, &measure_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("overhead-measure", (const struct CMUnitTest *)tests->data,
                                   tests->len, NULL, NULL);
}
