/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "cgroup.h"

#include <string.h>

static void
v2_counts_what_cannot_be_given_back(void **state)
{
    CgroupCharge charge = {0};

    /* 70 MiB of page cache and reclaimable slab stand beside it; the order is not the kernel's. */
    assert_true(cgroup_parse_stat_v2("slab_reclaimable 20000000\nsock 7\nanon 1000\n"
                                     "anon_thp 999\nfile 50000300\nshmem 300\n"
                                     "kernel 9999\nkernel_stack 10\npagetables 20\n"
                                     "sec_pagetables 30\npercpu 40\nslab_unreclaimable 50\n"
                                     "inactive_anon 1100\nactive_anon 150\ninactive_file 50000000\n"
                                     "active_file 0\nunevictable 50\n",
                                     &charge));
    assert_true(charge.has_unreclaimable);
    assert_false(charge.has_usage);
    assert_int_equal(charge.anon_bytes, 1000);
    assert_int_equal(charge.shmem_bytes, 300);
    assert_int_equal(charge.file_bytes, 50000000);
    assert_int_equal(charge.kernel_bytes, 157);
    assert_int_equal(charge.unreclaimable_bytes, 1457);
    assert_true(charge.kinds.is_known && charge.kinds.has_kernel_parts);
    assert_int_equal(charge.kinds.sec_page_table_bytes, 30);
    assert_int_equal(charge.kinds.percpu_bytes, 40);
    assert_int_equal(charge.kinds.slab_bytes, 50);
    assert_int_equal(charge.kinds.kernel_bytes, charge.kernel_bytes);
}

static void
memory_locked_by_its_owner_is_counted_once(void **state)
{
    CgroupCharge charge;

    /* All 1,000 of anon are locked and on no evictable list: nothing is added. */
    assert_true(cgroup_parse_stat_v2("anon 1000\nshmem 0\nfile 500\nunevictable 1000\n"
                                     "active_anon 0\ninactive_anon 0\nactive_file 300\n"
                                     "inactive_file 200\n",
                                     &charge));
    assert_int_equal(charge.unreclaimable_bytes, 1000);
    /* 400 of the file pages are locked too. */
    assert_true(cgroup_parse_stat_v2("anon 1000\nshmem 0\nfile 500\nunevictable 1400\n"
                                     "active_anon 0\ninactive_anon 0\nactive_file 60\n"
                                     "inactive_file 40\n",
                                     &charge));
    assert_int_equal(charge.unreclaimable_bytes, 1400);
    /* It cannot be told without the lists. */
    assert_true(cgroup_parse_stat_v2("anon 1000\nshmem 0\nfile 500\nunevictable 1400\n", &charge));
    assert_int_equal(charge.unreclaimable_bytes, 1000);
}

static void
v1_counts_shmem_out_of_its_cache_and_all_kernel_memory(void **state)
{
    CgroupCharge charge;

    assert_true(cgroup_parse_stat_v1("cache 1\nrss 2\nshmem 3\n"
                                     "total_cache 5000\ntotal_rss 1000\ntotal_rss_huge 800\n"
                                     "total_shmem 300\ntotal_unevictable 0\n",
                                     64, &charge));
    assert_int_equal(charge.anon_bytes, 1000);
    assert_int_equal(charge.shmem_bytes, 300);
    assert_int_equal(charge.file_bytes, 4700);
    assert_int_equal(charge.kernel_bytes, 64);
    assert_int_equal(charge.unreclaimable_bytes, 1364);
}

