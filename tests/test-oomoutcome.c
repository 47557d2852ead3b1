/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomreader.h"

#include <string.h>

/* Reports that do not end with a kill, or of a limit that is not the group's memory, or of a host
 * on which no single task stands out. */

/* 16 GiB of RAM, of which 2 GiB are free. */
#define HOST                                                                                       \
    "Mem-Info:\n"                                                                                  \
    "active_anon:100000 inactive_anon:3300000 isolated_anon:0\n"                                   \
    " slab_reclaimable:20000 slab_unreclaimable:30000\n"                                           \
    " mapped:1000 shmem:2000 pagetables:9000\n"                                                    \
    " free:524288 free_pcp:0 free_cma:0\n"                                                         \
    "4194304 pages RAM\n"                                                                          \
    "0 pages HighMem/MovableOnly\n"                                                                \
    "65536 pages reserved\n"
/* The same with so many huge pages of 2 MiB, and two of 1 GiB. */
#define HUGE_HOST(total, unused)                                                                   \
    HOST "Node 0 hugepages_total=" total " hugepages_free=" unused                                 \
         " hugepages_surp=0 hugepages_size=2048kB\n"                                               \
         "Node 0 hugepages_total=2 hugepages_free=0 hugepages_surp=0 hugepages_size=1048576kB\n"
#define TABLE                                                                                      \
    "Tasks state (memory values in pages):\n"                                                      \
    "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
/* 8 GiB in a QEMU. */
#define QEMU "[   1000]   107  1000  2600000  2097152 17000000        0             0 kvm\n"
#define SMALL "[    900]     0   900    20000     5000    60000        0         -1000 sshd\n"
#define GROUP(usage, limit)                                                                        \
    "memory: usage " usage "kB, limit " limit "kB, failcnt 9\n"                                    \
    "swap: usage 0kB, limit 0kB, failcnt 0\n"                                                      \
    "Memory cgroup stats for /jobs/a:\n"                                                           \
    "anon 1000000000\nfile 0\nkernel 20000000\nsock 0\nshmem 0\n"
#define JOB "[     50]     0    50   300000   245000  2000000        0             0 job\n"
#define KILLED_JOB                                                                                 \
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"                \
    "oom_memcg=/jobs/a,task_memcg=/jobs/a,task=job,pid=50,uid=0\n"                                 \
    "Memory cgroup out of memory: Killed process 50 (job) total-vm:1200000kB, anon-rss:980000kB, " \
    "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:1953kB oom_score_adj:0\n"
#define KILLED_KVM(constraint)                                                                     \
    "oom-kill:constraint=" constraint                                                              \
    ",mems_allowed=0,global_oom,task_memcg=/qemu.slice/104.scope,"                                 \
    "task=kvm,pid=1000,uid=0\n"                                                                    \
    "Out of memory: Killed process 1000 (kvm) total-vm:10400000kB, anon-rss:8388608kB, "           \
    "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:16601kB oom_score_adj:0\n"

typedef struct {
    const char *name;
    const char *log;
    OomOutcome outcome;
    bool is_complete;
    OomRole blamed;
    const char *why;      /* part of it */
    gint64 suggested_mib; /* 0 = none */
} Row;

