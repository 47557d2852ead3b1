/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "network.h"
#include "tree.h"

/* As Linux 6.18 prints them. */
#define TUN "pos:\t104\nflags:\t0104002\nmnt_id:\t24\nino:\t110\niff:\ttap100i0\n"
#define TUN_WITHOUT_NAME "pos:\t0\nflags:\t0104002\nmnt_id:\t24\nino:\t110\n"
#define NET_DEV                                                                                    \
    "Inter-|   Receive                                                |  Transmit\n"               \
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n"    \
    "    lo:    9000      10    0    0    0     0          0         0     9000      10    0    "  \
    "0    0     0       0          0\n"                                                            \
    "  tap0:    1000       2    0    0    0     0          0         0      234       3    0    "  \
    "0    0     0       0          0\n"                                                            \
    " tap01:50 1 0 0 0 0 0 0 60 1 0 0 0 0 0 0\n"

static void
a_tun_descriptor_tells_its_interface(void **state)
{
    g_autofree char *name = network_parse_tun(TUN);

    assert_string_equal(name, "tap100i0");
    assert_null(network_parse_tun(TUN_WITHOUT_NAME));
    assert_null(network_parse_tun("\niff:\t\n"));
    assert_null(network_parse_tun("\niff:\tlonger-than-any-name\n"));
    assert_null(network_parse_tun(""));
}

static void
an_interface_is_found_by_its_whole_name(void **state)
{
    guint64 bytes = 7;

    assert_true(network_parse_dev(NET_DEV, "tap0", &bytes));
    assert_int_equal(bytes, 1234);
    assert_true(network_parse_dev(NET_DEV, "tap01", &bytes));
    assert_int_equal(bytes, 110);
    assert_false(network_parse_dev(NET_DEV, "tap", &bytes));
    assert_false(network_parse_dev(NET_DEV, "tap2", &bytes));
    assert_false(network_parse_dev("tap0: 1 2 3\n", "tap0", &bytes));
    assert_false(network_parse_dev("tap0: 1 2 3", "tap0", &bytes));
    assert_false(network_parse_dev("", "tap0", &bytes));
    assert_int_equal(bytes, 110);
}

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Children *children;
    Vm *vm;
} Fixture;

static void
add_tap(Fixture *fixture, const char *name, const char *received, const char *sent)
{
    g_autofree char *link = g_strconcat("sys/class/net/", name, NULL);
    g_autofree char *target = g_strconcat("../../devices/virtual/net/", name, NULL);
    g_autofree char *rx =
        g_strconcat("sys/devices/virtual/net/", name, "/statistics/rx_bytes", NULL);
    g_autofree char *tx =
        g_strconcat("sys/devices/virtual/net/", name, "/statistics/tx_bytes", NULL);

    tree_link(fixture->tree, link, target);
    tree_file(fixture->tree, rx, received);
    tree_file(fixture->tree, tx, sent);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/42/stat",
              "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    tree_file(fixture->tree, "proc/42/net/dev", NET_DEV);
    tree_link(fixture->tree, "proc/42/fd/30", "/dev/net/tun");
    tree_file(fixture->tree, "proc/42/fdinfo/30", TUN);
    tree_link(fixture->tree, "proc/42/fd/31", "/dev/net/tun");
    tree_file(fixture->tree, "proc/42/fdinfo/31", TUN_WITHOUT_NAME);
    add_tap(fixture, "tap100i0", "1000\n", "234\n");
    add_tap(fixture, "innocent", "5\n", "6\n");
    roots[HOST_PROC] = tree_path(fixture->tree, "proc");
    roots[HOST_SYS] = tree_path(fixture->tree, "sys");
    fixture->host = host_new(roots, NULL);
    assert_non_null(fixture->host);
    fixture->context = g_main_context_new();
    fixture->children = children_new(fixture->context);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    vm_free(fixture->vm);
    children_free(fixture->children);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static void
look_up(Fixture *fixture, const char *const *argv, gint64 now_us)
{
    if (!fixture->vm)
        fixture->vm = vm_new(proc_open(fixture->host, 42, NULL), argv_parse(argv), "bare");
    network_look_up(fixture->vm, fixture->host, fixture->children, now_us);
    while (fixture->vm->network_lookup)
        g_main_context_iteration(fixture->context, TRUE);
}

static void
taps_of_the_command_line_are_counted(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm",
                                "-netdev",
                                "tap,id=a,ifname=tap100i0",
                                "-netdev",
                                "tap,ifname=../x",
                                "-netdev",
                                "tap,ifname=missing",
                                NULL};
    guint64 bytes = 0;

    look_up(fixture, argv, 1);
    assert_true(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 1234);
    add_tap(fixture, "tap100i1", "10\n", "20\n");
    tree_file(fixture->tree, "sys/devices/virtual/net/tap100i0/statistics/tx_bytes", "300\n");
    assert_true(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 1300);
}

static void
taps_of_descriptors_are_counted(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-netdev", "tap,id=a,fd=30", NULL};
    guint64 bytes = 0;

    look_up(fixture, argv, 1);
    assert_true(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 1234);
}

static void
taps_of_a_foreign_namespace_are_counted_there(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-netdev", "tap,id=a,ifname=tap0", NULL};
    guint64 bytes = 0;

    add_tap(fixture, "tap0", "77\n", "77\n"); /* ours has the same name */
    tree_link(fixture->tree, "proc/42/ns/net", "net:[1]");
    look_up(fixture, argv, 1);
    assert_true(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 1234);
}

static void
without_a_tap_nothing_is_known(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-nic", "user", NULL};
    guint64 bytes = 7;

    tree_remove(fixture->tree, "proc/42/fd");
    look_up(fixture, argv, G_USEC_PER_SEC);
    assert_false(network_read(fixture->vm, &bytes));
    /* it comes later, and is found a minute after the last look */
    tree_link(fixture->tree, "proc/42/fd/30", "/dev/net/tun");
    look_up(fixture, argv, 60 * G_USEC_PER_SEC);
    assert_false(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 7);
    look_up(fixture, argv, 62 * G_USEC_PER_SEC);
    assert_true(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 1234);
}

static void
a_tap_that_left_makes_all_unknown(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-netdev", "tap,id=a,ifname=tap100i0", NULL};
    guint64 bytes = 7;

    look_up(fixture, argv, 1);
    tree_file(fixture->tree, "sys/devices/virtual/net/tap100i0/statistics/tx_bytes", "");
    assert_false(network_read(fixture->vm, &bytes));
    assert_int_equal(bytes, 7);
    assert_null(fixture->vm->network);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tun_descriptor_tells_its_interface),
        cmocka_unit_test(an_interface_is_found_by_its_whole_name),
        test(taps_of_the_command_line_are_counted),
        test(taps_of_descriptors_are_counted),
        test(taps_of_a_foreign_namespace_are_counted_there),
        test(without_a_tap_nothing_is_known),
        test(a_tap_that_left_makes_all_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
