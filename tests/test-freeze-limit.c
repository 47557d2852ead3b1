/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a limit explains: the pace of what completes, and the limit that lets nothing pass. */

#include "t.h"

#include "freeze-limit.h"

#define S ((gint64)G_USEC_PER_SEC)

typedef struct {
    const char *name;
    guint64 bps, iops, bytes, operations;
    gint64 elapsed_us;
    Pace pace;
} PaceRow;

static const PaceRow pace_rows[] = {
    {"without a limit nothing is explained", 0, 0, 1 << 20, 100, 2 * S, PACE_BELOW},
    {"1.25 MiB in 66 s are 20 kB/s", 20000, 0, 1280 << 10, 1, 66 * S, PACE_LIMIT},
    {"20 in 2 s are 10 operations/s", 0, 10, 80 << 10, 20, 2 * S, PACE_LIMIT},
    {"one of eight disks of a group", 80000, 0, 20000, 5, 2 * S, PACE_LIMIT},
    {"a sample that came early", 20000, 0, 60000, 1, 1 * S, PACE_LIMIT},
    {"64 KiB in 47 s are no work of 60 MiB/s", 60 << 20, 0, 64 << 10, 1, 47 * S, PACE_BELOW},
    {"one write in 47 s is no work of one a second", 0, 1, 64 << 10, 1, 47 * S, PACE_BELOW},
    {"64 KiB in 47 s never passed a limit of 1 byte/s", 1, 0, 64 << 10, 1, 47 * S, PACE_ABOVE},
    {"the limit that is used counts", 20000, 1000, 1280 << 10, 1, 66 * S, PACE_LIMIT},
    {"no time has passed", 20000, 0, 1280 << 10, 1, 0, PACE_BELOW},
    {"counters that ran backwards", 1, 0, G_MAXUINT64, G_MAXUINT64, 2 * S, PACE_ABOVE},
};

static void
test_pace(void **state)
{
    const PaceRow *row = *state;
    DiskSample disk = {.has_limit = true, .limit_bps = row->bps, .limit_iops = row->iops};

    assert_int_equal(limit_pace(&disk, row->bytes, row->operations, row->elapsed_us), row->pace);
    disk.has_limit = false; /* the values mean nothing then */
    assert_int_equal(limit_pace(&disk, row->bytes, row->operations, row->elapsed_us), PACE_BELOW);
}

static void
test_shut(void **state)
{
    static const Limits limits = {.patience_us = 20 * S, .patience_max_us = 120 * S};
    static const struct {
        guint64 bps, iops;
        bool is_shut, explains;
    } rows[] = {
        {0, 0, false, false},        {1, 0, true, true},      {34, 0, true, true},
        {35, 0, false, true},        {20000, 0, false, true}, {100000, 0, false, true},
        {60 << 20, 0, false, false}, {0, 1, false, false},    {0, 10, false, false},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        DiskSample disk = {.has_limit = true, .limit_bps = rows[i].bps, .limit_iops = rows[i].iops};

        assert_int_equal(limit_is_shut(&disk, &limits), rows[i].is_shut);
        assert_int_equal(limit_explains(&disk, &limits), rows[i].explains);
        disk.has_limit = false;
        assert_false(limit_is_shut(&disk, &limits));
        assert_false(limit_explains(&disk, &limits));
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(pace_rows) + 1];

    for (guint i = 0; i < G_N_ELEMENTS(pace_rows); i++)
        tests[i] = t_row(pace_rows[i].name, test_pace, &pace_rows[i]);
    tests[G_N_ELEMENTS(pace_rows)] = (struct CMUnitTest){
        .name = "below a page in the cap of patience a limit is shut", .test_func = test_shut};
    return _cmocka_run_group_tests("freeze-limit", tests, G_N_ELEMENTS(tests), NULL, NULL);
}
