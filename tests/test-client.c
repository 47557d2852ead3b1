/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "arguments.h"
#include "client-fixture.h"

#include <string.h>
#include <sys/socket.h>

#define STATUS(id) "{\"execute\":\"query-status\",\"id\":" #id "}"
#define REPLY(id) "{\"return\": {}, \"id\": " #id "}\n"
#define EVENT                                                                                      \
    "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\", \"data\": {}}\n"

static int
setup(void **state)
{
    *state = client_fixture_new();
    return 0;
}

static int
teardown(void **state)
{
    client_fixture_free(*state);
    return 0;
}

static void
send_text(ClientFixture *fixture, const char *text)
{
    fake_qmp_send(fixture->fake, text, strlen(text));
}

static void
get_ready(ClientFixture *fixture)
{
    fake_qmp_greet(fixture->fake);
    client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
}

/* The first n questions reach the monitor and stay there. */
static void
expect_silently(ClientFixture *fixture, guint n)
{
    for (guint i = 1; i <= n; i++) {
        g_autofree char *line = g_strdup_printf("{\"execute\":\"query-status\",\"id\":%u}", i);
        fake_qmp_expect(fixture->fake, line, NULL);
    }
}

static void
test_asked_before_the_greeting(void **state)
{
    ClientFixture *fixture = *state;
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);

    client_fixture_run_idle(fixture);
    assert_int_equal(fake_qmp_lines(fixture->fake), 0);
    fake_qmp_greet(fixture->fake);
    fake_qmp_expect(fixture->fake, STATUS(1), REPLY(1));
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_true(answer->has_result);
    assert_true(answer->waited_us >= 0 && answer->waited_us < PATIENT_US);
    fake_qmp_check(fixture->fake);
}

/* As QEMU 7.2 prints with pretty=on. */
static void
test_pretty(void **state)
{
    ClientFixture *fixture = *state;
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);

    fake_qmp_set_chunk(fixture->fake, 1);
    send_text(fixture, "{\n    \"QMP\": {\n        \"version\": {\n            \"qemu\": {\n"
                       "                \"micro\": 22,\n                \"minor\": 2,\n"
                       "                \"major\": 7\n            },\n"
                       "            \"package\": \"\"\n        },\n"
                       "        \"capabilities\": [\n            \"oob\"\n        ]\n    }\n}\n");
    fake_qmp_expect(fixture->fake, FAKE_CAPABILITIES, "{\n    \"return\": {\n    }\n}\n");
    fake_qmp_expect(fixture->fake, STATUS(1),
                    "{\n    \"event\": \"STOP\"\n}\n" EVENT
                    "{\r\n    \"return\": {\n        \"a\": \"}\"\n    },\n    \"id\": 1\n}\n");
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_true(answer->has_result);
    fake_qmp_check(fixture->fake);
}

static void
test_pretty_without_end(void **state)
{
    ClientFixture *fixture = *state;
    g_autofree char *text = g_strnfill(11 * 1024 * 1024, ' ');
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);

    for (guint i = 1024; i < 11 * 1024 * 1024; i += 1024)
        text[i] = '\n';
    memcpy(text, "{\n", 2);
    fake_qmp_greet(fixture->fake);
    fake_qmp_expect(fixture->fake, STATUS(1), text);
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_int_equal(answer->code, QMP_ERROR_TOO_BIG);
}

static void
test_late_greeting(void **state)
{
    ClientFixture *fixture = *state;
    Answer *early = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, SHORT_US);

    client_fixture_run_until(fixture, &early->n, 1);
    assert_int_equal(early->code, QMP_ERROR_NO_GREETING);
    assert_non_null(strstr(early->text, "query-status"));
    /* What ran out of time before the greeting is never sent. */
    fake_qmp_greet(fixture->fake);
    fake_qmp_expect(fixture->fake, "{\"execute\":\"query-version\",\"id\":1}", REPLY(1));
    Answer *later = client_fixture_ask(fixture, 1, QMP_QUERY_VERSION, PATIENT_US);
    client_fixture_run_until(fixture, &later->n, 1);
    assert_true(later->has_result);
    fake_qmp_check(fixture->fake);
}

