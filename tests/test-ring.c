/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "ring.h"
#include "tree.h"

#include <string.h>

/* As Linux 6.18 prints a ring of QEMU 7.2 with one write in flight. */
#define HEAD "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t240029\nSqMask:\t0x7f\n"
#define COUNTERS(taken, completed)                                                                 \
    "SqHead:\t" taken "\nSqTail:\t" taken "\nCachedSqHead:\t" taken                                \
    "\nCqMask:\t0xff\nCqHead:\t" completed "\nCqTail:\t" completed "\nCachedCqTail:\t" completed   \
    "\nSQEs:\t0\nCQEs:\t0\nSqThread:\t-1\nSqThreadCpu:\t-1\nUserFiles:\t0\nUserBufs:\t0\n"
#define TAIL "CqOverflowList:\nNAPI:\tdisabled\n"
#define POLL "  op=6, task_works=0\n"

typedef struct {
    const char *name, *text;
    bool is_parsed;
    Ring ring;
} RingRow;

static const RingRow rows[] = {
    {"a write in flight is told", HEAD COUNTERS("19", "18") "PollList:\n" TAIL, true, {1, 0, 18}},
    {"a quiet ring has nothing in flight",
     HEAD COUNTERS("26", "26") "PollList:\n" TAIL,
     true,
     {0, 0, 26}},
    {"both counters wrap",
     HEAD COUNTERS("2", "4294967294") "PollList:\n" TAIL,
     true,
     {4, 0, 4294967294u}},
    {"polls of an event loop are no requests",
     HEAD COUNTERS("12", "9") "PollList:\n" POLL POLL POLL TAIL,
     true,
     {0, 3, 9}},
    {"a request beside the polls is one",
     HEAD COUNTERS("12", "8") "PollList:\n" POLL POLL POLL TAIL,
     true,
     {1, 3, 8}},
    {"another operation in the list is a request",
     HEAD COUNTERS("12", "10") "PollList:\n  op=27, task_works=1\n" POLL TAIL,
     true,
     {1, 1, 10}},
    {"a list that the kernel could not walk is unknown", HEAD COUNTERS("19", "18"), false, {0}},
    {"a kernel without the counters is unknown",
     HEAD "SqThread:\t-1\nPollList:\n" TAIL,
     false,
     {0}},
    {"more completions than requests are unknown",
     HEAD COUNTERS("18", "19") "PollList:\n" TAIL,
     false,
     {0}},
    {"more polls than requests are unknown",
     HEAD COUNTERS("19", "18") "PollList:\n" POLL POLL TAIL,
     false,
     {0}},
    {"a counter that is no number is unknown",
     HEAD COUNTERS("", "18") "PollList:\n" TAIL,
     false,
     {0}},
    {"a counter that is too large is unknown",
     HEAD COUNTERS("4294967296", "18") "PollList:\n" TAIL,
     false,
     {0}},
    {"an empty text is unknown", "", false, {0}},
    {"a text that is cut is unknown", HEAD "CachedSqHead:\t19", false, {0}},
};

static void
ring_is_parsed(void **state)
{
    const RingRow *row = *state;
    Ring ring = {7, 7, 7};

    assert_int_equal(ring_parse(row->text, &ring), row->is_parsed);
    assert_int_equal(ring.inflight, row->is_parsed ? row->ring.inflight : 7);
    assert_int_equal(ring.polls, row->is_parsed ? row->ring.polls : 7);
    assert_int_equal(ring.completed, row->is_parsed ? row->ring.completed : 7);
}

typedef struct {
    Tree *tree;
    Host *host;
    Proc *proc;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "42/stat", "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    tree_link(fixture->tree, "42/fd/3", "/srv/vm.img");
    tree_link(fixture->tree, "42/fd/12", "anon_inode:[io_uring]");
    tree_file(fixture->tree, "42/fdinfo/12", HEAD COUNTERS("19", "18") "PollList:\n" TAIL);
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
rings_of_a_process_are_summed(void **state)
{
    Fixture *fixture = *state;
    Ring ring;

    tree_link(fixture->tree, "42/fd/15", "anon_inode:[io_uring]");
    tree_file(fixture->tree, "42/fdinfo/15", HEAD COUNTERS("5", "3") "PollList:\n" TAIL);
    assert_true(rings_read(fixture->proc, &ring));
    assert_int_equal(ring.inflight, 3);
    assert_int_equal(ring.completed, 21);
}

static void
a_ring_that_cannot_be_told_makes_all_unknown(void **state)
{
    Fixture *fixture = *state;
    Ring ring;

    tree_link(fixture->tree, "42/fd/15", "anon_inode:[io_uring]");
    assert_false(rings_read(fixture->proc, &ring));
    tree_file(fixture->tree, "42/fdinfo/15", HEAD COUNTERS("5", "3"));
    assert_false(rings_read(fixture->proc, &ring));
    /* an event loop's timeout looks like a request */
    tree_file(fixture->tree, "42/fdinfo/15", HEAD COUNTERS("5", "3") "PollList:\n" POLL TAIL);
    assert_false(rings_read(fixture->proc, &ring));
    tree_file(fixture->tree, "42/fdinfo/15", HEAD COUNTERS("5", "4") "PollList:\n" POLL TAIL);
    assert_true(rings_read(fixture->proc, &ring));
    assert_int_equal(ring.inflight, 1);
}

static void
a_process_without_a_ring_has_none(void **state)
{
    Fixture *fixture = *state;
    Ring ring;

    tree_remove(fixture->tree, "42/fd/12");
    assert_false(rings_read(fixture->proc, &ring));
    tree_remove(fixture->tree, "42/fd");
    assert_false(rings_read(fixture->proc, &ring));
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest others[] = {
        test(rings_of_a_process_are_summed),
        test(a_ring_that_cannot_be_told_makes_all_unknown),
        test(a_process_without_a_ring_has_none),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, ring_is_parsed, &rows[i]);
    memcpy(tests + G_N_ELEMENTS(rows), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
