/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "question.h"

#include <string.h>

static void
add(Questions *questions, QmpCommand command, gint64 asked_us, gint64 deadline_us)
{
    Question *question = g_new0(Question, 1);

    *question = (Question){.command = command, .asked_us = asked_us, .deadline_us = deadline_us};
    questions_add(questions, question);
}

static guint
count_lines(const GString *out)
{
    guint n = 0;

    for (const char *p = out->str; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void
clear(Questions *questions)
{
    g_queue_clear_full(&questions->queue, (GDestroyNotify)question_free);
}

static void
test_request_text(void **state)
{
    Questions questions = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    Question *question = g_new0(Question, 1);

    add(&questions, QMP_QUERY_BLOCKSTATS, 0, 1);
    *question = (Question){.command = QMP_QOM_GET, .arguments = g_strdup("{\"path\":\"/a\"}")};
    questions_add(&questions, question);
    questions_send(&questions, out);
    assert_string_equal(out->str, "{\"execute\":\"query-blockstats\",\"id\":1}\n"
                                  "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/a\"},"
                                  "\"id\":2}\n");
    questions_send(&questions, out);
    assert_int_equal(count_lines(out), 2);
    clear(&questions);
}

static void
test_window(void **state)
{
    Questions questions = {0};
    g_autoptr(GString) out = g_string_new(NULL);

    for (guint i = 0; i < 20; i++)
        add(&questions, QMP_QUERY_STATUS, 0, 1);
    questions_send(&questions, out);
    assert_int_equal(count_lines(out), 8);
    g_autoptr(Question) answered = questions_take(&questions, 5);
    assert_non_null(answered);
    assert_null(questions_take(&questions, 5));
    questions_send(&questions, out);
    assert_int_equal(count_lines(out), 9);
    clear(&questions);
}

static void
test_ids_are_unique_on_the_wire(void **state)
{
    Questions questions = {0};
    g_autoptr(GString) out = g_string_new(NULL);

    add(&questions, QMP_QUERY_VERSION, 0, 1);
    questions_send(&questions, out);
    for (guint i = 0; i < 25; i++) {
        add(&questions, QMP_QUERY_STATUS, 0, 1);
        questions_send(&questions, out);
        g_autoptr(Question) status = questions_take(&questions, questions.last_id);
        assert_int_equal(status->command, QMP_QUERY_STATUS);
    }
    g_autoptr(Question) version = questions_take(&questions, 1);
    assert_int_equal(version->command, QMP_QUERY_VERSION);
    assert_int_equal(questions.queue.length, 0);
}

static void
test_deadlines(void **state)
{
    Questions questions = {0};
    g_autoptr(GString) out = g_string_new(NULL);

    assert_int_equal(questions_nearest_deadline_us(&questions), -1);
    add(&questions, QMP_QUERY_STATUS, 1000, 500);
    add(&questions, QMP_QUERY_VERSION, 1000, 300);
    assert_int_equal(questions_nearest_deadline_us(&questions), 1300);
    assert_null(questions_take_expired(&questions, 1299));
    g_autoptr(Question) waiting = questions_take_expired(&questions, 1300);
    assert_int_equal(waiting->command, QMP_QUERY_VERSION);
    assert_int_equal(questions.n_late, 0);
    assert_int_equal(questions.queue.length, 1);

    questions_send(&questions, out);
    g_autoptr(Question) sent = questions_take_expired(&questions, 1500);
    assert_int_equal(sent->command, QMP_QUERY_STATUS);
    assert_int_equal(questions.n_late, 1);
    assert_int_equal(questions_late_since_us(&questions), 1000);
    assert_null(questions_take_expired(&questions, G_MAXINT64));
    assert_int_equal(questions_nearest_deadline_us(&questions), -1);
    g_autoptr(Question) late = questions_take(&questions, 1);
    assert_true(late->is_late);
    assert_int_equal(questions_late_since_us(&questions), 0);
    assert_int_equal(questions.n_late + questions.n_sent + questions.queue.length, 0);
}

static void
test_first_skips_late_ones(void **state)
{
    Questions questions = {0};
    g_autoptr(GString) out = g_string_new(NULL);

    add(&questions, QMP_QUERY_STATUS, 0, 1);
    add(&questions, QMP_QUERY_VERSION, 0, 9);
    questions_send(&questions, out);
    g_autoptr(Question) expired = questions_take_expired(&questions, 1);
    assert_int_equal(expired->command, QMP_QUERY_STATUS);
    g_autoptr(Question) open = questions_take_first(&questions);
    assert_int_equal(open->command, QMP_QUERY_VERSION);
    assert_null(questions_take_first(&questions));
    assert_int_equal(questions.n_late + questions.n_sent, 0);
}

static void
test_long_error_text(void **state)
{
    Question question = {.command = QMP_QUERY_STATUS};
    g_autofree char *text = g_strnfill(1000000, 'x');
    Message message = {.kind = MESSAGE_ERROR, .name = "GenericError", .text = text};
    g_autoptr(GError) error = question_command_error(&question, &message);

    assert_true(g_str_has_prefix(error->message, "GenericError: query-status: xxx"));
    assert_true(strlen(error->message) < 300);
    assert_int_equal(error->code, QMP_ERROR_COMMAND);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"a request is as short as it can be", test_request_text, NULL, NULL, NULL},
        {"at most eight questions are on the wire", test_window, NULL, NULL, NULL},
        {"an id on the wire is not used again", test_ids_are_unique_on_the_wire, NULL, NULL, NULL},
        {"a deadline passes to the microsecond", test_deadlines, NULL, NULL, NULL},
        {"a late question is not answered again", test_first_skips_late_ones, NULL, NULL, NULL},
        {"a megabyte of error is a sentence", test_long_error_text, NULL, NULL, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
