/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "descriptor.h"
#include "task.h"
#include "tree.h"

#include <string.h>
#include <sys/syscall.h>

/* What follows the system call's number, as Linux 6.18 prints it: six arguments, stack, place. */
#define ON_11 " 0xb 0x556b1c556ef0 0x10 0x10000 0x0 0x0 0x7fb0dd07b600 0x7fb13326bff8\n"

typedef struct {
    const char *name;
    long number; /* < 0: text as it is */
    const char *text;
    bool is_parsed;
    guint32 descriptor;
} SyscallRow;

static const SyscallRow syscall_rows[] = {
    {"a vectored write works on its descriptor", SYS_pwritev, ON_11, true, 11},
    {"a write works on its descriptor", SYS_pwrite64, ON_11, true, 11},
    {"a read works on its descriptor", SYS_preadv, ON_11, true, 11},
    {"a flush works on its descriptor", SYS_fdatasync, " 0x3fe 0x0 0x0\n", true, 1022},
    {"a discard works on its descriptor", SYS_fallocate, ON_11, true, 11},
    {"a wait for a futex works on no file", SYS_futex, ON_11, false, 0},
    {"a wait for descriptors works on no file", SYS_ppoll, ON_11, false, 0},
    {"a thread that runs is in no system call", -1, "running\n", false, 0},
    {"a thread of the kernel's own is in no system call", -1, "-1 0x0 0x0\n", false, 0},
    {"a number alone says nothing", SYS_pwrite64, "\n", false, 0},
    {"a descriptor that cannot be is none", SYS_pwrite64, " 0xffffffffffffffff 0x0\n", false, 0},
    {"an empty text says nothing", -1, "", false, 0},
};

static void
syscall_is_parsed(void **state)
{
    const SyscallRow *row = *state;
    g_autofree char *text =
        row->number < 0 ? g_strdup(row->text) : g_strdup_printf("%ld%s", row->number, row->text);
    guint32 descriptor = 77;

    assert_int_equal(task_parse_syscall(text, &descriptor), row->is_parsed);
    assert_int_equal(descriptor, row->is_parsed ? row->descriptor : 77);
}

typedef struct {
    Tree *tree;
    Host *host;
    Proc *proc;
} Fixture;

static void
add_task(Fixture *fixture, guint tid, char state, long number, guint descriptor)
{
    g_autofree char *stat_path = g_strdup_printf("42/task/%u/stat", tid);
    g_autofree char *syscall_path = g_strdup_printf("42/task/%u/syscall", tid);
    g_autofree char *stat = g_strdup_printf(
        "%u (CPU 0/KVM) %c 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n", tid, state);
    g_autofree char *syscall =
        g_strdup_printf("%ld 0x%x 0x0 0x0 0x0 0x0 0x0 0x1 0x2\n", number, descriptor);

    tree_file(fixture->tree, stat_path, stat);
    tree_file(fixture->tree, syscall_path, syscall);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "42/stat", "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    tree_link(fixture->tree, "42/fd/11", "/srv/guilty.img");
    tree_link(fixture->tree, "42/fd/12", "/srv/innocent.img");
    add_task(fixture, 42, 'S', SYS_ppoll, 11);
    add_task(fixture, 50, 'S', SYS_pwrite64, 12);
    roots[HOST_PROC] = tree_root(fixture->tree);
    fixture->host = host_new(roots, NULL);
    fixture->proc = proc_open(fixture->host, 42, NULL);
    assert_non_null(fixture->proc);
    *state = fixture;
    return 0;
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
only_a_thread_asleep_in_a_call_on_a_file_is_blocked(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GArray) tasks = NULL;
    bool is_complete = false;

    add_task(fixture, 47, 'D', SYS_pwritev, 11);
    add_task(fixture, 44, 'D', SYS_fdatasync, 11);
    add_task(fixture, 45, 'D', SYS_futex, 12);
    add_task(fixture, 46, 'R', SYS_pwritev, 12);
    add_task(fixture, 48, 'D', SYS_pwritev, 99);
    tasks = tasks_read_blocked(fixture->proc, &is_complete);
    assert_true(is_complete);
    assert_int_equal(tasks->len, 4);
    assert_int_equal(g_array_index(tasks, BlockedTask, 0).tid, 44);
    assert_string_equal(g_array_index(tasks, BlockedTask, 0).link, "/srv/guilty.img");
    assert_int_equal(g_array_index(tasks, BlockedTask, 1).tid, 47);
    assert_int_equal(g_array_index(tasks, BlockedTask, 2).tid, 48);
    assert_null(g_array_index(tasks, BlockedTask, 2).link);
    assert_int_equal(g_array_index(tasks, BlockedTask, 3).tid, 50); /* as Linux 6.1 does on FUSE */
}

static void
threads_without_end_are_not_read_to_it(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GArray) tasks = NULL;
    bool is_complete = true;

    for (guint tid = 100; tid < 700; tid++)
        add_task(fixture, tid, 'S', SYS_futex, 0);
    tasks = tasks_read_blocked(fixture->proc, &is_complete);
    assert_false(is_complete);
    assert_int_equal(tasks->len, 0);
}

static void
a_process_that_ended_has_no_threads(void **state)
{
    Fixture *fixture = *state;
    bool is_complete;

    tree_remove(fixture->tree, "42/task");
    assert_null(tasks_read_blocked(fixture->proc, &is_complete));
}

static void
descriptors_are_found_by_what_they_lead_to(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GArray) found = NULL;
    g_autofree char *link = descriptor_read_link(fixture->proc, 12);

    tree_link(fixture->tree, "42/fd/13", "/srv/guilty.img (deleted)");
    tree_link(fixture->tree, "42/fd/14", "/srv/guilty.img2");
    found = descriptors_find(fixture->proc, "/srv/guilty.img");
    assert_int_equal(found->len, 2);
    assert_int_equal(g_array_index(found, guint32, 0) + g_array_index(found, guint32, 1), 24);
    assert_string_equal(link, "/srv/innocent.img");
    assert_null(descriptor_read_link(fixture->proc, 15));
    tree_remove(fixture->tree, "42/fd");
    assert_null(descriptors_find(fixture->proc, "/srv/guilty.img"));
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest others[] = {
        test(only_a_thread_asleep_in_a_call_on_a_file_is_blocked),
        test(threads_without_end_are_not_read_to_it),
        test(a_process_that_ended_has_no_threads),
        test(descriptors_are_found_by_what_they_lead_to),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(syscall_rows) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(syscall_rows); i++)
        tests[i] = t_row(syscall_rows[i].name, syscall_is_parsed, &syscall_rows[i]);
    memcpy(tests + G_N_ELEMENTS(syscall_rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
