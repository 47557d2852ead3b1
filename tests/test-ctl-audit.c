/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "audit-fixture.h"
#include "fake-host.h"

#include <string.h>

#define CGROUP_MOUNT "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"

static void
the_incident_has_its_risks_and_the_vm_beside_it_none(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) run = audit_fixture_run(fixture, NULL, true);
    g_autofree char *incident = audit_fixture_findings(run.out, "devvm");
    g_autofree char *clean = audit_fixture_findings(run.out, "clean");

    assert_string_equal(incident, "lsi-controller scsi0 1\n"
                                  "oom-score - 1\n"
                                  "limit-without-burst scsi0 1\n"
                                  "no-own-monitor - 1\n"
                                  "no-panic-device - 1\n"
                                  "no-serial - 1\n"
                                  "no-watchdog - 1\n");
    assert_string_equal(clean, "");
    assert_int_equal(run.status, 1);
}

/* Fixtures of what no test machine has: a mapped rbd, a CIFS mount, a QEMU that maps a disk's
 * queues to several iothreads. Each beside what its remedy makes of it. */
typedef struct {
    const char *name, *drive, *device; /* device NULL: with one iothread */
    const char *expected;
    const char *more[9]; /* words beside, NULL at the end */
} PlaceRow;

#define ONE_THREAD "virtio-blk-pci,drive=d,id=v,iothread=t0"
#define TWO_THREADS                                                                                \
    "{\"driver\":\"virtio-blk-pci\",\"iothread-vq-mapping\":[{\"iothread\":\"t0\"},"               \
    "{\"iothread\":\"t1\"}],\"drive\":\"d\",\"id\":\"v\"}"
#define LIMIT ",throttling.bps-write=1000000,throttling.bps-write-max=2000000"

static const PlaceRow places[] = {
    {"io_uring on a mapped rbd with the host's cache",
     "file=/dev/rbd/pool/vm,cache=writeback,aio=io_uring",
     ONE_THREAD,
     "risky-io-uring v 1\n",
     {NULL}},
    {"threads on a mapped rbd",
     "file=/dev/rbd/pool/vm,cache=writeback,aio=threads",
     ONE_THREAD,
     "",
     {NULL}},
    {"io_uring on a mapped rbd with O_DIRECT",
     "file=/dev/rbd/pool/vm,cache=none,aio=io_uring",
     ONE_THREAD,
     "",
     {NULL}},
    {"io_uring on CIFS",
     "file=/mnt/share/vm.raw,cache=none,aio=io_uring",
     ONE_THREAD,
     "risky-io-uring v 1\n",
     {NULL}},
    {"threads on CIFS", "file=/mnt/share/vm.raw,cache=none,aio=threads", ONE_THREAD, "", {NULL}},
    {"io_uring beside CIFS",
     "file=/mnt/shared/vm.raw,cache=none,aio=io_uring",
     ONE_THREAD,
     "",
     {NULL}},
    {"a limit on a disk with several iothreads",
     "file=/a.raw,cache=none,aio=threads" LIMIT,
     TWO_THREADS,
     "throttle-several-iothreads v 1\n",
     {NULL}},
    {"several iothreads without a limit",
     "file=/a.raw,cache=none,aio=threads",
     TWO_THREADS,
     "",
     {NULL}},
    {"a limit on a disk with one iothread",
     "file=/a.raw,cache=none,aio=threads" LIMIT,
     ONE_THREAD,
     "",
     {NULL}},
    {"RAM half in huge pages",
     "file=/a.raw,cache=none,aio=threads",
     ONE_THREAD,
     "mixed-hugepages - 1\n",
     {"-object", "memory-backend-memfd,id=m0,size=512M,hugetlb=on", "-object",
      "memory-backend-ram,id=m1,size=512M", "-numa", "node,memdev=m0", "-numa", "node,memdev=m1"}},
    {"RAM in huge pages",
     "file=/a.raw,cache=none,aio=threads",
     ONE_THREAD,
     "",
     {"-object", "memory-backend-memfd,id=m0,size=512M,hugetlb=on", "-object",
      "memory-backend-memfd,id=m1,size=512M,hugetlb=on", "-numa", "node,memdev=m0", "-numa",
      "node,memdev=m1"}},
};

static void
check_place(const AuditFixture *fixture, const PlaceRow *row)
{
    g_autofree char *drive = g_strconcat(row->drive, ",if=none,id=d,format=raw,werror=stop", NULL);
    const char *words[AUDIT_CLEAN_WORDS + G_N_ELEMENTS(row->more)] = {0};
    const char *last = NULL;
    guint n = 0;
    g_autofree char *found = NULL;
    g_auto(Run) run = {0};

    for (guint i = 0; audit_clean_words[i]; i++) {
        const char *word = audit_clean_words[i];

        if (last && strcmp(last, "-drive") == 0)
            word = drive;
        else if (word && g_str_has_prefix(word, "virtio-blk-pci"))
            word = row->device;
        words[n++] = word;
        last = audit_clean_words[i];
    }
    for (guint i = 0; row->more[i]; i++)
        words[n++] = row->more[i];
    fake_host_process(fixture->tree, 103, 1, "kvm", words);
    run = audit_fixture_run(fixture, "clean", true);
    found = audit_fixture_findings(run.out, "clean");
    if (strcmp(found, row->expected) != 0)
        fail_msg("%s: %s", row->name, found);
}