static void
test_late_answer(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    fake_qmp_expect(fixture->fake, STATUS(1), NULL);
    Answer *first = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, SHORT_US);
    client_fixture_run_until(fixture, &first->n, 1);
    assert_int_equal(first->code, QMP_ERROR_TIMEOUT);
    assert_int_equal(qmp_client_stage(fixture->client), QMP_STAGE_LATE);

    Answer *refused = client_fixture_ask(fixture, 1, QMP_QUERY_STATUS, PATIENT_US);
    assert_int_equal(refused->n, 1);
    assert_int_equal(refused->code, QMP_ERROR_TIMEOUT);
    client_fixture_run_idle(fixture);
    assert_int_equal(fake_qmp_lines(fixture->fake), 2);

    send_text(fixture, REPLY(1));
    client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
    fake_qmp_expect(fixture->fake, STATUS(2), REPLY(2));
    Answer *second = client_fixture_ask(fixture, 2, QMP_QUERY_STATUS, PATIENT_US);
    client_fixture_run_until(fixture, &second->n, 1);
    assert_true(second->has_result);
    assert_int_equal(first->n, 1);
    fake_qmp_check(fixture->fake);
}

static void
test_nothing_is_sent_while_late(void **state)
{
    ClientFixture *fixture = *state;
    Answer *answer = NULL;

    get_ready(fixture);
    expect_silently(fixture, 8);
    for (guint i = 0; i < 12; i++)
        answer = client_fixture_ask(fixture, i, QMP_QUERY_STATUS, SHORT_US);
    client_fixture_run_until(fixture, &answer->n, 1);
    for (guint i = 0; i < 12; i++)
        assert_int_equal(fixture->answers[i].code, QMP_ERROR_TIMEOUT);
    send_text(fixture, REPLY(1) REPLY(2) REPLY(3) REPLY(4) REPLY(5) REPLY(6) REPLY(7));
    client_fixture_run_idle(fixture);
    assert_int_equal(qmp_client_stage(fixture->client), QMP_STAGE_LATE);
    send_text(fixture, REPLY(8));
    client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
    client_fixture_run_idle(fixture);
    assert_int_equal(fake_qmp_lines(fixture->fake), 9);
    for (guint i = 0; i < 12; i++)
        assert_int_equal(fixture->answers[i].n, 1);
}

static void
test_what_waits_behind_a_late_answer(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    expect_silently(fixture, 8);
    Answer *late = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, 1000);
    for (guint i = 1; i <= 8; i++)
        client_fixture_ask(fixture, i, QMP_QUERY_STATUS, PATIENT_US);
    client_fixture_run_until(fixture, &late->n, 1);
    send_text(fixture, REPLY(2));
    client_fixture_run_until(fixture, &fixture->answers[1].n, 1);
    client_fixture_run_idle(fixture);
    assert_int_equal(fake_qmp_lines(fixture->fake), 9);
    /* There is room on the wire for the last one, and it goes out once nothing is late. */
    fake_qmp_expect(fixture->fake, STATUS(9), REPLY(9));
    send_text(fixture, REPLY(1));
    client_fixture_run_until(fixture, &fixture->answers[8].n, 1);
    assert_true(fixture->answers[8].has_result);
    fake_qmp_check(fixture->fake);
}

static void
test_in_time_although_we_were_late(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    fake_qmp_expect(fixture->fake, STATUS(1), NULL);
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, SHORT_US);
    gint64 end_us = g_get_monotonic_time() + SHORT_US;
    client_fixture_run_idle(fixture);
    /* The answer reaches our socket, and we get no time to read it before the deadline. */
    send_text(fixture, REPLY(1));
    fake_qmp_flush(fixture->fake);
    while (g_get_monotonic_time() <= end_us)
        ;
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_int_equal(answer->code, -1);
    assert_true(answer->waited_us >= SHORT_US);
}

static void
test_pipeline(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    fake_qmp_expect(fixture->fake, STATUS(1), NULL);
    fake_qmp_expect(fixture->fake, "{\"execute\":\"query-blockstats\",\"id\":2}", NULL);
    fake_qmp_expect(
        fixture->fake, "{\"execute\":\"query-block-jobs\",\"id\":3}",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"three\"}, \"id\": 3}\n" REPLY(2)
            EVENT REPLY(1) REPLY(1));
    guint reads = fake_qmp_reads(fixture->fake);
    Answer *status = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);
    Answer *stats = client_fixture_ask(fixture, 1, QMP_QUERY_BLOCKSTATS, PATIENT_US);
    Answer *jobs = client_fixture_ask(fixture, 2, QMP_QUERY_BLOCK_JOBS, PATIENT_US);
    assert_int_equal(qmp_client_open_questions(fixture->client), 3);
    client_fixture_run_until(fixture, &status->n, 1);
    client_fixture_run_idle(fixture);

    assert_int_equal(fake_qmp_reads(fixture->fake), reads + 1);
    assert_true(status->has_result && stats->has_result);
    assert_int_equal(jobs->code, QMP_ERROR_COMMAND);
    assert_string_equal(jobs->text, "GenericError: query-block-jobs: three");
    assert_int_equal(status->n + stats->n + jobs->n, 3);
    assert_int_equal(qmp_client_open_questions(fixture->client), 0);
    fake_qmp_check(fixture->fake);
}