static void
a_stat_that_lacks_or_garbles_a_number_is_unknown(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "anon",
        "anon 1\n",
        "anon 1\nshmem x\n",
        "anon -1\nshmem 1\n",
        "anon 1 \nshmem 1\n",
        "anon 99999999999999999999\nshmem 1\n",
        "anonymous 1\nshmem 1\n",
    };
    CgroupCharge charge = {.anon_bytes = 7};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_false(cgroup_parse_stat_v2(texts[i], &charge));
    assert_false(cgroup_parse_stat_v1("anon 1\nshmem 1\n", 0, &charge));
    assert_int_equal(charge.anon_bytes, 7);
    /* Numbers at the edge add up to the edge and not around it. */
    assert_true(cgroup_parse_stat_v2("anon 18446744073709551615\nshmem 5\n", &charge));
    assert_true(charge.unreclaimable_bytes == G_MAXUINT64);
}

typedef struct {
    const char *name, *text;
    bool is_valid, has_limit;
    guint64 bytes;
} LimitRow;

static const LimitRow limit_rows[] = {
    {"a limit in bytes is a limit", "2147483648\n", true, true, 2147483648},
    {"a limit of zero is a limit", "0\n", true, true, 0},
    {"a limit past any host's RAM is still a limit", "1000000000000000000\n", true, true,
     1000000000000000000},
    {"max is no limit", "max\n", true, false, 0},
    {"the largest page count of v1 is no limit", "9223372036854771712\n", true, false, 0},
    {"the largest count of 64 KiB pages is no limit", "9223372036854710272\n", true, false, 0},
    {"an empty limit is unreadable", "", false, false, 0},
    {"a negative limit is unreadable", "-1\n", false, false, 0},
    {"a word is unreadable", "maximum\n", false, false, 0},
    {"two lines are unreadable", "1\n2\n", false, false, 0},
};

static void
limit_is_parsed(void **state)
{
    const LimitRow *row = *state;
    bool has_limit = false;
    guint64 bytes = 0;

    assert_int_equal(cgroup_parse_limit(row->text, &has_limit, &bytes), row->is_valid);
    assert_int_equal(has_limit, row->has_limit);
    assert_int_equal(bytes, row->bytes);
}

typedef struct {
    const char *name, *text, *path;
    bool is_v2;
} MembershipRow;

static const MembershipRow membership_rows[] = {
    {"a v2 path is found", "0::/qemu.slice/100.scope\n", "/qemu.slice/100.scope", true},
    {"a v1 path is found among the others", "11:cpuset:/a\n10:memory:/b\n9:name=systemd:/memory\n",
     "/b", false},
    {"memory shares a hierarchy", "3:cpu,cpuacct:/a\n2:hugetlb,memory:/b:c\n", "/b:c", false},
    {"a hybrid host's memory is v1", "1:name=systemd:/s\n0::/s\n4:memory:/b\n", "/b", false},
    {"a hybrid host without v1 memory is v2", "1:name=systemd:/s\n0::/s\n", "/s", true},
    {"a path with blanks and escapes is kept", "0::/machine-qemu\\x2d1\\x2dmy vm.scope\n",
     "/machine-qemu\\x2d1\\x2dmy vm.scope", true},
    {"a controller with a like name is not memory", "4:memory2:/b\n", NULL, false},
    {"a path that says memory is not memory", "4:cpu:/x:memory:/b\n", NULL, false},
    {"an empty file names none", "", NULL, false},
    {"garbage names none", "memory\n:::\n0::relative\n", NULL, false},
};

static void
membership_is_parsed(void **state)
{
    const MembershipRow *row = *state;
    bool is_v2 = false;
    g_autofree char *path = cgroup_parse_membership(row->text, &is_v2);

    if (!row->path) {
        assert_null(path);
        return;
    }
    assert_string_equal(path, row->path);
    assert_int_equal(is_v2, row->is_v2);
}

#define MOUNT_V1                                                                                   \
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
#define MOUNT_CPU "33 31 0:30 / /sys/fs/cgroup/cpu rw shared:8 master:1 - cgroup cgroup rw,cpu\n"
#define MOUNT_V2 "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"

typedef struct {
    const char *name, *text;
    bool is_v2;
    const char *point, *root;
} MountRow;