static void
what_no_test_machine_has_is_found_in_fixtures(void **state)
{
    const AuditFixture *fixture = *state;

    tree_file(fixture->tree, "proc/self/mountinfo",
              "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
              "23 22 0:50 / /mnt/share rw - cifs //server/share rw\n");
    for (guint i = 0; i < G_N_ELEMENTS(places); i++)
        check_place(fixture, &places[i]);
}

static void
a_sites_own_row_is_heard_and_a_bad_one_refused(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) bad = {0}, good = {0};

    tree_file(fixture->tree, "config/qemu-bugs.conf", "# ours\n7.1.0 nonsense\n");
    bad = audit_fixture_run(fixture, NULL, false);
    assert_int_equal(bad.status, 2);
    assert_non_null(strstr(bad.err, "qemu-bugs.conf line 2: three parts are needed"));
    tree_file(fixture->tree, "config/qemu-bugs.conf", "# ours\n7.1.0 - any | seen | ticket\n");
    good = audit_fixture_run(fixture, NULL, false);
    assert_int_equal(good.status, 1);
}

static void
a_host_that_promised_more_than_it_has_is_told(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) fits = audit_fixture_run(fixture, NULL, false), over = {0};

    tree_file(fixture->tree, "proc/meminfo", "MemTotal:       3145728 kB\n");
    over = audit_fixture_run(fixture, NULL, false);
    assert_null(strstr(fits.out, "host-overcommit"));
    assert_non_null(strstr(over.out, "host-overcommit"));
}

static void
make_group(const AuditFixture *fixture, const char *group, guint64 anon_mib, guint64 limit_mib)
{
    g_autofree char *directory = g_strconcat("sys/fs/cgroup/", group, "/", NULL);
    g_autofree char *usage = g_strdup_printf("%" G_GUINT64_FORMAT "\n", anon_mib << 20);
    g_autofree char *limit = g_strdup_printf("%" G_GUINT64_FORMAT "\n", limit_mib << 20);
    g_autofree char *stat =
        g_strdup_printf("anon %" G_GUINT64_FORMAT "\nfile 0\nshmem 0\n", anon_mib << 20);
    const char *const files[][2] = {{"memory.current", usage},
                                    {"memory.max", limit},
                                    {"memory.stat", stat},
                                    {"memory.events", "oom_kill 0\n"}};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strconcat(directory, files[i][0], NULL);

        tree_file(fixture->tree, path, files[i][1]);
    }
}

/* The VM "clean" in a group of cgroup v2. */
static void
use_groups(const AuditFixture *fixture)
{
    tree_file(fixture->tree, "proc/self/mountinfo", CGROUP_MOUNT);
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    tree_file(fixture->tree, "proc/103/cgroup", "0::/vms.slice/clean.scope\n");
}

/* The VM's own group is no stranger's memory. */
static void
a_tree_without_a_limit_is_told_once_for_the_host(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) without = audit_fixture_run(fixture, NULL, false), with = {0}, one = {0};

    use_groups(fixture);
    make_group(fixture, "vms.slice", 400, 8192);
    make_group(fixture, "vms.slice/clean.scope", 400, 4096);
    make_group(fixture, "user.slice", 900, 8192);
    tree_file(fixture->tree, "sys/fs/cgroup/user.slice/memory.max", "max\n");
    with = audit_fixture_run(fixture, NULL, false);
    one = audit_fixture_run(fixture, "clean", false);
    assert_null(strstr(without.out, "uncapped-trees"));
    assert_non_null(strstr(with.out, "uncapped-trees"));
    assert_non_null(strstr(with.out, "no memory limit on /user.slice 900M"));
    assert_non_null(strstr(with.out, "systemctl set-property user.slice MemoryMax=1351M"));
    assert_null(strstr(one.out, "uncapped-trees"));
}

/* Of a full slice that others fill less is left than of the VM's own low limit. */
static void
a_low_limit_is_seen_below_a_full_one_that_others_share(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) low = {0}, high = {0};
    g_autofree char *of_low = NULL, *of_high = NULL;

    use_groups(fixture);
    make_group(fixture, "vms.slice", 8190, 8192);
    make_group(fixture, "vms.slice/clean.scope", 100, 1030);
    low = audit_fixture_run(fixture, "clean", true);
    of_low = audit_fixture_findings(low.out, "clean");
    assert_string_equal(of_low, "memory-limit-too-low - 1\n");
    make_group(fixture, "vms.slice/clean.scope", 100, 4096);
    high = audit_fixture_run(fixture, "clean", true);
    of_high = audit_fixture_findings(high.out, "clean");
    assert_string_equal(of_high, "");
}

static void
assert_audited(const AuditFixture *fixture, const char *wanted)
{
    g_auto(Run) run = audit_fixture_run(fixture, "clean", true);
    g_autofree char *findings = audit_fixture_findings(run.out, "clean");

    assert_string_equal(findings, wanted);
}