static void
count_event(QmpClient *client, const char *event, JsonNode *body, gpointer data)
{
    guint *n_stops = data;

    assert_string_equal(event, "STOP");
    assert_true(JSON_NODE_HOLDS_OBJECT(body));
    ++*n_stops;
}

static void
test_events(void **state)
{
    ClientFixture *fixture = *state;
    guint n_stops = 0;

    qmp_client_set_event_func(fixture->client, count_event, &n_stops);
    get_ready(fixture);
    send_text(fixture, EVENT EVENT);
    client_fixture_run_until(fixture, &n_stops, 2);
    assert_int_equal(n_stops, 2);
    assert_int_equal(qmp_client_stage(fixture->client), QMP_STAGE_READY);
}

static void
test_refused_class(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    Answer *block = client_fixture_ask(fixture, 0, QMP_QUERY_BLOCK, PATIENT_US);
    Answer *virtio = client_fixture_ask(fixture, 1, QMP_VIRTIO_LIST, PATIENT_US);
    Answer *handshake = client_fixture_ask(fixture, 2, QMP_CAPABILITIES, PATIENT_US);
    assert_int_equal(block->code, QMP_ERROR_REFUSED);
    assert_int_equal(virtio->code, QMP_ERROR_REFUSED);
    assert_int_equal(handshake->code, QMP_ERROR_REFUSED);
    client_fixture_run_idle(fixture);
    assert_int_equal(fake_qmp_lines(fixture->fake), 1);

    qmp_client_set_class(fixture->client, QMP_CLASS_SUSPECT);
    fake_qmp_expect(fixture->fake, "{\"execute\":\"x-query-virtio\",\"id\":1}", REPLY(1));
    client_fixture_ask(fixture, 1, QMP_VIRTIO_LIST, PATIENT_US);
    assert_int_equal(client_fixture_ask(fixture, 0, QMP_QUERY_BLOCK, 1)->code, QMP_ERROR_REFUSED);
    client_fixture_run_until(fixture, &virtio->n, 2);
    assert_true(virtio->has_result);
    fake_qmp_check(fixture->fake);
}

static void
test_free_in_callback(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    fake_qmp_expect(fixture->fake, STATUS(1), REPLY(1) REPLY(2) EVENT);
    fake_qmp_expect(fixture->fake, STATUS(2), NULL);
    fake_qmp_expect(fixture->fake, STATUS(3), NULL);
    for (guint i = 0; i < 3; i++) {
        fixture->answers[i].frees_client = true;
        client_fixture_ask(fixture, i, QMP_QUERY_STATUS, PATIENT_US);
    }
    client_fixture_run_until(fixture, &fixture->answers[0].n, 1);
    fixture->client = NULL;
    assert_int_equal(fixture->answers[0].code, -1);
    for (guint i = 1; i < 3; i++) {
        assert_int_equal(fixture->answers[i].n, 1);
        assert_int_equal(fixture->answers[i].code, QMP_ERROR_CLOSED);
    }
}

static void
test_free_answers_first(void **state)
{
    ClientFixture *fixture = *state;
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);

    qmp_client_free(fixture->client);
    fixture->client = NULL;
    assert_int_equal(answer->n, 1);
    assert_int_equal(answer->code, QMP_ERROR_CLOSED);
}

static void
test_free_at_the_deadline(void **state)
{
    ClientFixture *fixture = *state;

    for (guint i = 0; i < 3; i++)
        client_fixture_ask(fixture, i, QMP_QUERY_STATUS, SHORT_US);
    fixture->answers[1].frees_client = true;
    client_fixture_run_until(fixture, &fixture->answers[2].n, 1);
    fixture->client = NULL;
    assert_int_equal(fixture->answers[0].code, QMP_ERROR_NO_GREETING);
    assert_int_equal(fixture->answers[1].code, QMP_ERROR_NO_GREETING);
    assert_int_equal(fixture->answers[2].code, QMP_ERROR_CLOSED);
    for (guint i = 0; i < 3; i++)
        assert_int_equal(fixture->answers[i].n, 1);
}

