/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "proc.h"
#include "tree.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Everything after the name; 4242 is the start time. */
#define REST                                                                                       \
    " S 7 41 41 0 -1 4194560 900 0 1 0 250 50 0 0 20 0 6 0 4242 1000 300 18446744073709551615"

typedef struct {
    const char *name;
    const char *text;
    bool is_valid;
    const char *comm;
} StatRow;

static const StatRow stat_rows[] = {
    {"a plain stat is read", "42 (qemu-system-x86)" REST, true, "qemu-system-x86"},
    {"a name with parentheses and fields is no field", "42 (a) R 1 (b)" REST, true, "a) R 1 (b"},
    {"a name with blanks and newlines is read", "42 (a b\nc)" REST "\n", true, "a b\nc"},
    {"an empty name is read", "42 ()" REST, true, ""},
    {"a long name is cut", "42 (0123456789012345678901234567890123456789)" REST, true,
     "0123456789012345678901234567890"},
    {"an empty text is refused", "", false, NULL},
    {"a text without a name is refused", "42 S 1 1", false, NULL},
    {"parentheses in the wrong order are refused", "42 )(" REST, false, NULL},
    {"a text that ends in its name is refused", "42 (qemu)", false, NULL},
    {"a text that ends before the start time is refused",
     "42 (qemu) S 7 41 41 0 -1 4194560 900 0 1 0 250 50 0 0 20 0 6 0", false, NULL},
    {"a word among the numbers is refused",
     "42 (qemu) S 7 41 41 0 -1 4194560 900 0 1 0 abc 50 0 0 20 0 6 0 4242 1", false, NULL},
    {"a number past 64 bits is refused",
     "42 (qemu) S 7 41 41 0 -1 4194560 900 0 1 0 250 50 0 0 20 0 6 0 99999999999999999999 1", false,
     NULL},
};

static void
the_time_of_the_main_thread_is_read_in_full_or_not_at_all(void **state)
{
    static const char *const bad[] = {
        "", " 12 3 4", "-12 3 4", "12", "12x 3 4", "99999999999999999999 3 4", "+1 3 4"};
    guint64 us = 7;

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_false(proc_parse_schedstat(bad[i], &us));
    assert_int_equal(us, 7);
    assert_true(proc_parse_schedstat("1234567 890 12\n", &us));
    assert_int_equal(us, 1234);
}

static void
stat_is_parsed(void **state)
{
    const StatRow *row = *state;
    ProcStat stat = {.start_ticks = 1};

    assert_int_equal(proc_parse_stat(row->text, &stat), row->is_valid);
    if (!row->is_valid) {
        assert_int_equal(stat.start_ticks, 1);
        return;
    }
    assert_string_equal(stat.comm, row->comm);
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.ppid, 7);
    assert_int_equal(stat.utime_ticks, 250);
    assert_int_equal(stat.stime_ticks, 50);
    assert_int_equal(stat.num_threads, 6);
    assert_int_equal(stat.start_ticks, 4242);
}

static void
status_gives_memory_by_kind(void **state)
{
    ProcStatus status = {0};

    assert_true(proc_parse_status("Name:\tUid:\t9\\nRssAnon: 1 kB\n"
                                  "Uid:\t107\t0\t0\t0\n"
                                  "VmRSS:\t   600 kB\n"
                                  "RssAnon:\t     100 kB\nRssFile:\t  200 kB\nRssShmem:\t 300 kB\n"
                                  "VmPTE:\t      40 kB\nVmSwap:\t   50 kB\n"
                                  "HugetlbPages:\t  2048 kB\n",
                                  &status));
    assert_true(status.has_rss);
    assert_int_equal(status.uid, 107);
    assert_int_equal(status.rss_anon_bytes, 100 * 1024);
    assert_int_equal(status.rss_file_bytes, 200 * 1024);
    assert_int_equal(status.rss_shmem_bytes, 300 * 1024);
    assert_int_equal(status.page_table_bytes, 40 * 1024);
    assert_int_equal(status.swap_bytes, 50 * 1024);
    assert_int_equal(status.hugetlb_bytes, 2048 * 1024);
}