static const Row rows[] = {
    {"a kill of the largest",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE QEMU SMALL KILLED_KVM(
         "CONSTRAINT_NONE,nodemask=(null),cpuset=/"),
     OOM_OUTCOME_KILLED, true, OOM_ROLE_GUEST, "QEMU holds 8.0G of the host's 16G", 0},
    {"whoever asks by SysRq gets a kill that blames nobody",
     "kworker/0:2 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0\n" HOST
         TABLE QEMU SMALL KILLED_KVM("CONSTRAINT_NONE,nodemask=(null),cpuset=/"),
     OOM_OUTCOME_KILLED, true, OOM_ROLE_UNKNOWN, "SysRq", 0},
    {"huge pages that nobody uses are missing to all others",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HUGE_HOST("2560", "2304") TABLE SMALL
     "[   2000]    33  2000   600000   500000  1000000        0             0 worker\n"
     "Out of memory: Killed process 2000 (worker) total-vm:2400000kB, anon-rss:2000000kB, "
     "file-rss:0kB, shmem-rss:0kB\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_LIMIT,
     "7.0G of the host's 16G are set aside as huge pages, 4.5G of them in no use", 0},
    {"and yet a program that took a quarter of what they leave is to blame",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HUGE_HOST("2560", "2304") TABLE SMALL
     "[   2000]    33  2000   900000   800000  1000000        0             0 worker\n"
     "Out of memory: Killed process 2000 (worker) total-vm:3600000kB, anon-rss:3200000kB, "
     "file-rss:0kB, shmem-rss:0kB\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_STRANGER, "worker[2000] holds 3.1G", 0},
    {"huge pages that are in use are not to blame for a program's growth",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HUGE_HOST("2560", "100") TABLE SMALL
     "[   2000]    33  2000   900000   800000  1000000        0             0 worker\n"
     "Out of memory: Killed process 2000 (worker) total-vm:3600000kB, anon-rss:3200000kB, "
     "file-rss:0kB, shmem-rss:0kB\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_STRANGER, "worker[2000] holds 3.1G", 0},
    {"a cpuset's nodes are full, the host is not",
     "CPU 0/KVM invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE QEMU SMALL KILLED_KVM(
         "CONSTRAINT_CPUSET,nodemask=(null),cpuset=emulator"),
     OOM_OUTCOME_KILLED, true, OOM_ROLE_LIMIT, "node 0, while the host had 2.0G free", 0},
    {"a memory policy's nodes are full, the host is not",
     "CPU 0/KVM invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE QEMU SMALL KILLED_KVM(
         "CONSTRAINT_MEMORY_POLICY,nodemask=1-2,cpuset=vcpu0"),
     OOM_OUTCOME_KILLED, true, OOM_ROLE_LIMIT, "node 1-2, while", 0},
    {"nobody in the group can be killed",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" GROUP("1000000", "1000000") TABLE
     "Out of memory and no killable processes...\n",
     OOM_OUTCOME_NOBODY, true, OOM_ROLE_UNKNOWN, "does not tell", 0},
    {"nobody on the host can be killed, and the kernel panics",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE SMALL
     "Out of memory and no killable processes...\n"
     "Kernel panic - not syncing: System is deadlocked on memory\n",
     OOM_OUTCOME_PANIC, true, OOM_ROLE_STRANGER, "sshd[900]", 0},
    {"panic_on_oom kills nobody",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE QEMU SMALL
     "Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled\n",
     OOM_OUTCOME_PANIC, true, OOM_ROLE_GUEST, "beyond what the host has", 0},
    {"a panic alone is told of as one",
     "[ 12.5] Kernel panic - not syncing: Out of memory and no killable processes...\n",
     OOM_OUTCOME_PANIC, false, OOM_ROLE_UNKNOWN, "", 0},
    {"a group without a VM needs what it used and a margin",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" GROUP("1000000", "1000000")
         TABLE JOB KILLED_JOB,
     OOM_OUTCOME_KILLED, true, OOM_ROLE_STRANGER, "job[50] holds the most", 1075},
    {"a limit that was set below what is used is to blame itself",
     "sh invoked oom-killer: gfp_mask=0x0, order=0\n" GROUP("1000000", "500000")
         TABLE JOB KILLED_JOB,
     OOM_OUTCOME_KILLED, true, OOM_ROLE_LIMIT, "set to 488M while 977M were in use", 1075},
    {"no memory at all was allowed",
     "sh invoked oom-killer: gfp_mask=0x0, order=0\n" GROUP("1000000", "0") TABLE JOB KILLED_JOB,
     OOM_OUTCOME_KILLED, true, OOM_ROLE_LIMIT, "set to 0B while 977M were in use", 1075},
    {"memory and swap ran out together, the memory's limit did not help",
     "job invoked oom-killer: gfp_mask=0x0, order=0\n"
     "Task in /jobs/a killed as a result of limit of /jobs/a\n"
     "memory: usage 1000000kB, limit 1200000kB, failcnt 0\n"
     "memory+swap: usage 1400000kB, limit 1400000kB, failcnt 77\n"
     "kmem: usage 20000kB, limit 9007199254740988kB, failcnt 0\n"
     "Memory cgroup stats for /jobs/a: cache:0KB rss:980000KB shmem:0KB swap:400000KB\n"
     "[ pid ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
     "[   50]     0    50   400000   245000  2000000   100000             0 job\n"
     "Memory cgroup out of memory: Kill process 50 (job) score 900 or sacrifice child\n"
     "Killed process 50 (job) total-vm:1600000kB, anon-rss:980000kB, file-rss:0kB, shmem-rss:0kB\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_STRANGER, "reached their limit, 1.3G of 1.3G", 0},
    {"a program of many tasks is larger than the largest task",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE SMALL
     "[   2000]    33  2000   900000   800000  1000000        0             0 worker\n"
     "[   2001]    33  2001   900000   700000  1000000        0             0 worker\n"
     "[   2002]    33  2002   900000   600000  1000000        0             0 worker\n"
     "[   2003]     0  2003   990000   900000  1000000        0          -500 database\n"
     "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
     "task_memcg=/system.slice/web.service,task=worker,pid=2000,uid=33\n"
     "Out of memory: Killed process 2000 (worker) total-vm:3600000kB, anon-rss:3200000kB, "
     "file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:976kB oom_score_adj:0\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_STRANGER, "3 tasks of worker hold 8.0G", 0},
    {"a program larger than any QEMU is to blame beside it",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE SMALL
     "[   1000]   107  1000  1600000  1000000 17000000        0             0 kvm\n"
     "[   2000]    33  2000  2900000  2100000  1000000        0             0 backup\n"
     "Out of memory: Killed process 2000 (backup) total-vm:11600000kB, anon-rss:8400000kB, "
     "file-rss:0kB, shmem-rss:0kB\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_STRANGER, "backup[2000] holds 8.0G", 0},
    {"guests that fill the host are to blame beside a program larger than each",
     "a invoked oom-killer: gfp_mask=0x0, order=0\n" HOST TABLE SMALL
     "[   1000]   107  1000  1600000  800000 17000000        0             0 kvm\n"
     "[   1001]   107  1001  1600000  800000 17000000        0             0 kvm\n"
     "[   1002]   107  1002  1600000  800000 17000000        0             0 kvm\n"
     "[   1003]   107  1003  1600000  800000 17000000        0             0 kvm\n"
     "[   2000]    33  2000  2900000  900000  1000000        0             0 ceph-osd\n"
     "Out of memory: Killed process 1001 (kvm) total-vm:6400000kB, anon-rss:3200000kB, "
     "file-rss:0kB, shmem-rss:0kB\n",
     OOM_OUTCOME_KILLED, true, OOM_ROLE_GUEST, "guests beyond what the host has", 0},
};

static void
run_row(void **state)
{
    const Row *row = *state;
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports;
    const OomReport *report;

    oomreader_feed(reader, row->log, strlen(row->log));
    reports = oomreader_finish(reader, (OomSize){false, 0});
    assert_int_equal(reports->len, 1);
    report = reports->pdata[0];
    assert_string_equal(oomoutcome_name(report->outcome), oomoutcome_name(row->outcome));
    assert_int_equal(report->is_complete, row->is_complete);
    assert_int_equal(report->has_victim, row->outcome == OOM_OUTCOME_KILLED);
    assert_string_equal(oomrole_name(report->blame.role), oomrole_name(row->blamed));
    if (!strstr(report->blame.why, row->why))
        assert_string_equal(report->blame.why, row->why);
    assert_int_equal(report->blame.suggested_limit.bytes, row->suggested_mib << 20);
}

static void
a_group_without_anybody_takes_nothing_from_the_next(void **state)
{
    static const char log[] =
        "[ 1.0] a invoked oom-killer: gfp_mask=0x0, order=0\n" GROUP("1000000", "1000000") TABLE
        "Out of memory and no killable processes...\n"
        "[ 2.0] b invoked oom-killer: gfp_mask=0x0, order=0\n" GROUP("1000000", "1000000")
            TABLE JOB KILLED_JOB;
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports;
    const OomReport *first, *second;

    oomreader_feed(reader, log, sizeof log - 1);
    reports = oomreader_finish(reader, (OomSize){false, 0});
    assert_int_equal(reports->len, 2);
    first = reports->pdata[0];
    second = reports->pdata[1];
    assert_string_equal(first->invoker, "a");
    assert_int_equal(first->tasks->len, 0);
    assert_string_equal(second->invoker, "b");
    assert_int_equal(second->victim.pid, 50);
    assert_true(second->is_complete);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        g_array_append_vals(tests, &t_row(rows[i].name, run_row, &rows[i]), 1);
    g_array_append_vals(
        tests,
        &(struct CMUnitTest)cmocka_unit_test(a_group_without_anybody_takes_nothing_from_the_next),
        1);
    return _cmocka_run_group_tests("oomoutcome", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
