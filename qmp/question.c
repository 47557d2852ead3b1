/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "question.h"

#include <string.h>

/* At most so many on the wire: QEMU queues 8 requests and then stops reading the socket. */
#define WIRE_MAX 8
/* Ids are one digit: QEMU pays 4 us for each byte of a request. */
#define IDS 10
G_STATIC_ASSERT(IDS > WIRE_MAX);
/* Of an error's class and text: QEMU's are one sentence, a hostile one may have 10 MiB. */
#define ERROR_TEXT_BYTES 200

void
question_free(Question *question)
{
    if (!question)
        return;
    g_free(question->arguments);
    g_free(question);
}

static char *
dup_error_text(const char *text)
{
    return text ? g_utf8_make_valid(text, strnlen(text, ERROR_TEXT_BYTES)) : g_strdup("unknown");
}

GError *
question_command_error(const Question *question, const Message *message)
{
    const char *name = qmp_command_info(question->command)->name;
    g_autofree char *class = dup_error_text(message->name);
    g_autofree char *text = dup_error_text(message->text);

    return g_error_new(QMP_ERROR, QMP_ERROR_COMMAND, "%s: %s: %s", class, name, text);
}

GError *
question_deadline_error(const Question *question, QmpStage stage)
{
    const char *name = qmp_command_info(question->command)->name;
    const char *missing = "not sent, an earlier answer did not come";
    QmpError code = QMP_ERROR_TIMEOUT;

    if (stage == QMP_STAGE_GREETING) {
        code = QMP_ERROR_NO_GREETING;
        missing = "no greeting";
    } else if (stage == QMP_STAGE_NEGOTIATING) {
        code = QMP_ERROR_NO_NEGOTIATION;
        missing = "greeted, but no answer to qmp_capabilities";
    } else if (question->is_sent) {
        missing = "no answer";
    }
    return g_error_new(QMP_ERROR, code, "%s: %s within %" G_GINT64_FORMAT " ms", name, missing,
                       question->deadline_us / 1000);
}

void
questions_add(Questions *questions, Question *question)
{
    question->deadline_at_us = question->asked_us + question->deadline_us;
    g_queue_push_tail(&questions->queue, question);
}

static GList *
find_sent(const Questions *questions, gint64 id)
{
    for (GList *link = questions->queue.head; link; link = link->next) {
        const Question *question = link->data;
        if (!question->is_sent)
            return NULL;
        if (question->id == id)
            return link;
    }
    return NULL;
}

static void
send_one(Questions *questions, Question *question, GString *out)
{
    do {
        questions->last_id = (questions->last_id + 1) % IDS;
    } while (find_sent(questions, questions->last_id));
    question->id = questions->last_id;
    question->is_sent = true;
    questions->n_sent++;
    g_string_append_printf(out, "{\"execute\":\"%s\"", qmp_command_info(question->command)->name);
    if (question->arguments)
        g_string_append_printf(out, ",\"arguments\":%s", question->arguments);
    g_string_append_printf(out, ",\"id\":%u}\n", question->id);
    g_clear_pointer(&question->arguments, g_free);
}

void
questions_send(Questions *questions, GString *out)
{
    if (questions->n_sent == questions->queue.length)
        return;
    for (GList *link = questions->queue.head; link && questions->n_sent < WIRE_MAX;
         link = link->next) {
        Question *question = link->data;
        if (!question->is_sent)
            send_one(questions, question, out);
    }
}

static Question *
take_link(Questions *questions, GList *link)
{
    Question *question = link->data;

    g_queue_delete_link(&questions->queue, link);
    questions->n_sent -= question->is_sent;
    questions->n_late -= question->is_late;
    return question;
}

Question *
questions_take(Questions *questions, gint64 id)
{
    GList *link = find_sent(questions, id);

    return link ? take_link(questions, link) : NULL;
}

Question *
questions_take_expired(Questions *questions, gint64 now_us)
{
    for (GList *link = questions->queue.head; link; link = link->next) {
        Question *question = link->data;
        if (question->is_late || question->deadline_at_us > now_us)
            continue;
        if (!question->is_sent)
            return take_link(questions, link);
        Question *late = g_new0(Question, 1);
        *late = (Question){.command = question->command,
                           .id = question->id,
                           .asked_us = question->asked_us,
                           .is_sent = true,
                           .is_late = true};
        link->data = late;
        questions->n_late++;
        return question;
    }
    return NULL;
}

Question *
questions_take_first(Questions *questions)
{
    while (questions->queue.head) {
        g_autoptr(Question) question = take_link(questions, questions->queue.head);
        if (!question->is_late)
            return g_steal_pointer(&question);
    }
    return NULL;
}

gint64
questions_late_since_us(const Questions *questions)
{
    gint64 since_us = 0;

    for (GList *link = questions->queue.head; link; link = link->next) {
        const Question *question = link->data;
        if (question->is_late && (since_us == 0 || question->asked_us < since_us))
            since_us = question->asked_us;
    }
    return since_us;
}

gint64
questions_nearest_deadline_us(const Questions *questions)
{
    gint64 nearest_us = -1;

    for (GList *link = questions->queue.head; link; link = link->next) {
        const Question *question = link->data;
        if (!question->is_late && (nearest_us < 0 || question->deadline_at_us < nearest_us))
            nearest_us = question->deadline_at_us;
    }
    return nearest_us;
}