static void
a_status_without_memory_is_not_zero_memory(void **state)
{
    ProcStatus status;

    assert_true(proc_parse_status("Name:\tkthreadd\nUid:\t0\t0\t0\t0\nThreads:\t1\n", &status));
    assert_false(status.has_rss);
    assert_true(
        proc_parse_status("Uid:\t0\nRssAnon:\t1 kB\nRssFile:\tx kB\nRssShmem:\t1 kB\n", &status));
    assert_false(status.has_rss);
    assert_true(proc_parse_status("Uid:\t0\nRssAnon:\t18446744073709551615 kB\n"
                                  "RssFile:\t1 kB\nRssShmem:\t1 kB\n",
                                  &status));
    assert_false(status.has_rss);
    assert_false(proc_parse_status("", &status));
    assert_false(proc_parse_status("Name:\tqemu\nUid:\troot\n", &status));
    assert_false(proc_parse_status("Name:\tqemu\nUid:\t99999999999\n", &status));
}

typedef struct {
    Tree *tree;
    Host *host;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {NULL};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/42/stat", "42 (qemu)" REST "\n");
    tree_file(fixture->tree, "proc/42/status",
              "Name:\tqemu\nUid:\t5\t5\nRssAnon:\t1 kB\nRssFile:\t2 kB\nRssShmem:\t3 kB\n");
    tree_file(fixture->tree, "proc/42/comm", "qemu\n");
    tree_bytes(fixture->tree, "proc/42/cmdline", "/usr/bin/kvm\0-id\0\00042", 20);
    roots[HOST_PROC] = tree_path(fixture->tree, "proc");
    fixture->host = host_new(roots, NULL);
    *state = fixture;
    return fixture->host ? 0 : -1;
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
assert_gone(GError *error)
{
    assert_non_null(error);
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE));
    g_error_free(error);
}

static void
a_process_of_a_fixture_tree_is_read(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Proc) proc = proc_open(fixture->host, 42, NULL);
    ProcStat stat;
    ProcStatus status;
    g_auto(GStrv) arguments = NULL;
    g_autofree char *comm = proc_peek_comm(fixture->host, 42);
    g_autofree char *no_comm = proc_peek_comm(fixture->host, 43);

    assert_non_null(proc);
    assert_int_equal(proc_pid(proc), 42);
    assert_int_equal(proc_start_ticks(proc), 4242);
    assert_true(proc_is_alive(proc));
    assert_true(proc_read_stat(proc, &stat, NULL));
    assert_string_equal(stat.comm, "qemu");
    assert_true(proc_read_status(proc, &status, NULL));
    assert_int_equal(status.rss_shmem_bytes, 3 * 1024);
    assert_string_equal(comm, "qemu");
    assert_null(no_comm);

    arguments = proc_read_cmdline(proc, NULL);
    assert_int_equal(g_strv_length(arguments), 4);
    assert_string_equal(arguments[0], "/usr/bin/kvm");
    assert_string_equal(arguments[1], "-id");
    assert_string_equal(arguments[2], "");
    assert_string_equal(arguments[3], "42");
}

static void
another_process_with_the_same_pid_is_not_ours(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Proc) proc = proc_open(fixture->host, 42, NULL);
    GError *error = NULL;
    ProcStat stat = {.start_ticks = 1};

    tree_file(fixture->tree, "proc/42/stat",
              "42 (qemu) S 7 41 41 0 -1 0 0 0 1 0 250 50 0 0 20 0 6 0 4243 1\n");
    assert_false(proc_read_stat(proc, &stat, &error));
    assert_int_equal(stat.start_ticks, 1);
    assert_gone(g_steal_pointer(&error));
    assert_false(proc_is_alive(proc));
    assert_null(proc_read_cmdline(proc, &error));
    assert_gone(error);
}

static void
a_vanished_process_is_gone(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Proc) proc = proc_open(fixture->host, 42, NULL);
    GError *error = NULL;
    ProcStatus status;

    tree_remove(fixture->tree, "proc/42");
    assert_false(proc_is_alive(proc));
    assert_false(proc_read_status(proc, &status, &error));
    assert_gone(g_steal_pointer(&error));
    assert_null(proc_open(fixture->host, 42, &error));
    assert_gone(error);
}

