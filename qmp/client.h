/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection to one monitor, on a GMainContext: handshake, ids, deadlines. It never blocks,
 * never sends a command outside its class, and every question gets exactly one answer: a reply, an
 * error of QEMU, a deadline, or the end of the connection. After a deadline the connection stays
 * open and nothing more is sent until the late reply arrives (a wedged QEMU must not find a queue
 * of our questions when it comes back); that reply is dropped and the client is ready again. A
 * deadline that passes during the handshake leaves the one pending connection in place as well:
 * what is asked after the greeting came at last works. A malformed or oversized line, and a flood
 * of lines nobody asked for, end the connection.
 *
 * connect-ask-leave = new, ask (as often as needed), free in the last answer's callback.
 * persistent = new once, ask at every tick. */

#include "message.h"
#include "query.h"

typedef enum {
    QMP_STAGE_GREETING,    /* connected, waiting for the greeting */
    QMP_STAGE_NEGOTIATING, /* qmp_capabilities sent */
    QMP_STAGE_READY,
    QMP_STAGE_LATE, /* negotiated, but an answer is past its deadline: nothing is sent */
    QMP_STAGE_CLOSED,
} QmpStage;

typedef struct QmpClient QmpClient;

/* result is borrowed for the call and NULL when error is set; waited_us counts from the ask. The
 * callback may ask again, and may free the client. */
typedef void (*QmpAnswerFunc)(QmpClient *client, JsonNode *result, const GError *error,
                              gint64 waited_us, gpointer data);
typedef void (*QmpEventFunc)(QmpClient *client, const char *event, JsonNode *body, gpointer data);

/* The handshake is done. */
typedef void (*QmpReadyFunc)(QmpClient *client, gpointer data);

/* Takes the connected, non-blocking descriptor. No command above `allowed` will be sent. */
QmpClient *qmp_client_new(int fd, GMainContext *context, QmpClass allowed);
/* Answers what is still open with QMP_ERROR_CLOSED (before it returns), then closes. */
void qmp_client_free(QmpClient *client);
void qmp_client_set_event_func(QmpClient *client, QmpEventFunc func, gpointer data);
/* For who waits on a busy monitor: it must ask and leave as soon as it is its turn. */
void qmp_client_set_ready_func(QmpClient *client, QmpReadyFunc func, gpointer data);
/* Raises or lowers what may be sent from now on (a suspect, a capture). */
void qmp_client_set_class(QmpClient *client, QmpClass allowed);

/* Asks. arguments is a JSON object as text, or NULL. deadline_us counts from this call. Questions
 * may be pipelined: what is asked in one turn of the loop leaves in one write. Asked during the
 * handshake, it is sent when the handshake is done, and its deadline covers the handshake too: the
 * error then says how far it came (NO_GREETING, NO_NEGOTIATION, TIMEOUT). A refused class
 * (REFUSED), a closed client (CLOSED) and a late one (TIMEOUT) are answered at once, from within
 * the call. */
void qmp_client_ask(QmpClient *client, QmpCommand command, const char *arguments,
                    gint64 deadline_us, QmpAnswerFunc func, gpointer data);

QmpStage qmp_client_stage(const QmpClient *client);
/* Connected since, for the time a shared monitor is held. g_get_monotonic_time() scale. */
gint64 qmp_client_since_us(const QmpClient *client);
/* When the oldest question was asked whose answer is past its deadline and still not there; 0 when
 * there is none. The same scale. */
gint64 qmp_client_late_since_us(const QmpClient *client);
/* Asked and not answered yet. */
guint qmp_client_open_questions(const QmpClient *client);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QmpClient, qmp_client_free)