/* As sysfs shows a disk with a partition. */
static void
make_partition(const AuditFixture *fixture, const char *disk, const char *disk_number,
               const char *partition, const char *number)
{
    g_autofree char *whole = g_strdup_printf("sys/devices/pci/block/%s/dev", disk);
    g_autofree char *part = g_strdup_printf("sys/devices/pci/block/%s/%s/", disk, partition);
    g_autofree char *dev = g_strconcat(part, "dev", NULL);
    g_autofree char *which = g_strconcat(part, "partition", NULL);
    g_autofree char *by_name = g_strconcat("sys/class/block/", partition, NULL);
    g_autofree char *by_number = g_strconcat("sys/dev/block/", number, NULL);
    g_autofree char *target = g_strdup_printf("../../devices/pci/block/%s/%s", disk, partition);

    tree_file(fixture->tree, whole, disk_number);
    tree_file(fixture->tree, dev, number);
    tree_file(fixture->tree, which, "1\n");
    tree_link(fixture->tree, by_name, target);
    tree_link(fixture->tree, by_number, target);
}

/* The limit stands on the group or above it, and so does a cap that makes it harmless. */
static void
swap_on_a_disk_that_a_group_is_limited_on_is_found(void **state)
{
    static const char found[] = "swap-on-throttled-disk - 1\n";
    /* No such path exists: it is known from its name alone, as where a stat of it would hang. */
    static const struct {
        const char *line;
        bool is_found;
    } rows[] = {
        {"/swap.img file 8 0 -2\n", false},
        {"/dev/sda1 partition 8 0 -2\n", false},
        {"/srv/my file 8 0 -2\n", false},
        {"/bigger/swap file 8 0 -2\n", false},
        {"/big/swap file 8 0 -2\n", true},
        {"/srv/my\\040swaps/one\\040more file 8 0 -2\n", true},
        {"/swap.img file 8 0 -2\n/dev/cciss/c0d1p2\t\tpartition 8 0 -2\n", true},
    };
    const AuditFixture *fixture = *state;

    use_groups(fixture);
    tree_file(fixture->tree, "proc/self/mountinfo",
              CGROUP_MOUNT "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                           "23 22 0:50 / /srv/my\\040swaps rw - btrfs /dev/sdb rw\n"
                           "24 22 252:17 / /big rw - xfs /dev/vdb1 rw\n");
    make_group(fixture, "vms.slice", 100, 8192);
    make_group(fixture, "vms.slice/clean.scope", 100, 4096);
    make_partition(fixture, "sda", "8:0", "sda1", "8:1");
    make_partition(fixture, "vdb", "252:16", "vdb1", "252:17");
    make_partition(fixture, "cciss!c0d1", "104:16", "cciss!c0d1p2", "104:18");
    tree_file(fixture->tree, "sys/fs/cgroup/vms.slice/io.max",
              "8:0 rbps=max\n104:16 rbps=1048576 wbps=max\n0:50 wiops=9\n252:16 wbps=7\n");
    assert_audited(fixture, ""); /* no swap */
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *table =
            g_strconcat("Filename Type Size Used Priority\n", rows[i].line, NULL);

        tree_file(fixture->tree, "proc/swaps", table);
        assert_audited(fixture, rows[i].is_found ? found : "");
    }
    tree_file(fixture->tree, "sys/fs/cgroup/vms.slice/clean.scope/memory.swap.max", "max\n");
    assert_audited(fixture, found);
    tree_file(fixture->tree, "sys/fs/cgroup/vms.slice/clean.scope/memory.swap.max", "0\n");
    assert_audited(fixture, "");
    tree_file(fixture->tree, "sys/fs/cgroup/vms.slice/clean.scope/memory.swap.max", "max\n");
    tree_file(fixture->tree, "sys/fs/cgroup/vms.slice/io.max", "1:1 rbps=5\n");
    assert_audited(fixture, ""); /* another disk */
}

static void
wrong_words_are_refused(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) unknown = audit_fixture_run(fixture, "nobody", false);
    g_auto(Run) option = audit_fixture_run(fixture, "--all", false);

    assert_int_equal(unknown.status, 2);
    assert_non_null(strstr(unknown.err, "no VM is called \"nobody\""));
    assert_int_equal(option.status, 2);
    assert_non_null(strstr(option.err, "--all"));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_AUDIT(the_incident_has_its_risks_and_the_vm_beside_it_none),
        WITH_AUDIT(what_no_test_machine_has_is_found_in_fixtures),
        WITH_AUDIT(a_sites_own_row_is_heard_and_a_bad_one_refused),
        WITH_AUDIT(a_host_that_promised_more_than_it_has_is_told),
        WITH_AUDIT(a_tree_without_a_limit_is_told_once_for_the_host),
        WITH_AUDIT(a_low_limit_is_seen_below_a_full_one_that_others_share),
        WITH_AUDIT(swap_on_a_disk_that_a_group_is_limited_on_is_found),
        WITH_AUDIT(wrong_words_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
