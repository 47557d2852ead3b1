/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "oomline.h"

#include <string.h>

static char *
text_dup(OomText text)
{
    return text.start ? g_strndup(text.start, text.length) : g_strdup("");
}

typedef struct {
    const char *line;
    const char *name; /* of the invoker */
    OomClock clock;
    gint64 us; /* boot only */
    const char *host, *thread;
} PrefixRow;

#define INVOKED "CPU 0/KVM invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0"

static const PrefixRow prefix_rows[] = {
    {INVOKED, "CPU 0/KVM", OOM_CLOCK_NONE, 0, "", ""},
    {"[ 8758.7] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 8758700000, "", ""},
    {"[    4.173114] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 4173114, "", ""},
    {"<4>[  812.554411] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 812554411, "", ""},
    {"[  812.554411][ T1234] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 812554411, "", "T1234"},
    {"[  812.554411] [    C3] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 812554411, "", "C3"},
    {"kern  :warn  : [  812.554411] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 812554411, "", ""},
    {"Jul 30 15:21:07 host kernel: " INVOKED, "CPU 0/KVM", OOM_CLOCK_YEARLESS, 0, "host", ""},
    {"Jul  3 15:21:07 host kernel: [  1.5] " INVOKED, "CPU 0/KVM", OOM_CLOCK_YEARLESS, 0, "host",
     ""},
    {"Feb 03 19:57:08 ** kernel: virt-launcher invoked oom-killer: gfp", "virt-launcher",
     OOM_CLOCK_YEARLESS, 0, "**", ""},
    {"Jul 30 15:21:07.123456 host kernel: " INVOKED, "CPU 0/KVM", OOM_CLOCK_YEARLESS, 0, "host",
     ""},
    {"Jul 30 15:21:07 kernel: " INVOKED, "CPU 0/KVM", OOM_CLOCK_YEARLESS, 0, "", ""},
    {"Jul 30 15:21:07 host kernel[0]: " INVOKED, "CPU 0/KVM", OOM_CLOCK_YEARLESS, 0, "host", ""},
    {"2025-02-03T19:57:08+0100 host kernel: " INVOKED, "CPU 0/KVM", OOM_CLOCK_WALL, 0, "host", ""},
    {"2025-02-03T19:57:08,678901+01:00 " INVOKED, "CPU 0/KVM", OOM_CLOCK_WALL, 0, "", ""},
    {"2025-02-03T19:57:08.678901Z host kernel: kvm invoked oom-killer: gfp", "kvm", OOM_CLOCK_WALL,
     0, "host", ""},
    {"2025-02-03 19:57:08 kvm invoked oom-killer: gfp", "kvm", OOM_CLOCK_WALL, 0, "", ""},
    {"[Thu May  9 14:52:38 2024] " INVOKED, "CPU 0/KVM", OOM_CLOCK_WALL, 0, "", ""},
    {"> > [  1.5] " INVOKED, "CPU 0/KVM", OOM_CLOCK_BOOT, 1500000, "", ""},
    {"vcpu-5 - Guest: <4>[39291577.1] node invoked oom-killer: gfp", "node", OOM_CLOCK_BOOT,
     39291577100000, "", ""},
};

static void
run_prefix(void **state)
{
    const PrefixRow *row = *state;
    OomPrefix prefix = oomprefix_parse(row->line);
    OomLine line = oomline_parse(row->line);
    g_autofree char *name = text_dup(line.name), *host = text_dup(prefix.host);
    g_autofree char *thread = text_dup(prefix.thread);

    assert_int_equal(line.kind, OOM_LINE_INVOKED);
    assert_string_equal(name, row->name);
    assert_int_equal(prefix.time.clock, row->clock);
    if (row->clock == OOM_CLOCK_BOOT)
        assert_int_equal(prefix.time.us, row->us);
    assert_string_equal(host, row->host);
    assert_string_equal(thread, row->thread);
}

typedef struct {
    const char *from, *to;
    gint64 seconds;
} TimeRow;

static const TimeRow time_rows[] = {
    {"2024-02-28T23:59:59Z x", "2024-03-01T00:00:00Z x", 86401},
    {"2023-02-28T23:59:59Z x", "2023-03-01T00:00:00Z x", 1},
    {"2023-12-31T23:59:50Z x", "2024-01-01T00:00:00Z x", 10},
    {"2025-02-03T19:57:08+01:00 x", "2025-02-03T18:57:09Z x", 1},
    {"2025-02-03T19:57:08-0530 x", "2025-02-04T01:27:08Z x", 0},
    {"[Thu May  9 14:52:38 2024] x", "2024-05-09T14:52:40Z x", 2},
    {"Jul 30 15:21:07 h kernel: x", "Jul 31 15:21:08 h kernel: x", 86401},
};

static void
run_time(void **state)
{
    const TimeRow *row = *state;
    OomPrefix from = oomprefix_parse(row->from), to = oomprefix_parse(row->to);

    assert_int_equal(from.time.clock, to.time.clock);
    assert_int_equal(to.time.us - from.time.us, row->seconds * G_USEC_PER_SEC);
}

typedef struct {
    const char *name;
    const char *line;
    gint64 pid;
    const char *victim;
    OomConstraint constraint;
    gint64 total_vm_kb, anon_kb, file_kb, shmem_kb, pgtables_kb; /* -1 unknown */
} KillRow;

static const KillRow kill_rows[] = {
    {"a kill of 6.x",
     "[ 1.5] Memory cgroup out of memory: Killed process 4978 (qemu-system-x86) "
     "total-vm:105524kB, anon-rss:3072kB, file-rss:648kB, shmem-rss:50048kB, UID:0 pgtables:156kB "
     "oom_score_adj:982",
     4978, "qemu-system-x86", OOM_CONSTRAINT_MEMCG, 105524, 3072, 648, 50048, 156},
    {"a kill of 4.x says nothing of the domain",
     "kernel: Killed process 9 (kvm) total-vm:8kB, anon-rss:4kB, file-rss:0kB", 9, "kvm",
     OOM_CONSTRAINT_UNKNOWN, 8, 4, 0, -1, -1},
    {"a kill with the user behind the pid",
     "Killed process 2109, UID 107, (qemu-kvm) total-vm:8kB, anon-rss:4kB, file-rss:0kB", 2109,
     "qemu-kvm", OOM_CONSTRAINT_UNKNOWN, 8, 4, 0, -1, -1},
    {"a kill with the user behind the name",
     "Out of memory: Killed process 21 (qemu-kvm), UID 107, total-vm:8kB, anon-rss:4kB, "
     "file-rss:0kB, shmem-rss:0kB",
     21, "qemu-kvm", OOM_CONSTRAINT_GLOBAL, 8, 4, 0, 0, -1},
    {"a kill of whoever asked",
     "Out of memory (oom_kill_allocating_task): Killed process 3 (sh) total-vm:8kB, anon-rss:4kB",
     3, "sh", OOM_CONSTRAINT_GLOBAL, 8, 4, -1, -1, -1},
    {"a name with a bracket and a colon",
     "Memory cgroup out of memory: Killed process 5 (a) total-vm:(b) total-vm:8kB, anon-rss:4kB", 5,
     "a) total-vm:(b", OOM_CONSTRAINT_MEMCG, 8, 4, -1, -1, -1},
    {"a figure without its end is unknown",
     "Memory cgroup out of memory: Killed process 5 (a) total-vm:80kB, anon-rss:41", 5, "a",
     OOM_CONSTRAINT_MEMCG, 80, -1, -1, -1, -1},
    {"a figure past all memory is unknown",
     "Killed process 5 (a) total-vm:99999999999999999999kB, anon-rss:18446744073709551615kB", 5,
     "a", OOM_CONSTRAINT_UNKNOWN, -1, -1, -1, -1, -1},
};

static void
assert_kilobytes(OomSize size, gint64 kilobytes)
{
    assert_int_equal(size.is_known, kilobytes >= 0);
    if (size.is_known)
        assert_int_equal(size.bytes, (guint64)kilobytes * 1024);
}

static void
run_kill(void **state)
{
    const KillRow *row = *state;
    OomLine line = oomline_parse(row->line);
    g_autofree char *victim = text_dup(line.name);

    assert_int_equal(line.kind, OOM_LINE_KILLED);
    assert_int_equal(line.task.pid, row->pid);
    assert_string_equal(victim, row->victim);
    assert_int_equal(line.constraint, row->constraint);
    assert_kilobytes(line.task.total_vm, row->total_vm_kb);
    assert_kilobytes(line.task.anon, row->anon_kb);
    assert_kilobytes(line.task.file, row->file_kb);
    assert_kilobytes(line.task.shmem, row->shmem_kb);
    assert_kilobytes(line.task.pgtables, row->pgtables_kb);
}

static void
a_constraint_line_may_hold_commas_in_its_names(void **state)
{
    OomLine line = oomline_parse(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        "task=b,task_memcg=/a,task=b/c,task=x,pid=1,pid= 4978,uid=0");
    g_autofree char *domain = text_dup(line.domain), *group = text_dup(line.group);
    g_autofree char *name = text_dup(line.name);

    assert_int_equal(line.kind, OOM_LINE_CONSTRAINT);
    assert_int_equal(line.constraint, OOM_CONSTRAINT_MEMCG);
    assert_string_equal(domain, "/a,task=b");
    assert_string_equal(group, "/a,task=b/c");
    assert_string_equal(name, "x,pid=1");
    assert_int_equal(line.pid, 4978);
}

static void
no_limit_is_not_a_number(void **state)
{
    OomLine line =
        oomline_parse("memory: usage 96kB, limit 9007199254740988kB, failcnt 18446744073709551616");

    assert_int_equal(line.kind, OOM_LINE_USAGE);
    assert_int_equal(line.usage.bytes, 96 * 1024);
    assert_false(line.limit.is_known);
    assert_int_equal(line.failures, 0);
}

static void
columns_are_found_by_their_names(void **state)
{
    static const char old[] = "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds nr_puds "
                              "swapents oom_score_adj name";
    OomLine line = oomline_parse(old);
    OomColumns columns;
    OomTask task;

    assert_int_equal(line.kind, OOM_LINE_HEADER);
    assert_true(oomtable_parse_header(line.rest, &columns));
    assert_int_equal(columns.n, 9);
    assert_true(oomtable_parse_row(
        "Jul 30 15:21:07 h kernel: [ 4978]   107  4978   857263   540000    1200      12       1 "
        "       5          -998 Web Content",
        &columns, &task));
    assert_int_equal(task.pid, 4978);
    assert_string_equal(task.name, "Web Content");
    assert_int_equal(task.rss.bytes, 540000ull * 4096);
    assert_int_equal(task.pgtables.bytes, 1213 * 4096);
    assert_int_equal(task.swap.bytes, 5 * 4096);
    assert_int_equal(task.oom_score_adj, -998);
    assert_false(task.anon.is_known);
    assert_int_equal(task.role, OOM_ROLE_STRANGER);
}

static void
a_row_without_a_header_is_read_by_its_width(void **state)
{
    const OomColumns none = {0};
    OomTask task;

    assert_true(oomtable_parse_row("[   4978]     0  4978    26381    13442      768      162     "
                                   "12512   159744        0           982 qemu-system-x86",
                                   &none, &task));
    assert_int_equal(task.shmem.bytes, 12512 * 4096);
    assert_int_equal(task.role, OOM_ROLE_QEMU);
    assert_true(oomtable_parse_row("[ 4978] 0 4978 26381 13442 159744 0 982 virt-launcher-m", &none,
                                   &task));
    assert_int_equal(task.rss.bytes, 13442 * 4096);
    assert_false(task.pgtables.is_known);
    assert_false(oomtable_parse_row("[ 4978] 0 4978 26381 13442 982 kvm", &none, &task));
    assert_false(oomtable_parse_row("[   12.5] 0 4978 26381 13442 1 0 982 kvm", &none, &task));
    assert_false(oomtable_parse_row("[ 4978] 0 4978 26381 13442 159744 0 982", &none, &task));
}

static void
a_role_goes_by_the_name_as_the_kernel_cuts_it(void **state)
{
    guint64 share = 1;

    assert_int_equal(oomrole_of("virt-launcher-m", &share), OOM_ROLE_HELPER);
    assert_int_equal(share, 25 << 20);
    assert_int_equal(oomrole_of("virt-launcher", NULL), OOM_ROLE_HELPER);
    assert_int_equal(oomrole_of("passt.avx2", NULL), OOM_ROLE_HELPER);
    assert_int_equal(oomrole_of("qemu-kvm", NULL), OOM_ROLE_QEMU);
    assert_int_equal(oomrole_of("qemu-system-aar", NULL), OOM_ROLE_QEMU);
    assert_int_equal(oomrole_of("kvm-nx-lpage-re", NULL), OOM_ROLE_STRANGER);
    assert_int_equal(oomrole_of("virt-launcher-x", NULL), OOM_ROLE_STRANGER);
    assert_int_equal(oomrole_of("", &share), OOM_ROLE_STRANGER);
    assert_int_equal(share, 0);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(a_constraint_line_may_hold_commas_in_its_names),
        cmocka_unit_test(no_limit_is_not_a_number),
        cmocka_unit_test(columns_are_found_by_their_names),
        cmocka_unit_test(a_row_without_a_header_is_read_by_its_width),
        cmocka_unit_test(a_role_goes_by_the_name_as_the_kernel_cuts_it),
    };

    for (guint i = 0; i < G_N_ELEMENTS(prefix_rows); i++)
        g_array_append_vals(tests, &t_row(prefix_rows[i].line, run_prefix, &prefix_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(time_rows); i++)
        g_array_append_vals(tests, &t_row(time_rows[i].to, run_time, &time_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(kill_rows); i++)
        g_array_append_vals(tests, &t_row(kill_rows[i].name, run_kill, &kill_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("oomline", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
