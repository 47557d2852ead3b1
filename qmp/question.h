/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The open questions of one client: those on the wire first, then those that wait, each part in
 * the order asked. Whoever takes a question out answers it, once. Pure: no descriptor, no clock. */

#include "client.h"

typedef struct {
    QmpCommand command;
    char *arguments; /* NULL when there are none, or once sent */
    guint id;        /* of one that is sent */
    bool is_sent;
    bool is_late; /* answered with a deadline; stays to swallow the answer that may still come */
    gint64 asked_us, deadline_us, deadline_at_us;
    QmpAnswerFunc func;
    gpointer data;
} Question;

typedef struct {
    GQueue queue;
    guint n_sent, n_late;
    guint last_id;
} Questions;

void question_free(Question *question);
/* QMP_ERROR_COMMAND with QEMU's own words, cut to a sentence's length. */
GError *question_command_error(const Question *question, const Message *message);
/* NO_GREETING, NO_NEGOTIATION or TIMEOUT, as far as the connection came. */
GError *question_deadline_error(const Question *question, QmpStage stage);

/* Takes the question; deadline_at_us is set from asked_us and deadline_us. */
void questions_add(Questions *questions, Question *question);
/* Appends the requests of those that wait to out, as many as may be on the wire. */
void questions_send(Questions *questions, GString *out);
/* Takes out the question with this id that is on the wire; NULL when there is none. */
Question *questions_take(Questions *questions, gint64 id);
/* Takes out one past its deadline; one on the wire leaves a late one behind. NULL: none. */
Question *questions_take_expired(Questions *questions, gint64 now_us);
/* Takes out the first one that nobody answered yet, and drops late ones before it. NULL: none. */
Question *questions_take_first(Questions *questions);
/* asked_us of the oldest late one; 0 when there is none. */
gint64 questions_late_since_us(const Questions *questions);
/* -1 when no deadline is open. */
gint64 questions_nearest_deadline_us(const Questions *questions);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Question, question_free)
