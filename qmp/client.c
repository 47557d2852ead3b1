/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include "arguments.h"
#include "frame.h"
#include "question.h"
#include "set-limits.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Which answer belongs to which question:
 *
 *   - Each question carries an id that no other one on the wire has; its answer is the reply or
 *     error with that id, in whatever order they come.
 *   - The one message without an id is qmp_capabilities, alone on the wire at its time.
 *   - An error without an id says that QEMU could not read a request. It does not say which, and
 *     that request's answer will never come: its question would wait for ever and look like a
 *     wedged main loop. The connection ends, each open question learns why, the owner may connect
 *     again.
 *   - A reply with an id that nobody waits for, or with none, a second greeting and a request
 *     answer nothing and take no answer away: they are dropped.
 *
 * Requests leave in prepare, so that everything asked in one turn of the loop goes out in one
 * write. A write that fails is not an error of its own: the end of the connection shows in the
 * next read, and the deadlines cover the rest.
 *
 * A question is taken out of the list before its callback runs, so that it is answered once
 * whatever the callback does. A callback may free the client: whoever runs callbacks holds it, and
 * the memory goes with the last hold. */

/* One read takes the usual reply (2 KiB a disk) whole. */
#define READ_BYTES (32 * 1024)
/* Reads in one turn, so that one chatty VM does not hold up the others; enough for what fits into
 * a unix socket, so that a reply that came in time is not called late after we were starved. */
#define READS_PER_TURN 8
/* Reads and lines that brought no answer. A guest whose every write fails raises hundreds of events
 * a second; at 10,000 parsing them costs us 5 % of a core, and more is an attack. */
#define UNASKED_PER_SECOND_MAX 10000
typedef struct {
    GSource base;
    QmpClient *client;
} ClientSource;

struct QmpClient {
    ClientSource *source;
    gpointer tag;
    int fd;
    QmpStage stage; /* READY also while LATE: see qmp_client_stage() */
    QmpClass allowed;
    Frame *frame;
    GString *pretty; /* the lines of a message so far, when it comes in several; or NULL */
    GString *out;    /* requests the kernel did not take yet */
    bool is_blocked;
    Questions questions;
    gint64 since_us;
    gint64 unasked_since_us;
    guint n_unasked;
    QmpEventFunc event_func;
    gpointer event_data;
    QmpReadyFunc ready_func;
    gpointer ready_data;
    guint n_holds;
    bool is_freed;
};

static const char *
stage_text(QmpStage stage)
{
    static const char *const texts[] = {
        [QMP_STAGE_GREETING] = "waiting for the greeting",
        [QMP_STAGE_NEGOTIATING] = "waiting for qmp_capabilities",
        [QMP_STAGE_READY] = "ready",
        [QMP_STAGE_LATE] = "waiting for a late answer",
        [QMP_STAGE_CLOSED] = "closed",
    };

    return texts[stage];
}

static void
client_hold(QmpClient *client)
{
    client->n_holds++;
}

static void
client_release(QmpClient *client)
{
    if (--client->n_holds > 0 || !client->is_freed)
        return;
    g_source_unref(&client->source->base);
    frame_free(client->frame);
    if (client->pretty)
        g_string_free(client->pretty, TRUE);
    g_string_free(client->out, TRUE);
    g_free(client);
}

/* Takes the question. */
static void
client_answer(QmpClient *client, Question *question, JsonNode *result, const GError *error)
{
    question->func(client, result, error, g_get_monotonic_time() - question->asked_us,
                   question->data);
    question_free(question);
}

/* Ends the connection, if it did not end before, and answers every open question. */
static void
client_close(QmpClient *client, QmpError code, const char *why)
{
    QmpStage stage = qmp_client_stage(client);
    Question *question;

    if (stage != QMP_STAGE_CLOSED) {
        client->stage = QMP_STAGE_CLOSED;
        g_source_destroy(&client->source->base);
        close(client->fd);
    }
    while ((question = questions_take_first(&client->questions))) {
        const char *name = qmp_command_info(question->command)->name;
        g_autoptr(GError) error =
            g_error_new(QMP_ERROR, code, "%s: %s, while %s", name, why, stage_text(stage));
        client_answer(client, question, NULL, error);
    }
}

/* Counts what was not asked for; false when the connection had to end for it. */
static bool
client_endure(QmpClient *client)
{
    gint64 now_us = g_source_get_time(&client->source->base);

    if (now_us - client->unasked_since_us >= G_USEC_PER_SEC) {
        client->unasked_since_us = now_us;
        client->n_unasked = 0;
    }
    if (++client->n_unasked <= UNASKED_PER_SECOND_MAX)
        return true;
    client_close(client, QMP_ERROR_TOO_BIG, "a flood nobody asked for");
    return false;
}

