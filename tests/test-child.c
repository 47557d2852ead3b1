/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_US 20000
#define PATIENT_US (10 * G_USEC_PER_SEC)

typedef struct {
    GMainContext *context;
    Children *children;
    guint n_done, n_answers;
    GString *answer; /* the newest */
    int sockets[2];
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->context = g_main_context_new();
    fixture->children = children_new(fixture->context);
    fixture->answer = g_string_new(NULL);
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fixture->sockets);
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    children_free(fixture->children);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    g_main_context_unref(fixture->context);
    g_string_free(fixture->answer, TRUE);
    close(fixture->sockets[0]);
    close(fixture->sockets[1]);
    g_free(fixture);
    return 0;
}

static void
on_done(const char *answer, gsize length, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_done++;
    if (!answer)
        return;
    fixture->n_answers++;
    g_string_truncate(fixture->answer, 0);
    g_string_append_len(fixture->answer, answer, (gssize)length);
}

static bool
run_child(Fixture *fixture, ChildFunc run, gint64 deadline_us)
{
    ChildCall call = {.run = run,
                      .done = on_done,
                      .data = fixture,
                      .keep_fds = {fixture->sockets[1]},
                      .deadline_us = deadline_us};

    return children_run(fixture->children, &call);
}

static void
iterate_until_done(Fixture *fixture, guint wanted)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    while (fixture->n_done < wanted && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(fixture->n_done, wanted);
}

static void
iterate_until_ended(Fixture *fixture)
{
    while (children_running(fixture->children) > 0)
        g_main_context_iteration(fixture->context, TRUE);
}

/* What runs in the children. */

static void
say_two_things(int answer_fd, gconstpointer data)
{
    static const char words[] = "one\0two";

    (void)!write(answer_fd, words, 3);
    (void)!write(answer_fd, words + 3, sizeof words - 3);
}

static void
say_nothing(int answer_fd, gconstpointer data)
{
}

static void
say_too_much(int answer_fd, gconstpointer data)
{
    static const char block[CHILD_ANSWER_MAX] = {'x'};

    for (;;)
        (void)!write(answer_fd, block, sizeof block);
}

static void
hang(int answer_fd, gconstpointer data)
{
    (void)!write(answer_fd, "half", 4);
    for (;;)
        pause();
}

static void
crash(int answer_fd, gconstpointer data)
{
    (void)!write(answer_fd, "half", 4);
    raise(SIGKILL);
}

static void
give_up(int answer_fd, gconstpointer data)
{
    (void)!write(answer_fd, "half", 4);
    _exit(1);
}

static void
count_descriptors(int answer_fd, gconstpointer data)
{
    const Fixture *fixture = data;
    guint8 counts[2] = {0};

    for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
        counts[0] += fcntl(fd, F_GETFD) >= 0;
    counts[1] = fcntl(fixture->sockets[1], F_GETFD) >= 0;
    (void)!write(answer_fd, counts, sizeof counts);
}

/* The tests. */

static void
a_child_answers_once(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_child(fixture, say_two_things, PATIENT_US));
    iterate_until_done(fixture, 1);
    assert_int_equal(fixture->answer->len, 8);
    assert_memory_equal(fixture->answer->str, "one\0two", 8);
    iterate_until_ended(fixture);
    assert_int_equal(fixture->n_done, 1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
    assert_int_equal(errno, ECHILD);
}

static void
an_empty_answer_is_an_answer(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_child(fixture, say_nothing, PATIENT_US));
    iterate_until_done(fixture, 1);
    assert_int_equal(fixture->n_answers, 1);
    assert_int_equal(fixture->answer->len, 0);
}

static void
a_long_answer_is_cut_and_its_child_ended(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_child(fixture, say_too_much, PATIENT_US));
    iterate_until_done(fixture, 1);
    assert_int_equal(fixture->n_answers, 1);
    assert_int_equal(fixture->answer->len, CHILD_ANSWER_MAX);
    iterate_until_ended(fixture);
    assert_int_equal(fixture->n_done, 1);
}

static void
half_an_answer_is_none(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_child(fixture, crash, PATIENT_US));
    assert_true(run_child(fixture, give_up, PATIENT_US));
    iterate_until_done(fixture, 2);
    assert_int_equal(fixture->n_answers, 0);
}

static void
a_late_child_is_killed(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_child(fixture, hang, SHORT_US));
    assert_true(run_child(fixture, say_two_things, PATIENT_US));
    iterate_until_done(fixture, 2);
    assert_int_equal(fixture->n_answers, 1);
    assert_int_equal(children_open(fixture->children), 0);
    iterate_until_ended(fixture);
    assert_int_equal(fixture->n_done, 2);
}

static void
hanging_children_are_bounded(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < CHILD_STUCK_MAX; i++)
        assert_true(run_child(fixture, hang, PATIENT_US));
    assert_false(run_child(fixture, say_nothing, PATIENT_US));
    assert_int_equal(children_running(fixture->children), CHILD_STUCK_MAX);
    assert_int_equal(children_open(fixture->children), CHILD_STUCK_MAX);
    assert_int_equal(fixture->n_done, 0);
}

static void
a_child_holds_none_of_our_connections(void **state)
{
    Fixture *fixture = *state;
    char byte;

    assert_true(run_child(fixture, count_descriptors, PATIENT_US));
    iterate_until_done(fixture, 1);
    assert_int_equal(fixture->answer->len, 2);
    assert_int_equal(fixture->answer->str[0], 2); /* its answer, and what it was given */
    assert_int_equal(fixture->answer->str[1], 1);

    /* the far end of a connection sees us leave, although a child hangs */
    assert_true(run_child(fixture, hang, PATIENT_US));
    close(fixture->sockets[0]);
    fixture->sockets[0] = -1;
    assert_int_equal(recv(fixture->sockets[1], &byte, 1, 0), 0);
}

static void
nothing_is_started_without_descriptors(void **state)
{
    Fixture *fixture = *state;
    struct rlimit limit, none = {.rlim_cur = 0};

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_false(run_child(fixture, say_nothing, PATIENT_US));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(children_running(fixture->children), 0);
}

static void
what_is_open_at_the_end_is_answered(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_child(fixture, hang, PATIENT_US));
    assert_true(run_child(fixture, hang, SHORT_US));
    iterate_until_done(fixture, 1);
    g_clear_pointer(&fixture->children, children_free);
    assert_int_equal(fixture->n_done, 2); /* the late one was told already */
    assert_int_equal(fixture->n_answers, 0);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        row(a_child_answers_once),
        row(an_empty_answer_is_an_answer),
        row(a_long_answer_is_cut_and_its_child_ended),
        row(half_an_answer_is_none),
        row(a_late_child_is_killed),
        row(hanging_children_are_bounded),
        row(a_child_holds_none_of_our_connections),
        row(nothing_is_started_without_descriptors),
        row(what_is_open_at_the_end_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