static void
test_free_at_the_end(void **state)
{
    ClientFixture *fixture = *state;

    for (guint i = 0; i < 3; i++)
        client_fixture_ask(fixture, i, QMP_QUERY_STATUS, PATIENT_US);
    fixture->answers[1].frees_client = true;
    fake_qmp_hang_up(fixture->fake);
    client_fixture_run_until(fixture, &fixture->answers[2].n, 1);
    fixture->client = NULL;
    for (guint i = 0; i < 3; i++) {
        assert_int_equal(fixture->answers[i].n, 1);
        assert_int_equal(fixture->answers[i].code, QMP_ERROR_CLOSED);
    }
}

static void
test_many(void **state)
{
    ClientFixture *fixture = *state;

    get_ready(fixture);
    for (guint i = 1; i <= 12000; i++) {
        g_autofree char *line = g_strdup_printf("{\"execute\":\"query-status\",\"id\":%u}", i % 10);
        g_autofree char *reply = g_strdup_printf("{\"return\": {}, \"id\": %u}\n", i % 10);
        fake_qmp_expect(fixture->fake, line, reply);
    }
    for (guint i = 0; i < 12000; i++)
        client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);
    client_fixture_run_until(fixture, &fixture->answers[0].n, 12000);
    client_fixture_run_idle(fixture);
    assert_int_equal(fixture->answers[0].n, 12000);
    assert_int_equal(fixture->answers[0].code, -1);
    fake_qmp_check(fixture->fake);
}

static void
test_partial_writes(void **state)
{
    ClientFixture *fixture = *state;
    g_autofree char *name = g_strnfill(300000, 'x');
    g_autofree char *arguments = qmp_arguments_path(name);
    g_autofree char *line =
        g_strdup_printf("{\"execute\":\"query-status\",\"arguments\":%s,\"id\":1}", arguments);
    int small = 1;

    assert_int_equal(setsockopt(fixture->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    get_ready(fixture);
    fake_qmp_expect(fixture->fake, line, REPLY(1));
    fake_qmp_expect(fixture->fake, STATUS(2), REPLY(2));
    client_fixture_ask_with(fixture, 0, QMP_QUERY_STATUS, arguments, PATIENT_US);
    Answer *answer = client_fixture_ask(fixture, 1, QMP_QUERY_STATUS, PATIENT_US);
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_int_equal(fixture->answers[0].n, 1);
    fake_qmp_check(fixture->fake);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"what is asked before the greeting is sent after it", test_asked_before_the_greeting,
         setup, teardown, NULL},
        {"messages over several lines are whole", test_pretty, setup, teardown, NULL},
        {"a message that never ends is dropped", test_pretty_without_end, setup, teardown, NULL},
        {"a late greeting is still waited for", test_late_greeting, setup, teardown, NULL},
        {"a late answer is dropped and the client is ready again", test_late_answer, setup,
         teardown, NULL},
        {"nothing is sent while an answer is late", test_nothing_is_sent_while_late, setup,
         teardown, NULL},
        {"what waits behind a late answer is sent after it", test_what_waits_behind_a_late_answer,
         setup, teardown, NULL},
        {"an answer that came in time counts however late we look",
         test_in_time_although_we_were_late, setup, teardown, NULL},
        {"pipelined questions leave in one write and get one answer each", test_pipeline, setup,
         teardown, NULL},
        {"events are handed over", test_events, setup, teardown, NULL},
        {"a command above the class is never sent", test_refused_class, setup, teardown, NULL},
        {"a callback may free the client", test_free_in_callback, setup, teardown, NULL},
        {"a callback may free the client at the deadline", test_free_at_the_deadline, setup,
         teardown, NULL},
        {"a callback may free the client at the end of the connection", test_free_at_the_end, setup,
         teardown, NULL},
        {"freeing answers before it returns", test_free_answers_first, setup, teardown, NULL},
        {"12,000 questions get 12,000 answers", test_many, setup, teardown, NULL},
        {"a request larger than the socket's buffer goes out whole", test_partial_writes, setup,
         teardown, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
