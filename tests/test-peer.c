/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "client-fixture.h"

#include <string.h>

/* Every way a monitor may treat the first question, and what the client makes of it. */

#define STATUS_1 "{\"execute\":\"query-status\",\"id\":1}"

/* One peer, one question, one answer. NULL: the peer stays silent from there on. */
typedef struct {
    const char *name;
    const char *greeting, *capabilities, *answer;
    bool hangs_up;
    int code; /* -1: a result */
    QmpStage stage;
} Peer;

#define OK_CAPABILITIES FAKE_GREETING, "{\"return\": {}}\n"

static const Peer peers[] = {
    {"a good peer answers", OK_CAPABILITIES, "{\"return\": {}, \"id\": 1}\n", false, -1,
     QMP_STAGE_READY},
    {"a peer that says nothing gives no greeting", NULL, NULL, NULL, false, QMP_ERROR_NO_GREETING,
     QMP_STAGE_GREETING},
    {"half a greeting is none", "{\"QMP\": {", NULL, NULL, false, QMP_ERROR_NO_GREETING,
     QMP_STAGE_GREETING},
    {"a reply before the greeting answers nothing", "{\"return\": {}, \"id\": 1}\n", NULL, NULL,
     false, QMP_ERROR_NO_GREETING, QMP_STAGE_GREETING},
    {"a peer that only greets did not negotiate", FAKE_GREETING, NULL, NULL, false,
     QMP_ERROR_NO_NEGOTIATION, QMP_STAGE_NEGOTIATING},
    {"a peer that refuses to negotiate is left", FAKE_GREETING,
     "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}}\n", NULL, false,
     QMP_ERROR_NO_NEGOTIATION, QMP_STAGE_CLOSED},
    {"a reply with an id is no handshake", FAKE_GREETING, "{\"return\": {}, \"id\": 1}\n", NULL,
     false, QMP_ERROR_NO_NEGOTIATION, QMP_STAGE_NEGOTIATING},
    {"a peer that only negotiates is late", OK_CAPABILITIES, NULL, false, QMP_ERROR_TIMEOUT,
     QMP_STAGE_LATE},
    {"a greeting of garbage ends it", "SSH-2.0-OpenSSH\n", NULL, NULL, false, QMP_ERROR_MALFORMED,
     QMP_STAGE_CLOSED},
    {"an answer of garbage ends it", OK_CAPABILITIES, "\x1b[2J\xff\n", false, QMP_ERROR_MALFORMED,
     QMP_STAGE_CLOSED},
    {"two answers on a line end it", OK_CAPABILITIES,
     "{\"return\": {}, \"id\": 1} {\"return\": {}, \"id\": 1}\n", false, QMP_ERROR_MALFORMED,
     QMP_STAGE_CLOSED},
    {"an unknown id answers nothing", OK_CAPABILITIES, "{\"return\": {}, \"id\": 7}\n", false,
     QMP_ERROR_TIMEOUT, QMP_STAGE_LATE},
    {"an id of another type answers nothing", OK_CAPABILITIES, "{\"return\": {}, \"id\": \"1\"}\n",
     false, QMP_ERROR_TIMEOUT, QMP_STAGE_LATE},
    {"a huge id answers nothing", OK_CAPABILITIES,
     "{\"return\": {}, \"id\": 18446744073709551617}\n", false, QMP_ERROR_TIMEOUT, QMP_STAGE_LATE},
    {"a reply without id answers nothing", OK_CAPABILITIES, "{\"return\": {}}\n", false,
     QMP_ERROR_TIMEOUT, QMP_STAGE_LATE},
    {"a second greeting and a request answer nothing", OK_CAPABILITIES,
     FAKE_GREETING "{\"execute\": \"quit\", \"id\": 1}\n", false, QMP_ERROR_TIMEOUT,
     QMP_STAGE_LATE},
    {"an unknown id hides no answer", OK_CAPABILITIES,
     "{\"return\": 1, \"id\": 2}\n{\"return\": 2, \"id\": 1}\n", false, -1, QMP_STAGE_READY},
    {"an error without id ends it", OK_CAPABILITIES,
     "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\n", false,
     QMP_ERROR_MALFORMED, QMP_STAGE_CLOSED},
    {"an error is an answer", OK_CAPABILITIES,
     "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 1}\n", false,
     QMP_ERROR_COMMAND, QMP_STAGE_READY},
    {"an error without words is an answer", OK_CAPABILITIES, "{\"error\": {}, \"id\": 1}\n", false,
     QMP_ERROR_COMMAND, QMP_STAGE_READY},
    {"a peer that hangs up at once is closed", NULL, NULL, NULL, true, QMP_ERROR_CLOSED,
     QMP_STAGE_CLOSED},
    {"a peer that hangs up after its greeting is closed", FAKE_GREETING, NULL, NULL, true,
     QMP_ERROR_CLOSED, QMP_STAGE_CLOSED},
    {"a peer that hangs up in mid-answer is closed", OK_CAPABILITIES, "{\"return\": {", true,
     QMP_ERROR_CLOSED, QMP_STAGE_CLOSED},
    {"an answer before the end counts", OK_CAPABILITIES, "{\"return\": {}, \"id\": 1}\n", true, -1,
     QMP_STAGE_CLOSED},
};