static void
client_take_answer(QmpClient *client, const Message *message)
{
    bool is_error = message->kind == MESSAGE_ERROR;

    if (!message->has_id) {
        if (is_error && client->questions.n_sent > 0)
            client_close(client, QMP_ERROR_MALFORMED, "QEMU could not read a request");
        return;
    }
    Question *question = questions_take(&client->questions, message->id);
    if (!question)
        return;
    client->n_unasked = 0;
    if (question->is_late) {
        question_free(question);
        return;
    }
    g_autoptr(GError) error = is_error ? question_command_error(question, message) : NULL;
    client_answer(client, question, is_error ? NULL : message->body, error);
}

static void
client_become_ready(QmpClient *client)
{
    client->stage = QMP_STAGE_READY;
    if (client->ready_func)
        client->ready_func(client, client->ready_data);
}

static void
client_take_message(QmpClient *client, const Message *message)
{
    bool is_answer = message->kind == MESSAGE_REPLY || message->kind == MESSAGE_ERROR;

    if (message->kind == MESSAGE_GREETING && client->stage == QMP_STAGE_GREETING) {
        client->stage = QMP_STAGE_NEGOTIATING;
        g_string_append_printf(client->out, "{\"execute\":\"%s\"}\n",
                               qmp_command_info(QMP_CAPABILITIES)->name);
    } else if (is_answer && client->stage == QMP_STAGE_NEGOTIATING && !message->has_id) {
        if (message->kind == MESSAGE_REPLY)
            client_become_ready(client);
        else
            client_close(client, QMP_ERROR_NO_NEGOTIATION, "QEMU refused qmp_capabilities");
    } else if (is_answer && client->stage == QMP_STAGE_READY) {
        client_take_answer(client, message);
    } else if (message->kind == MESSAGE_EVENT && client->event_func) {
        client->event_func(client, message->name, message->body, client->event_data);
    }
}

static void
client_take_text(QmpClient *client, const char *text, gsize length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Message) message = message_parse(text, length, &error);

    if (!message)
        client_close(client, QMP_ERROR_MALFORMED, error->message);
    else if (client_endure(client))
        client_take_message(client, message);
}

/* With pretty=on a message begins with a line of one brace and ends with one; what is between them
 * is indented (util/json-writer.c), and a string holds no newline. */
static void
client_take_pretty(QmpClient *client, const char *line, gsize length)
{
    if (!client->pretty)
        client->pretty = g_string_new(NULL);
    g_string_append_len(client->pretty, line, length);
    g_string_append_c(client->pretty, '\n');
    if (length == 1 && line[0] == '}') {
        g_autoptr(GString) message = g_steal_pointer(&client->pretty);

        client_take_text(client, message->str, message->len);
    } else if (client->pretty->len > FRAME_CAP_REPLY) {
        client_close(client, QMP_ERROR_TOO_BIG, "a message past the cap");
    }
}

static void
client_take_lines(QmpClient *client)
{
    const char *line;
    gsize length;

    while (client->stage != QMP_STAGE_CLOSED && (line = frame_next(client->frame, &length)))
        if (client->pretty || (length == 1 && line[0] == '{'))
            client_take_pretty(client, line, length);
        else
            client_take_text(client, line, length);
}

static void
client_receive(QmpClient *client)
{
    char bytes[READ_BYTES];

    for (guint i = 0; i < READS_PER_TURN && client->stage != QMP_STAGE_CLOSED; i++) {
        gssize length = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length <= 0)
            client_close(client, QMP_ERROR_CLOSED, "the peer hung up");
        else if (!frame_push(client->frame, bytes, length))
            client_close(client, QMP_ERROR_TOO_BIG, "a line past the cap");
        else if (client_endure(client))
            client_take_lines(client);
        if (length < (gssize)sizeof(bytes))
            return;
    }
}

static void
client_expire(QmpClient *client, gint64 now_us)
{
    Question *question;

    while ((question = questions_take_expired(&client->questions, now_us))) {
        g_autoptr(GError) error = question_deadline_error(question, client->stage);
        client_answer(client, question, NULL, error);
    }
}