static const MountRow mount_rows[] = {
    {"the v2 mount is found", MOUNT_CPU MOUNT_V2, true, "/sys/fs/cgroup", "/"},
    {"the v1 mount with memory is found", MOUNT_CPU MOUNT_V2 MOUNT_V1, false,
     "/sys/fs/cgroup/memory", "/"},
    {"the mount of the whole is preferred",
     "1 2 0:1 /docker/a /first rw - cgroup2 c rw\n"
     "1 2 0:1 /docker/b /second rw - cgroup2 c rw\n" MOUNT_V2,
     true, "/sys/fs/cgroup", "/"},
    {"the first part is taken where there is no whole",
     "1 2 0:1 /docker/a /first rw - cgroup2 c rw\n1 2 0:1 /docker/b /second rw - cgroup2 c rw\n",
     true, "/first", "/docker/a"},
    {"octal escapes are undone", "1 2 0:1 / /mnt/a\\040b\\134c\\12 rw - cgroup2 c rw\n", true,
     "/mnt/a b\\c\\12", "/"},
    {"another file system named memory is none", "1 2 0:1 / /memory rw - tmpfs memory rw,memory\n",
     false, NULL, NULL},
    {"v2 alone has no v1 mount", MOUNT_V2, false, NULL, NULL},
    {"truncated lines are none", "1 2 0:1 / /x rw -\n1 2 0:1 / /x rw - cgroup2\n1 2\n\n", true,
     NULL, NULL},
};

static void
mountinfo_is_parsed(void **state)
{
    const MountRow *row = *state;
    g_autofree char *point = NULL, *root = NULL;

    assert_int_equal(cgroup_parse_mountinfo(row->text, row->is_v2, &point, &root),
                     row->point != NULL);
    if (!row->point)
        return;
    assert_string_equal(point, row->point);
    assert_string_equal(root, row->root);
}

static void
oom_kills_are_read_by_name(void **state)
{
    guint64 kills = 7;

    assert_false(cgroup_parse_oom_kills("oom 3\noom_group_kill 1\n", &kills));
    assert_int_equal(kills, 7);
    assert_true(cgroup_parse_oom_kills("low 0\nhigh 5\nmax 9\noom 3\noom_kill 2\n", &kills));
    assert_int_equal(kills, 2);
}

static void
tasks_wait_where_the_killer_is_off_and_memory_is_out(void **state)
{
    assert_true(cgroup_parse_waiting("oom_kill_disable 1\nunder_oom 1\noom_kill 0\n"));
    assert_false(cgroup_parse_waiting("oom_kill_disable 1\nunder_oom 0\noom_kill 0\n"));
    assert_false(cgroup_parse_waiting("oom_kill_disable 0\nunder_oom 1\noom_kill 3\n"));
    assert_false(cgroup_parse_waiting("low 0\nhigh 1\noom 1\noom_kill 1\n"));
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(v2_counts_what_cannot_be_given_back),
        cmocka_unit_test(memory_locked_by_its_owner_is_counted_once),
        cmocka_unit_test(v1_counts_shmem_out_of_its_cache_and_all_kernel_memory),
        cmocka_unit_test(a_stat_that_lacks_or_garbles_a_number_is_unknown),
        cmocka_unit_test(oom_kills_are_read_by_name),
        cmocka_unit_test(tasks_wait_where_the_killer_is_off_and_memory_is_out),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(others) + G_N_ELEMENTS(limit_rows) +
                            G_N_ELEMENTS(membership_rows) + G_N_ELEMENTS(mount_rows)];
    guint n = G_N_ELEMENTS(others);

    memcpy(tests, others, sizeof others);
    for (guint i = 0; i < G_N_ELEMENTS(limit_rows); i++)
        tests[n++] = t_row(limit_rows[i].name, limit_is_parsed, &limit_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(membership_rows); i++)
        tests[n++] = t_row(membership_rows[i].name, membership_is_parsed, &membership_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(mount_rows); i++)
        tests[n++] = t_row(mount_rows[i].name, mountinfo_is_parsed, &mount_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