static void
test_peer(void **state)
{
    const Peer *row = *state;
    ClientFixture *fixture = client_fixture_new();
    bool is_deadline = row->code == QMP_ERROR_NO_GREETING || row->code == QMP_ERROR_TIMEOUT ||
                       row->stage == QMP_STAGE_NEGOTIATING;

    if (row->greeting)
        fake_qmp_send(fixture->fake, row->greeting, strlen(row->greeting));
    if (row->greeting && strstr(row->greeting, FAKE_GREETING))
        fake_qmp_expect(fixture->fake, FAKE_CAPABILITIES, row->capabilities);
    if (row->stage == QMP_STAGE_NEGOTIATING)
        client_fixture_run_to_stage(fixture, QMP_STAGE_NEGOTIATING);
    if (row->stage == QMP_STAGE_LATE)
        client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
    bool is_asked = row->answer || row->stage == QMP_STAGE_LATE;
    if (is_asked)
        fake_qmp_expect(fixture->fake, STATUS_1, row->answer);
    if (row->hangs_up)
        fake_qmp_hang_up(fixture->fake);
    Answer *answer =
        client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, is_deadline ? SHORT_US : PATIENT_US);
    client_fixture_run_until(fixture, &answer->n, 1);
    if (row->stage == QMP_STAGE_CLOSED)
        client_fixture_run_to_stage(fixture, QMP_STAGE_CLOSED);

    assert_int_equal(answer->code, row->code);
    assert_true(answer->has_result == (row->code == -1));
    if (is_deadline)
        assert_true(answer->waited_us >= SHORT_US);
    assert_int_equal(qmp_client_stage(fixture->client), row->stage);
    assert_int_equal(qmp_client_open_questions(fixture->client), 0);
    fake_qmp_check(fixture->fake);
    client_fixture_free(fixture);
}

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
test_drip(void **state)
{
    ClientFixture *fixture = *state;

    fake_qmp_set_chunk(fixture->fake, 1);
    fake_qmp_greet(fixture->fake);
    fake_qmp_expect(fixture->fake, STATUS_1, "{\"return\": {}, \"id\": 1}\n");
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_true(answer->has_result);
}

static void
test_endless_drip(void **state)
{
    ClientFixture *fixture = *state;
    g_autofree char *spaces = g_strnfill(8000, ' ');

    fake_qmp_set_chunk(fixture->fake, 1);
    fake_qmp_send(fixture->fake, spaces, 8000);
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, 1000);
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_int_equal(answer->code, QMP_ERROR_NO_GREETING);
}

static void
test_one_line_without_end(void **state)
{
    ClientFixture *fixture = *state;
    gsize length = 11 * 1024 * 1024;
    g_autofree char *endless = g_strnfill(length, 'a');

    fake_qmp_greet(fixture->fake);
    client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);
    fake_qmp_expect(fixture->fake, STATUS_1, NULL);
    fake_qmp_send(fixture->fake, endless, length);
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_int_equal(answer->code, QMP_ERROR_TOO_BIG);
    assert_int_equal(qmp_client_stage(fixture->client), QMP_STAGE_CLOSED);
}

static void
test_nested_brackets(void **state)
{
    ClientFixture *fixture = *state;
    g_autoptr(GString) line = g_string_new("{\"id\": 1, \"return\": ");

    for (guint i = 0; i < 80000; i++)
        g_string_append_c(line, '[');
    for (guint i = 0; i < 80000; i++)
        g_string_append_c(line, ']');
    g_string_append(line, "}\n");
    fake_qmp_greet(fixture->fake);
    client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
    fake_qmp_expect(fixture->fake, STATUS_1, line->str);
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);
    client_fixture_run_until(fixture, &answer->n, 1);
    assert_int_equal(answer->code, QMP_ERROR_MALFORMED);
}

static void
test_flood(void **state)
{
    ClientFixture *fixture = *state;
    g_autoptr(GString) flood = g_string_new(NULL);

    for (guint i = 0; i < 40000; i++)
        g_string_append(flood, "{\"event\": \"RESET\"}\n");
    fake_qmp_greet(fixture->fake);
    client_fixture_run_to_stage(fixture, QMP_STAGE_READY);
    fake_qmp_send(fixture->fake, flood->str, flood->len);
    client_fixture_run_to_stage(fixture, QMP_STAGE_CLOSED);
    Answer *answer = client_fixture_ask(fixture, 0, QMP_QUERY_STATUS, PATIENT_US);
    assert_int_equal(answer->code, QMP_ERROR_CLOSED);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"a drip of single bytes is put together", test_drip, setup, teardown, NULL},
        {"a peer that drips for ever meets the deadline", test_endless_drip, setup, teardown, NULL},
        {"11 MiB without a newline end it", test_one_line_without_end, setup, teardown, NULL},
        {"80,000 nested brackets end it", test_nested_brackets, setup, teardown, NULL},
        {"a flood of events ends it", test_flood, setup, teardown, NULL},
    };
    enum { N_TESTS = G_N_ELEMENTS(tests), N_PEERS = G_N_ELEMENTS(peers) };
    struct CMUnitTest all[N_TESTS + N_PEERS];

    memcpy(all, tests, sizeof(tests));
    for (guint i = 0; i < N_PEERS; i++)
        all[N_TESTS + i] = t_row(peers[i].name, test_peer, &peers[i]);
    return cmocka_run_group_tests(all, NULL, NULL);
}