static void
client_set_blocked(QmpClient *client, bool is_blocked)
{
    if (client->is_blocked == is_blocked)
        return;
    client->is_blocked = is_blocked;
    g_source_modify_unix_fd(&client->source->base, client->tag,
                            is_blocked ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

static void
client_set_timer(QmpClient *client)
{
    g_source_set_ready_time(&client->source->base,
                            questions_nearest_deadline_us(&client->questions));
}

static gboolean
client_prepare(GSource *source, gint *ret_timeout_ms)
{
    QmpClient *client = ((ClientSource *)source)->client;

    *ret_timeout_ms = -1;
    if (qmp_client_stage(client) == QMP_STAGE_READY)
        questions_send(&client->questions, client->out);
    if (client->is_blocked || client->out->len == 0)
        return FALSE;
    gssize n_sent =
        send(client->fd, client->out->str, client->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n_sent < 0)
        n_sent = errno == EAGAIN || errno == EINTR ? 0 : client->out->len;
    g_string_erase(client->out, 0, n_sent);
    client_set_blocked(client, client->out->len > 0);
    return FALSE;
}

/* Reads before it looks at deadlines, also when only a deadline woke us: what came in time counts,
 * however late we are. */
static gboolean
client_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    QmpClient *client = ((ClientSource *)source)->client;
    GIOCondition ready = g_source_query_unix_fd(source, client->tag);

    client_hold(client);
    if (ready & G_IO_OUT)
        client_set_blocked(client, false);
    client_receive(client);
    client_expire(client, g_source_get_time(source));
    bool is_open = client->stage != QMP_STAGE_CLOSED;
    if (is_open)
        client_set_timer(client);
    client_release(client);
    return is_open;
}

QmpClient *
qmp_client_new(int fd, GMainContext *context, QmpClass allowed)
{
    static const GSourceFuncs funcs = {.prepare = client_prepare, .dispatch = client_dispatch};
    QmpClient *client = g_new0(QmpClient, 1);

    client->source = (ClientSource *)g_source_new((GSourceFuncs *)&funcs, sizeof(ClientSource));
    client->source->client = client;
    client->fd = fd;
    client->allowed = allowed;
    client->frame = frame_new(FRAME_CAP_REPLY);
    client->out = g_string_new(NULL);
    client->since_us = g_get_monotonic_time();
    client->tag = g_source_add_unix_fd(&client->source->base, fd, G_IO_IN);
    g_source_attach(&client->source->base, context);
    return client;
}

void
qmp_client_free(QmpClient *client)
{
    if (!client || client->is_freed)
        return;
    client_hold(client);
    client->is_freed = true;
    client_close(client, QMP_ERROR_CLOSED, "closed by its owner");
    client_release(client);
}

void
qmp_client_set_event_func(QmpClient *client, QmpEventFunc func, gpointer data)
{
    client->event_func = func;
    client->event_data = data;
}

void
qmp_client_set_ready_func(QmpClient *client, QmpReadyFunc func, gpointer data)
{
    client->ready_func = func;
    client->ready_data = data;
}

void
qmp_client_set_class(QmpClient *client, QmpClass allowed)
{
    client->allowed = allowed;
}

/* NULL when the question may be asked now. */
static GError *
client_refuse(const QmpClient *client, QmpCommand command, const char *arguments)
{
    const QmpCommandInfo *info = qmp_command_info(command);
    QmpStage stage = qmp_client_stage(client);

    if (info->class > client->allowed || command == QMP_CAPABILITIES ||
        (command == QMP_CANARY && !qmp_arguments_are_canary(arguments)) ||
        ((command == QMP_SET_GROUP || command == QMP_SET_DRIVE) &&
         !qmp_arguments_are_limits(arguments)))
        return g_error_new(QMP_ERROR, QMP_ERROR_REFUSED, "%s: not allowed on this connection",
                           info->name);
    if (stage == QMP_STAGE_CLOSED || stage == QMP_STAGE_LATE)
        return g_error_new(QMP_ERROR,
                           stage == QMP_STAGE_CLOSED ? QMP_ERROR_CLOSED : QMP_ERROR_TIMEOUT,
                           "%s: not sent, the connection is %s", info->name, stage_text(stage));
    return NULL;
}

void
qmp_client_ask(QmpClient *client, QmpCommand command, const char *arguments, gint64 deadline_us,
               QmpAnswerFunc func, gpointer data)
{
    g_autoptr(GError) refusal = client_refuse(client, command, arguments);

    if (refusal) {
        func(client, NULL, refusal, 0, data);
        return;
    }
    Question *question = g_new0(Question, 1);
    *question = (Question){.command = command,
                           .arguments = g_strdup(arguments),
                           .asked_us = g_get_monotonic_time(),
                           .deadline_us = deadline_us,
                           .func = func,
                           .data = data};
    questions_add(&client->questions, question);
    client_set_timer(client);
}

QmpStage
qmp_client_stage(const QmpClient *client)
{
    return client->stage == QMP_STAGE_READY && client->questions.n_late > 0 ? QMP_STAGE_LATE
                                                                            : client->stage;
}

gint64
qmp_client_since_us(const QmpClient *client)
{
    return client->since_us;
}

gint64
qmp_client_late_since_us(const QmpClient *client)
{
    return questions_late_since_us(&client->questions);
}

guint
qmp_client_open_questions(const QmpClient *client)
{
    return client->questions.queue.length - client->questions.n_late;
}
