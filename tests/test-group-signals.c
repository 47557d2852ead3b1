/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a group says beside its charge, and the host's memory, from fixture trees. */

#include "t.h"

#include "group-signals.h"
#include "meminfo.h"
#include "tree.h"

#include <fcntl.h>
#include <unistd.h>

typedef struct {
    Tree *tree;
    int mount_fd;
} Mount;

static int
mount_set_up(void **state)
{
    Mount *mount = g_new0(Mount, 1);

    mount->tree = tree_new();
    tree_directory(mount->tree, "a/b");
    mount->mount_fd = open(tree_root(mount->tree), O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = mount;
    return 0;
}

static int
mount_tear_down(void **state)
{
    Mount *mount = *state;

    close(mount->mount_fd);
    tree_free(mount->tree);
    g_free(mount);
    return 0;
}

static void
a_v2_group_tells_its_band_events_stalls_and_swap(void **state)
{
    Mount *mount = *state;
    g_autoptr(GroupReader) reader = NULL;
    GroupSignals signals;

    tree_file(mount->tree, "a/b/memory.current", "1000\n");
    tree_file(mount->tree, "a/b/memory.max", "4096\n");
    tree_file(mount->tree, "a/b/memory.high", "2048\n");
    tree_file(mount->tree, "a/b/memory.events",
              "low 0\nhigh 882948\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n");
    tree_file(mount->tree, "a/b/memory.pressure",
              "some avg10=80.00 avg60=80.00 avg300=0.00 total=900\n"
              "full avg10=79.10 avg60=0.00 avg300=0.00 total=800\n");
    tree_file(mount->tree, "a/b/memory.swap.max", "500\n");
    tree_file(mount->tree, "a/b/memory.swap.current", "200\n");
    reader = group_reader_new(mount->mount_fd, "/a/b", true);
    assert_true(group_reader_read(reader, &signals));
    assert_int_equal(signals.usage_bytes, 1000);
    assert_true(signals.has_high && signals.has_max && signals.has_events && signals.has_stalled);
    assert_int_equal(signals.high_bytes, 2048);
    assert_int_equal(signals.max_bytes, 4096);
    assert_int_equal(signals.high_events, 882948);
    assert_int_equal(signals.max_events, 7);
    assert_int_equal(signals.oom_kills, 2);
    assert_int_equal(signals.stalled_us, 800);
    assert_true(signals.has_swap);
    assert_int_equal(signals.swap_room_bytes, 300);

    tree_file(mount->tree, "a/b/memory.high", "max\n");
    tree_file(mount->tree, "a/b/memory.swap.max", "max\n");
    assert_true(group_reader_read(reader, &signals));
    assert_false(signals.has_high);
    assert_true(signals.swap_room_bytes == G_MAXUINT64);
}

static void
a_v1_group_has_no_band_and_counts_failures(void **state)
{
    Mount *mount = *state;
    g_autoptr(GroupReader) reader = NULL;
    GroupSignals signals;

    tree_file(mount->tree, "a/memory.usage_in_bytes", "1000\n");
    tree_file(mount->tree, "a/memory.limit_in_bytes", "4096\n");
    tree_file(mount->tree, "a/memory.failcnt", "12\n");
    tree_file(mount->tree, "a/memory.memsw.limit_in_bytes", "8192\n");
    tree_file(mount->tree, "a/memory.memsw.usage_in_bytes", "1100\n");
    reader = group_reader_new(mount->mount_fd, "/a", false);
    assert_true(group_reader_read(reader, &signals));
    assert_false(signals.has_high || signals.has_events || signals.has_stalled);
    assert_true(signals.has_failures);
    assert_int_equal(signals.failures, 12);
    assert_int_equal(signals.swap_room_bytes, 4096 - 100);
}

static void
broken_files_are_unknown(void **state)
{
    Mount *mount = *state;
    g_autoptr(GroupReader) reader = NULL;
    GroupSignals signals;

    tree_file(mount->tree, "a/memory.current", "1000\n");
    tree_file(mount->tree, "a/memory.max", "a lot\n");
    tree_file(mount->tree, "a/memory.events", "high -1\nmax 7\noom_kill\n");
    tree_file(mount->tree, "a/memory.pressure", "full avg10=1\nsome total=9\n");
    tree_file(mount->tree, "a/memory.swap.max", "500\n");
    reader = group_reader_new(mount->mount_fd, "/a", true);
    assert_true(group_reader_read(reader, &signals));
    assert_false(signals.has_max || signals.has_high || signals.has_events || signals.has_stalled ||
                 signals.has_swap);
    group_reader_free(reader);
    reader = group_reader_new(mount->mount_fd, "/nothing", true);
    assert_false(group_reader_read(reader, &signals));
}

static void
events_are_found_by_their_whole_name(void **state)
{
    guint64 count = 0;

    assert_true(group_parse_event("highest 3\nhigh 4\n", "high", &count));
    assert_int_equal(count, 4);
    assert_false(group_parse_event("oom_kill_x 3\n", "oom_kill", &count));
    assert_false(group_parse_event("high 18446744073709551616\n", "high", &count));
    assert_false(group_parse_event("", "high", &count));
}

#define MEMINFO                                                                                    \
    "MemTotal:       24684096 kB\nMemFree:        20019260 kB\nMemAvailable:   23746796 kB\n"      \
    "SwapFree:              8 kB\nHugePages_Total:      16\nHugepagesize:       2048 kB\n"
#define ARCSTATS                                                                                   \
    "13 1 0x01 123 33456 1\nname                            type data\n"                           \
    "size                            4    8589934592\nc_min                           4    "       \
    "1073741824\n"

static void
the_hosts_memory_is_read_with_the_arc(void **state)
{
    HostMemory memory;

    assert_true(meminfo_parse(MEMINFO, &memory));
    assert_true(memory.is_known && memory.has_available);
    assert_int_equal(memory.total_bytes, 24684096ull * 1024);
    assert_int_equal(memory.available_bytes, 23746796ull * 1024);
    assert_int_equal(memory.swap_free_bytes, 8192);
    assert_int_equal(memory.hugetlb_bytes, 32 * 1024 * 1024);
    assert_false(memory.has_arc);
    assert_true(meminfo_parse_arc(ARCSTATS, &memory));
    assert_int_equal(memory.arc_bytes, 8589934592);
    assert_int_equal(memory.arc_min_bytes, 1073741824);
    assert_false(meminfo_parse("MemFree: 3 kB\n", &memory));
    assert_false(meminfo_parse("MemTotal: -3 kB\nMemTotal:\n", &memory));
    assert_false(meminfo_parse_arc("size 4 many\n", &memory));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_v2_group_tells_its_band_events_stalls_and_swap,
                                        mount_set_up, mount_tear_down),
        cmocka_unit_test_setup_teardown(a_v1_group_has_no_band_and_counts_failures, mount_set_up,
                                        mount_tear_down),
        cmocka_unit_test_setup_teardown(broken_files_are_unknown, mount_set_up, mount_tear_down),
        cmocka_unit_test(events_are_found_by_their_whole_name),
        cmocka_unit_test(the_hosts_memory_is_read_with_the_arc),
    };

    return cmocka_run_group_tests_name("group-signals", tests, NULL, NULL);
}