static void
a_malformed_or_oversized_file_is_an_error(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Proc) proc = proc_open(fixture->host, 42, NULL);
    g_autofree char *many = g_malloc0(5000);
    GError *error = NULL;
    ProcStat stat;

    tree_bytes(fixture->tree, "proc/42/cmdline", many, 5000);
    assert_null(proc_read_cmdline(proc, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED));
    g_clear_error(&error);
    tree_file(fixture->tree, "proc/42/cmdline", "");
    assert_null(proc_read_cmdline(proc, &error));
    assert_gone(g_steal_pointer(&error));
    tree_file(fixture->tree, "proc/42/stat", "");
    assert_false(proc_read_stat(proc, &stat, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED));
    g_clear_error(&error);
    assert_null(proc_open(fixture->host, 42, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED));
    g_clear_error(&error);
}

static void
age_counts_from_boot(void **state)
{
    Fixture *fixture = *state;
    guint64 second = (guint64)sysconf(_SC_CLK_TCK);

    host_set_clock(fixture->host, 0, 100 * G_USEC_PER_SEC, 0);
    assert_int_equal(proc_age_us(fixture->host, 40 * second), 60 * G_USEC_PER_SEC);
    assert_int_equal(proc_age_us(fixture->host, 40 * second + second / 2),
                     59 * G_USEC_PER_SEC + G_USEC_PER_SEC / 2);
    assert_int_equal(proc_age_us(fixture->host, 101 * second), 0);
    assert_int_equal(proc_age_us(fixture->host, G_MAXUINT64), 0);
}

/* A child that waits to be killed; its end of a pipe says that its name is set. */
static pid_t
child_start(const char *comm)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, comm);
        close(ready[0]);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    return pid;
}

static void
a_real_process_is_followed_to_its_end(void **state)
{
    g_autoptr(Host) host = host_new(NULL, NULL);
    pid_t pid = child_start("a) R 1 (b");
    g_autoptr(Proc) proc = proc_open(host, pid, NULL);
    g_autofree char *comm = proc_peek_comm(host, pid);
    ProcStat stat;
    ProcStatus status;
    GError *error = NULL;
    siginfo_t info;

    assert_non_null(proc);
    assert_true(proc_is_alive(proc));
    assert_true(proc_read_stat(proc, &stat, NULL));
    assert_string_equal(stat.comm, "a) R 1 (b");
    assert_string_equal(comm, "a) R 1 (b");
    assert_int_equal(stat.ppid, getpid());
    assert_true(proc_age_us(host, stat.start_ticks) < 60 * G_USEC_PER_SEC);
    assert_true(proc_read_status(proc, &status, NULL));
    assert_true(status.has_rss);
    assert_true(status.rss_anon_bytes + status.rss_file_bytes > 0);
    assert_int_equal(status.uid, getuid());

    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(proc_is_alive(proc));
    assert_true(proc_read_status(proc, &status, NULL));
    assert_false(status.has_rss);

    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(proc_is_alive(proc));
    assert_false(proc_read_stat(proc, &stat, &error));
    assert_gone(g_steal_pointer(&error));
    assert_null(proc_read_cmdline(proc, &error));
    assert_gone(error);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(the_time_of_the_main_thread_is_read_in_full_or_not_at_all),
        cmocka_unit_test(status_gives_memory_by_kind),
        cmocka_unit_test(a_status_without_memory_is_not_zero_memory),
        test(a_process_of_a_fixture_tree_is_read),
        test(another_process_with_the_same_pid_is_not_ours),
        test(a_vanished_process_is_gone),
        test(a_malformed_or_oversized_file_is_an_error),
        test(age_counts_from_boot),
        cmocka_unit_test(a_real_process_is_followed_to_its_end),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(stat_rows) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(stat_rows); i++)
        tests[i] = t_row(stat_rows[i].name, stat_is_parsed, &stat_rows[i]);
    memcpy(tests + G_N_ELEMENTS(stat_rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
