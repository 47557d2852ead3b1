/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a monitor that does not answer in time is told to be, and what it costs. */

#include "t.h"

#include "sample-fixture.h"

static void
a_busy_monitor_holds_one_pending_connect_of_ours(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, false, NULL);
    fixture->vm->limits.hold_max_us = SHORT_US;
    fixture->period_us = 2 * SHORT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_DEAF);
    for (guint i = 0; i < 4; i++) {
        assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NO_GREETING);
        assert_non_null(fixture->vm->client);
    }
    /* it is our turn: the waiting connect is used, and left */
    fixture->vm->limits.hold_max_us = PATIENT_US;
    fixture->period_us = 20 * SECOND;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_TALKS);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

static void
silence_after_the_greeting_is_no_negotiation(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_HANGS);
    for (guint i = 0; i < 2; i++) {
        const Sample *sample = sample_fixture_take(fixture);

        assert_int_equal(sample->monitor, MONITOR_NO_NEGOTIATION);
        /* the deadline is the sample's: of the first one the connect took a part */
        assert_true(sample->waited_us > (i == 0 ? 0 : SHORT_US) && sample->waited_us < PATIENT_US);
    }
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
}

/* The greeting has just come when a sample begins: nothing is wrong. */
static void
a_handshake_in_the_making_is_no_silence(void **state)
{
    SampleFixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    sample_fixture_vm(fixture, false, NULL);
    fixture->vm->limits.hold_max_us = SHORT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_DEAF);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NO_GREETING);
    fixture->vm->limits.hold_max_us = PATIENT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_TALKS);
    while (qmp_client_stage(fixture->vm->client) == QMP_STAGE_GREETING &&
           g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(qmp_client_stage(fixture->vm->client), QMP_STAGE_NEGOTIATING);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

static void
silence_is_counted_from_the_question_not_the_connect(void **state)
{
    SampleFixture *fixture = *state;
    const Sample *sample;
    gint64 before_us;

    sample_fixture_vm(fixture, true, NULL);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    g_usleep(2 * SHORT_US); /* an old connection, as far as the clock of the client goes */
    fake_monitor_answer(fixture->monitor, "query-blockstats", NULL);
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    before_us = g_get_monotonic_time();
    sample = sample_fixture_take(fixture);
    assert_int_equal(sample->monitor, MONITOR_SILENT);
    assert_true(sample->waited_us >= SHORT_US);
    sample = sample_fixture_take(fixture);
    assert_int_equal(sample->monitor, MONITOR_SILENT);
    assert_true(sample->waited_us <= g_get_monotonic_time() - before_us);
    assert_false(sample->has_disks);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
    assert_non_null(fixture->vm->client_error);
}

static void
a_late_answer_ends_the_silence(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "query-blockstats", NULL);
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_SILENT);
    fixture->vm->limits.answer_deadline_us = PATIENT_US;
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[]");
    fake_monitor_send(fixture->monitor, "{\"return\": [], \"id\": 1}\n");
    sample_fixture_run_idle(fixture);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_null(fixture->vm->client_error);
}

static void
a_shared_monitor_that_is_silent_is_left_too(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, false, NULL);
    fixture->vm->limits.hold_max_us = SHORT_US;
    fake_monitor_answer(fixture->monitor, "query-blockstats", NULL);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_SILENT);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_SAMPLES(a_busy_monitor_holds_one_pending_connect_of_ours),
        WITH_SAMPLES(silence_after_the_greeting_is_no_negotiation),
        WITH_SAMPLES(a_handshake_in_the_making_is_no_silence),
        WITH_SAMPLES(silence_is_counted_from_the_question_not_the_connect),
        WITH_SAMPLES(a_late_answer_ends_the_silence),
        WITH_SAMPLES(a_shared_monitor_that_is_silent_is_left_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
