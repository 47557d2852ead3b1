/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "worker.h"

#include <poll.h>
#include <unistd.h>

#define THREADS_MAX 3
/* Of a call that will be held until its test lets it go. */
#define SHORT_US 20000
/* Of a call that will come back: only a broken worker lets a test wait so long. */
#define PATIENT_US (10 * G_USEC_PER_SEC)

/* A call that a test can hold: it waits until the gate's other end is closed. Counters are touched
 * by threads. */
typedef struct {
    int gate[2];
    gint n_runs, n_data_freed, n_results_freed;
} Gate;

typedef struct {
    guint n_done, n_late;
    gpointer result;
} Done;

typedef struct {
    GMainContext *context;
    Workers *workers;
    Gate gate;
    Done done;
    guint n_calls; /* started and refused ones: the data of each is freed */
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->context = g_main_context_new();
    fixture->workers = workers_new(fixture->context, THREADS_MAX);
    return pipe(fixture->gate.gate);
}

static void
gate_open(Gate *gate)
{
    if (gate->gate[1] >= 0)
        close(gate->gate[1]);
    gate->gate[1] = -1;
}

static void
wait_for_counter(const gint *counter, gint wanted)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    while (g_atomic_int_get(counter) < wanted && g_get_monotonic_time() < end_us)
        g_usleep(1000);
    assert_int_equal(g_atomic_int_get(counter), wanted);
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    gate_open(&fixture->gate);
    workers_free(fixture->workers);
    wait_for_counter(&fixture->gate.n_data_freed, (gint)fixture->n_calls);
    g_main_context_unref(fixture->context);
    close(fixture->gate.gate[0]);
    g_free(fixture);
    return 0;
}

/* In the thread. */
static gpointer
hold(gpointer data)
{
    Gate *gate = data;
    struct pollfd closed = {.fd = gate->gate[0], .events = POLLIN};

    g_atomic_int_inc(&gate->n_runs);
    while (poll(&closed, 1, -1) < 0)
        ;
    return gate;
}

static gpointer
hold_and_find_nothing(gpointer data)
{
    (void)hold(data);
    return NULL;
}

static void
count_data(gpointer data)
{
    g_atomic_int_inc(&((Gate *)data)->n_data_freed);
}

static void
count_result(gpointer data)
{
    g_atomic_int_inc(&((Gate *)data)->n_results_freed);
}

static void
on_done(gpointer result, bool is_late, gpointer user_data)
{
    Done *done = user_data;

    done->n_done++;
    done->n_late += is_late;
    done->result = result;
}

static bool
run_call(Fixture *fixture, const char *target, WorkerFunc run, gint64 deadline_us)
{
    WorkerCall call = {.run = run,
                       .data = &fixture->gate,
                       .free_data = count_data,
                       .free_result = count_result,
                       .done = on_done,
                       .user_data = &fixture->done,
                       .deadline_us = deadline_us};

    fixture->n_calls++;
    return workers_run(fixture->workers, target, &call);
}

static bool
run_held(Fixture *fixture, const char *target, gint64 deadline_us)
{
    return run_call(fixture, target, hold, deadline_us);
}

static void
iterate_until(Fixture *fixture, const guint *counter, guint wanted)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    while (*counter < wanted && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(*counter, wanted);
}

/* Until a target that was stuck is free again. */
static void
iterate_until_idle(Fixture *fixture, const char *target)
{
    while (workers_is_busy(fixture->workers, target))
        g_main_context_iteration(fixture->context, TRUE);
}

static void
a_call_brings_its_result_once(void **state)
{
    Fixture *fixture = *state;

    gate_open(&fixture->gate);
    assert_true(run_held(fixture, "a", PATIENT_US));
    iterate_until(fixture, &fixture->done.n_done, 1);
    assert_ptr_equal(fixture->done.result, &fixture->gate);
    assert_int_equal(fixture->done.n_late, 0);
    assert_false(workers_is_busy(fixture->workers, "a"));
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
    assert_int_equal(fixture->done.n_done, 1);
    assert_int_equal(fixture->gate.n_data_freed, 1);
    assert_int_equal(fixture->gate.n_results_freed, 0);
}

