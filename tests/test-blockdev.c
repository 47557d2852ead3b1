/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "blockdev.h"
#include "sysfs.h"
#include "tree.h"

#include <stdio.h>
#include <string.h>

/* As Linux 6.18 prints it, 5.4 and 4.14: 17, 15 and 11 numbers. */
#define STAT_17                                                                                    \
    "  18230     1201  1020304    5120    91823    61234  8812340   410234        3    21000   "   \
    "415354        7        0       56        9      1201      330\n"
#define STAT_11 "1 2 3 4 5 6 7 8 9 10 11\n"

typedef struct {
    const char *name, *inflight, *stat;
    bool has_inflight, has_stat;
    guint32 n_inflight;
    guint64 completed, time_ms;
} DeviceRow;

static const DeviceRow rows[] = {
    {"a busy device is read", "       1        2\n", STAT_17, true, true, 3, 18230 + 91823,
     5120 + 410234},
    {"a kernel without discards is read", "0 0\n", STAT_11, true, true, 0, 6, 12},
    {"a short line is unknown", "0\n", "1 2 3 4 5 6 7 8 9 10\n", false, false, 0, 0, 0},
    {"words are unknown", "none 0\n", "a b c d e f g h i j k\n", false, false, 0, 0, 0},
    {"nothing is unknown", "", "", false, false, 0, 0, 0},
    {"a count that cannot be is unknown", "4294967296 0\n", STAT_11, false, true, 0, 6, 12},
};

static void
device_is_parsed(void **state)
{
    const DeviceRow *row = *state;
    guint32 inflight = 77;
    guint64 completed = 77, time_ms = 77;

    assert_int_equal(block_device_parse_inflight(row->inflight, &inflight), row->has_inflight);
    assert_int_equal(block_device_parse_stat(row->stat, &completed, &time_ms), row->has_stat);
    assert_int_equal(inflight, row->has_inflight ? row->n_inflight : 77);
    assert_int_equal(completed, row->has_stat ? row->completed : 77);
    assert_int_equal(time_ms, row->has_stat ? row->time_ms : 77);
}

typedef struct {
    Tree *tree;
    Host *host;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};

    fixture->tree = tree_new();
    tree_link(fixture->tree, "dev/block/254:3", "../../devices/virtual/block/dm-3");
    tree_file(fixture->tree, "devices/virtual/block/dm-3/inflight", "       0        1\n");
    tree_file(fixture->tree, "devices/virtual/block/dm-3/stat", STAT_11);
    roots[HOST_SYS] = tree_root(fixture->tree);
    fixture->host = host_new(roots, NULL);
    assert_non_null(fixture->host);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static void
a_device_is_found_by_its_number(void **state)
{
    Fixture *fixture = *state;
    BlockDevice device;

    assert_int_equal(block_device_read(fixture->host, 254, 3, &device), BLOCK_DEVICE_READ);
    assert_int_equal(device.inflight, 1);
    assert_int_equal(device.completed, 6);
}

static void
a_device_that_left_is_gone(void **state)
{
    Fixture *fixture = *state;
    BlockDevice device;

    assert_int_equal(block_device_read(fixture->host, 254, 4, &device), BLOCK_DEVICE_GONE);
    tree_remove(fixture->tree, "devices/virtual/block/dm-3");
    assert_int_equal(block_device_read(fixture->host, 254, 3, &device), BLOCK_DEVICE_GONE);
}

static void
what_cannot_be_read_is_unknown(void **state)
{
    Fixture *fixture = *state;
    BlockDevice device;

    tree_file(fixture->tree, "devices/virtual/block/dm-3/stat", "");
    assert_int_equal(block_device_read(fixture->host, 254, 3, &device), BLOCK_DEVICE_UNKNOWN);
    tree_link(fixture->tree, "dev/block/8:0", "/etc");
    assert_int_equal(block_device_read(fixture->host, 8, 0, &device), BLOCK_DEVICE_UNKNOWN);
    tree_link(fixture->tree, "dev/block/8:1", "../../devices/../../..");
    assert_int_equal(block_device_read(fixture->host, 8, 1, &device), BLOCK_DEVICE_UNKNOWN);
    tree_remove(fixture->tree, "dev");
    assert_int_equal(block_device_read(fixture->host, 254, 3, &device), BLOCK_DEVICE_UNKNOWN);
}

static void
a_device_of_this_machine_is_read(void **state)
{
    g_autoptr(Host) host = host_new(NULL, NULL);
    g_autoptr(GDir) dir = g_dir_open("/sys/dev/block", 0, NULL);
    const char *name = dir ? g_dir_read_name(dir) : NULL;
    unsigned int major, minor;
    BlockDevice device;

    t_skip_unless(name, "this machine shows no block device");
    assert_int_equal(sscanf(name, "%u:%u", &major, &minor), 2);
    assert_int_equal(block_device_read(host, major, minor, &device), BLOCK_DEVICE_READ);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest others[] = {
        test(a_device_is_found_by_its_number),
        test(a_device_that_left_is_gone),
        test(what_cannot_be_read_is_unknown),
        cmocka_unit_test(a_device_of_this_machine_is_read),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, device_is_parsed, &rows[i]);
    memcpy(tests + G_N_ELEMENTS(rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
