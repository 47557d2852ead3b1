/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "cgroup.h"
#include "tree.h"

#include <string.h>

#define MIB (1024 * 1024)

#define MOUNT_V1                                                                                   \
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
#define MOUNT_V2 "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"

/* A machine with process 42, its hierarchy below sys/fs/cgroup. */
typedef struct {
    Tree *tree;
    Host *host;
    Proc *proc;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {NULL};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/self/mountinfo", MOUNT_V2);
    tree_file(fixture->tree, "proc/42/stat",
              "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 6 0 4242 1\n");
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    roots[HOST_PROC] = tree_path(fixture->tree, "proc");
    roots[HOST_SYS] = tree_path(fixture->tree, "sys");
    tree_directory(fixture->tree, "run");
    roots[HOST_RUN] = tree_path(fixture->tree, "run");
    fixture->host = host_new(roots, NULL);
    fixture->proc = proc_open(fixture->host, 42, NULL);
    *state = fixture;
    return fixture->proc ? 0 : -1;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    proc_free(fixture->proc);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static void
group_file(Fixture *fixture, const char *group, const char *name, const char *text)
{
    g_autofree char *path = g_strconcat("sys/fs/cgroup/", group, "/", name, NULL);

    tree_file(fixture->tree, path, text);
}

/* A v2 group in MiB: so much anonymous memory, so much more page cache, a limit or "max". */
static void
group_make(Fixture *fixture, const char *group, guint anon_mib, guint cache_mib, const char *limit)
{
    g_autofree char *usage =
        g_strdup_printf("%" G_GUINT64_FORMAT "\n", (guint64)(anon_mib + cache_mib) * MIB);
    g_autofree char *stat =
        g_strdup_printf("anon %u000000\nfile %u000000\nshmem 0\n", anon_mib, cache_mib);

    group_file(fixture, group, "memory.current", usage);
    group_file(fixture, group, "memory.stat", stat);
    group_file(fixture, group, "memory.max", limit);
    group_file(fixture, group, "memory.events", "low 0\noom_kill 3\n");
}

static Cgroup *
open_ours(Fixture *fixture)
{
    GError *error = NULL;
    Cgroup *cgroup = cgroup_open(fixture->host, fixture->proc, &error);

    if (!cgroup)
        fail_msg("%s", error->message);
    return cgroup;
}

static void
open_refuses(Fixture *fixture, GuardianError code)
{
    GError *error = NULL;

    assert_null(cgroup_open(fixture->host, fixture->proc, &error));
    if (!g_error_matches(error, GUARDIAN_ERROR, (gint)code))
        fail_msg("%s", error->message);
    g_error_free(error);
}

static void
read_must(Cgroup *cgroup, CgroupReading *ret_reading)
{
    GError *error = NULL;

    if (!cgroup_read(cgroup, ret_reading, &error))
        fail_msg("%s", error->message);
}

static void
libvirts_charge_lives_two_levels_up(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/42/cgroup", "0::/machine.slice/vm.scope/libvirt/emulator\n");
    tree_directory(fixture->tree, "sys/fs/cgroup/machine.slice/vm.scope/libvirt/emulator");
    group_make(fixture, "machine.slice", 900, 0, "max\n");
    group_make(fixture, "machine.slice/vm.scope", 100, 50, "200000000\n");
    group_make(fixture, "machine.slice/other.scope", 800, 0, "800000001\n");
    cgroup = open_ours(fixture);
    assert_string_equal(cgroup_path(cgroup)->path, "/machine.slice/vm.scope");
    assert_true(cgroup_path(cgroup)->is_v2);
    assert_false(cgroup_path(cgroup)->is_root);

    read_must(cgroup, &reading);
    assert_true(reading.charge.has_usage);
    assert_int_equal(reading.charge.usage_bytes, 150 * MIB);
    assert_int_equal(reading.charge.unreclaimable_bytes, 100000000);
    assert_int_equal(reading.charge.file_bytes, 50000000);
    assert_true(reading.charge.has_oom_kills);
    assert_int_equal(reading.charge.oom_kills, 3);
    assert_true(reading.limit_is_known);
    assert_true(reading.has_limit);
    assert_int_equal(reading.limit_bytes, 200000000);
    assert_string_equal(reading.limit_path, "/machine.slice/vm.scope");
    cgroup_reading_clear(&reading);
    assert_null(reading.limit_path);
}

static void
the_tightest_limit_is_the_one_with_least_left(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/42/cgroup", "0::/kubepods/pod1/compute\n");
    group_make(fixture, "kubepods", 5000, 0, "9000000000\n");
    group_make(fixture, "kubepods/pod1", 190, 900, "250000000\n");       /* 60 left, larger limit */
    group_make(fixture, "kubepods/pod1/compute", 100, 0, "200000000\n"); /* 100 left */
    cgroup = open_ours(fixture);
    read_must(cgroup, &reading);
    assert_string_equal(reading.limit_path, "/kubepods/pod1");
    assert_int_equal(reading.limit_bytes, 250000000);
    assert_int_equal(reading.limit_charge.unreclaimable_bytes, 190000000);
    assert_int_equal(reading.limit_charge.usage_bytes, 1090ull * MIB);
    assert_int_equal(reading.charge.unreclaimable_bytes, 100000000);
    cgroup_reading_clear(&reading);

    /* The same descriptors, new limits: all gone, then far below the charge. */
    group_file(fixture, "kubepods/pod1", "memory.max", "max\n");
    group_file(fixture, "kubepods/pod1/compute", "memory.max", "max\n");
    read_must(cgroup, &reading);
    assert_string_equal(reading.limit_path, "/kubepods");
    cgroup_reading_clear(&reading);
    group_file(fixture, "kubepods", "memory.max", "max\n");
    read_must(cgroup, &reading);
    assert_true(reading.limit_is_known);
    assert_false(reading.has_limit);
    assert_null(reading.limit_path);
    cgroup_reading_clear(&reading);
    group_file(fixture, "kubepods/pod1/compute", "memory.max", "1\n");
    read_must(cgroup, &reading);
    assert_string_equal(reading.limit_path, "/kubepods/pod1/compute");
    cgroup_reading_clear(&reading);
}

static void
assert_limit(const CgroupReading *reading, guint index, const char *path, guint64 limit_bytes,
             bool is_own, const char *owner)
{
    const CgroupLimit *limit = &g_array_index(reading->limits, CgroupLimit, index);

    assert_string_equal(limit->path, path);
    assert_int_equal(limit->limit_bytes, limit_bytes);
    assert_int_equal(limit->is_own, is_own);
    if (g_strcmp0(limit->owner, owner) != 0)
        fail_msg("%s is set by %s", path, limit->owner);
}

#define POD                                                                                        \
    "kubepods.slice/kubepods-burstable.slice/"                                                     \
    "kubepods-burstable-pod4f5a4c6e_99f1_4a3c_8e0b_5d0b7cbe2f01.slice"
#define COMPUTE POD "/cri-containerd-aaaa.scope"

static void
a_domain_is_all_its_limits(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_directory(fixture->tree, "run/systemd/system");
    tree_file(fixture->tree, "proc/42/cgroup", "0::/" COMPUTE "\n");
    group_make(fixture, "kubepods.slice", 5000, 0, "9000000000\n");
    group_make(fixture, "kubepods.slice/kubepods-burstable.slice", 4000, 0, "max\n");
    group_make(fixture, POD, 190, 900, "250000000\n");      /* 60 left */
    group_make(fixture, COMPUTE, 100, 0, "200000000\n");    /* 100 left */
    group_make(fixture, POD "/other", 90, 0, "90000000\n"); /* not above it: does not matter */
    group_file(fixture, COMPUTE, "memory.oom.group", "1\n");
    group_file(fixture, POD, "memory.oom.group", "0\n");
    group_file(fixture, "kubepods.slice", "memory.oom.group", "1\n"); /* above the tightest one */
    cgroup = open_ours(fixture);
    read_must(cgroup, &reading);
    assert_int_equal(reading.limits->len, 3);
    assert_limit(&reading, 0, "/" COMPUTE, 200000000, true, "systemd");
    assert_limit(&reading, 1, "/" POD, 250000000, true, "systemd");
    assert_limit(&reading, 2, "/kubepods.slice", 9000000000, false, "systemd");
    assert_string_equal(reading.limit_path, "/" POD);
    assert_true(reading.limit_is_own && reading.group_is_own);
    assert_string_equal(reading.kill_path, "/" COMPUTE);
    cgroup_reading_clear(&reading);

    group_file(fixture, "kubepods.slice", "memory.max", "5000000001\n"); /* the node is full */
    read_must(cgroup, &reading);
    assert_string_equal(reading.limit_path, "/kubepods.slice");
    assert_false(reading.limit_is_own);
    assert_true(reading.group_is_own); /* nevertheless */
    assert_string_equal(reading.kill_path, "/kubepods.slice");
    cgroup_reading_clear(&reading);
    assert_null(reading.kill_path);
    assert_null(reading.limits);
}

static void
a_session_under_a_shared_limit_is_nobodys_own(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/42/cgroup", "0::/user.slice/session-3.scope\n");
    group_make(fixture, "user.slice", 800, 0, "900000000\n");
    group_make(fixture, "user.slice/session-3.scope", 700, 0, "max\n");
    cgroup = open_ours(fixture);
    read_must(cgroup, &reading);
    assert_string_equal(reading.limit_path, "/user.slice");
    assert_false(reading.limit_is_own || reading.group_is_own);
    assert_null(reading.kill_path);
    assert_limit(&reading, 0, "/user.slice", 900000000, false, NULL); /* no systemd runs here */
    cgroup_reading_clear(&reading);

    group_file(fixture, "user.slice/session-3.scope", "memory.max", "710000000\n");
    read_must(cgroup, &reading);
    assert_true(reading.limit_is_own && reading.group_is_own);
    cgroup_reading_clear(&reading);
}

static void
libvirts_nested_limit_is_libvirts(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;
    const char *scope = "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope";
    g_autofree char *nested = g_strconcat(scope, "/libvirt", NULL);
    g_autofree char *membership = g_strconcat("0::", nested, "/emulator\n", NULL);
    g_autofree char *emulator = g_strconcat("sys/fs/cgroup", nested, "/emulator", NULL);

    tree_directory(fixture->tree, "run/systemd/system");
    tree_file(fixture->tree, "proc/42/cgroup", membership);
    tree_directory(fixture->tree, emulator);
    group_make(fixture, "machine.slice", 900, 0, "max\n");
    group_make(fixture, scope + 1, 101, 50, "300000000\n");
    group_make(fixture, nested + 1, 100, 50, "200000000\n");
    cgroup = open_ours(fixture);
    read_must(cgroup, &reading);
    assert_int_equal(reading.limits->len, 2);
    assert_limit(&reading, 0, nested, 200000000, true, "libvirt");
    assert_limit(&reading, 1, scope, 300000000, true, "systemd");
    assert_true(cgroup_group_place(cgroup)->is_made_for_one_vm);
    cgroup_reading_clear(&reading);
}

static void
an_unreadable_limit_leaves_the_rest_unknown(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/42/cgroup", "0::/a/b\n");
    group_make(fixture, "a", 1, 0, "garbage\n");
    group_make(fixture, "a/b", 1, 0, "5000000\n");
    cgroup = open_ours(fixture);
    read_must(cgroup, &reading);
    assert_false(reading.limit_is_known);
    assert_true(reading.has_limit);
    assert_string_equal(reading.limit_path, "/a/b");
    cgroup_reading_clear(&reading);
}

static void
a_vm_in_the_root_group_has_no_charge_of_its_own(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/42/cgroup", "0::/init.scope\n");
    tree_directory(fixture->tree, "sys/fs/cgroup/init.scope");
    group_file(fixture, ".", "memory.stat", "anon 1\nshmem 1\n");
    cgroup = open_ours(fixture);
    assert_true(cgroup_path(cgroup)->is_root);
    assert_string_equal(cgroup_path(cgroup)->path, "/");
    read_must(cgroup, &reading);
    assert_false(reading.charge.has_usage);
    assert_false(reading.charge.has_unreclaimable);
    assert_true(reading.limit_is_known);
    assert_false(reading.has_limit);
    assert_null(reading.limits);
}

static void
v1_climbs_to_its_root_and_not_into_it(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    g_autoptr(Cgroup) root = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/self/mountinfo", MOUNT_V2 MOUNT_V1);
    tree_file(fixture->tree, "proc/42/cgroup", "4:memory:/qemu.slice/100.scope\n0::/other\n");
    group_file(fixture, "memory", "memory.usage_in_bytes", "99999999999\n");
    group_file(fixture, "memory", "memory.limit_in_bytes", "9223372036854771712\n");
    group_file(fixture, "memory", "release_agent", "");
    group_file(fixture, "memory/qemu.slice", "memory.usage_in_bytes", "3000\n");
    group_file(fixture, "memory/qemu.slice", "memory.limit_in_bytes", "9223372036854771712\n");
    group_file(fixture, "memory/qemu.slice/100.scope", "memory.usage_in_bytes", "2000\n");
    group_file(fixture, "memory/qemu.slice/100.scope", "memory.limit_in_bytes", "5000\n");
    group_file(fixture, "memory/qemu.slice/100.scope", "memory.kmem.usage_in_bytes", "100\n");
    group_file(fixture, "memory/qemu.slice/100.scope", "memory.oom_control",
               "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    group_file(fixture, "memory/qemu.slice/100.scope", "memory.stat",
               "rss 1\ntotal_cache 500\ntotal_rss 1000\ntotal_shmem 20\n");
    cgroup = open_ours(fixture);
    assert_string_equal(cgroup_path(cgroup)->path, "/qemu.slice/100.scope");
    assert_false(cgroup_path(cgroup)->is_v2);
    read_must(cgroup, &reading);
    assert_int_equal(reading.charge.usage_bytes, 2000);
    assert_int_equal(reading.charge.unreclaimable_bytes, 1120);
    assert_int_equal(reading.charge.oom_kills, 1);
    assert_int_equal(reading.limit_bytes, 5000);
    cgroup_reading_clear(&reading);

    tree_file(fixture->tree, "proc/42/cgroup", "4:memory:/\n");
    root = open_ours(fixture);
    assert_true(cgroup_path(root)->is_root);
    read_must(root, &reading);
    assert_false(reading.charge.has_usage);
    assert_false(reading.has_limit);
}

static void
a_part_of_the_hierarchy_hides_limits_above_it(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading;

    tree_file(fixture->tree, "proc/self/mountinfo",
              "1 2 0:1 /docker/a /sys/fs/cgroup rw - cgroup2 c rw\n");
    tree_file(fixture->tree, "proc/42/cgroup", "0::/docker/a/vm\n");
    group_make(fixture, ".", 10, 0, "max\n");
    group_make(fixture, "vm", 5, 0, "6000000\n");
    cgroup = open_ours(fixture);
    assert_string_equal(cgroup_path(cgroup)->path, "/vm");
    read_must(cgroup, &reading);
    assert_false(reading.limit_is_known);
    assert_int_equal(reading.limit_bytes, 6000000);
    cgroup_reading_clear(&reading);

    tree_file(fixture->tree, "proc/42/cgroup", "0::/docker/abc\n");
    open_refuses(fixture, GUARDIAN_ERROR_DENIED);
    tree_file(fixture->tree, "proc/42/cgroup", "0::/../vm\n");
    open_refuses(fixture, GUARDIAN_ERROR_DENIED);
}

static void
paths_cannot_lead_elsewhere(void **state)
{
    Fixture *fixture = *state;
    GString *deep = g_string_new("0::");

    group_make(fixture, "../../../outside", 1, 0, "1\n");
    tree_file(fixture->tree, "proc/42/cgroup", "0::/a/../../../../outside\n");
    tree_directory(fixture->tree, "sys/fs/cgroup/a");
    open_refuses(fixture, GUARDIAN_ERROR_REFUSED);
    tree_link(fixture->tree, "sys/fs/cgroup/link", "../../../outside");
    tree_file(fixture->tree, "proc/42/cgroup", "0::/link\n");
    open_refuses(fixture, GUARDIAN_ERROR_REFUSED);

    for (guint i = 0; i < 33; i++)
        g_string_append(deep, "/d");
    tree_file(fixture->tree, "proc/42/cgroup", deep->str);
    group_make(fixture, deep->str + 4, 1, 0, "1\n");
    open_refuses(fixture, GUARDIAN_ERROR_MALFORMED);
    g_string_free(deep, TRUE);
}

static void
what_is_missing_is_named(void **state)
{
    Fixture *fixture = *state;

    open_refuses(fixture, GUARDIAN_ERROR_GONE); /* no cgroup file at all */
    tree_file(fixture->tree, "proc/42/cgroup", "0::/removed\n");
    open_refuses(fixture, GUARDIAN_ERROR_GONE);
    tree_file(fixture->tree, "proc/42/cgroup", "3:cpu:/\n");
    open_refuses(fixture, GUARDIAN_ERROR_MALFORMED);
    tree_file(fixture->tree, "proc/42/cgroup", "4:memory:/\n"); /* v1 is not mounted */
    open_refuses(fixture, GUARDIAN_ERROR_MALFORMED);
    tree_file(fixture->tree, "proc/42/cgroup", "0::/\n");
    group_file(fixture, ".", "cgroup.controllers", "cpu\n");
    open_refuses(fixture, GUARDIAN_ERROR_MALFORMED);
}

static void
a_removed_group_is_gone(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Cgroup) cgroup = NULL;
    CgroupReading reading = {.limit_bytes = 7};
    GError *error = NULL;

    tree_file(fixture->tree, "proc/42/cgroup", "0::/vm\n");
    group_make(fixture, "vm", 1, 0, "max\n");
    cgroup = open_ours(fixture);
    tree_remove(fixture->tree, "sys/fs/cgroup/vm");
    assert_false(cgroup_read(cgroup, &reading, &error));
    assert_int_equal(reading.limit_bytes, 7);
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE));
    g_error_free(error);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(libvirts_charge_lives_two_levels_up),
        test(the_tightest_limit_is_the_one_with_least_left),
        test(a_domain_is_all_its_limits),
        test(a_session_under_a_shared_limit_is_nobodys_own),
        test(libvirts_nested_limit_is_libvirts),
        test(an_unreadable_limit_leaves_the_rest_unknown),
        test(a_vm_in_the_root_group_has_no_charge_of_its_own),
        test(v1_climbs_to_its_root_and_not_into_it),
        test(a_part_of_the_hierarchy_hides_limits_above_it),
        test(paths_cannot_lead_elsewhere),
        test(what_is_missing_is_named),
        test(a_removed_group_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