static void
nothing_found_is_an_answer_too(void **state)
{
    Fixture *fixture = *state;

    gate_open(&fixture->gate);
    fixture->done.result = fixture;
    assert_true(run_call(fixture, "a", hold_and_find_nothing, PATIENT_US));
    iterate_until(fixture, &fixture->done.n_done, 1);
    assert_null(fixture->done.result);
    assert_int_equal(fixture->done.n_late, 0);
}

static void
a_target_has_one_call_in_flight(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_held(fixture, "a", PATIENT_US));
    assert_true(workers_is_busy(fixture->workers, "a"));
    assert_false(run_held(fixture, "a", PATIENT_US));
    assert_int_equal(fixture->gate.n_data_freed, 1); /* of the refused one */
    assert_true(run_held(fixture, "b", PATIENT_US)); /* the innocent neighbour */
    gate_open(&fixture->gate);
    iterate_until(fixture, &fixture->done.n_done, 2);
}

static void
a_stuck_call_is_set_aside_and_not_started_again(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_held(fixture, "a", SHORT_US));
    iterate_until(fixture, &fixture->done.n_done, 1);
    assert_int_equal(fixture->done.n_late, 1);
    assert_null(fixture->done.result);
    assert_int_equal(workers_stuck(fixture->workers), 1);
    assert_true(workers_is_busy(fixture->workers, "a"));
    assert_false(run_held(fixture, "a", SHORT_US));
    wait_for_counter(&fixture->gate.n_runs, 1);

    gate_open(&fixture->gate);
    iterate_until_idle(fixture, "a");
    assert_int_equal(workers_stuck(fixture->workers), 0);
    assert_int_equal(fixture->done.n_done, 1); /* what came too late is freed, not told */
    wait_for_counter(&fixture->gate.n_results_freed, 1);
    assert_true(run_held(fixture, "a", PATIENT_US));
    iterate_until(fixture, &fixture->done.n_done, 2);
    assert_int_equal(fixture->done.n_late, 1);
}

static void
threads_are_bounded_stuck_ones_included(void **state)
{
    static const char *const targets[THREADS_MAX] = {"a", "b", "c"};
    Fixture *fixture = *state;

    for (guint i = 0; i < THREADS_MAX; i++)
        assert_true(run_held(fixture, targets[i], SHORT_US));
    assert_false(run_held(fixture, "d", SHORT_US));
    iterate_until(fixture, &fixture->done.n_done, THREADS_MAX);
    assert_int_equal(workers_stuck(fixture->workers), THREADS_MAX);
    assert_false(run_held(fixture, "d", SHORT_US));
    assert_false(workers_is_busy(fixture->workers, "d"));
    wait_for_counter(&fixture->gate.n_runs, THREADS_MAX);
}

static void
the_end_does_not_wait_for_stuck_threads(void **state)
{
    Fixture *fixture = *state;

    assert_true(run_held(fixture, "a", SHORT_US));
    assert_true(run_held(fixture, "b", PATIENT_US));
    iterate_until(fixture, &fixture->done.n_done, 1);
    wait_for_counter(&fixture->gate.n_runs, 2);
    g_clear_pointer(&fixture->workers, workers_free);
    gate_open(&fixture->gate);
    wait_for_counter(&fixture->gate.n_results_freed, 2);
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
    assert_int_equal(fixture->done.n_done, 1); /* b is not told any more */
}

static void
a_result_that_waits_at_the_end_is_freed(void **state)
{
    Fixture *fixture = *state;

    gate_open(&fixture->gate);
    assert_true(run_held(fixture, "a", PATIENT_US));
    wait_for_counter(&fixture->gate.n_data_freed, 1);
    g_clear_pointer(&fixture->workers, workers_free);
    wait_for_counter(&fixture->gate.n_results_freed, 1);
    assert_int_equal(fixture->done.n_done, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_brings_its_result_once, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(nothing_found_is_an_answer_too, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_target_has_one_call_in_flight, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_stuck_call_is_set_aside_and_not_started_again,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(threads_are_bounded_stuck_ones_included, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(the_end_does_not_wait_for_stuck_threads, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_result_that_waits_at_the_end_is_freed, fixture_set_up,
                                        fixture_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
