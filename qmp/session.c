/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

#include "frame.h"
#include "message.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A session is one GSource: its descriptor, and a ready time that is its idle end, or now while
 * lines wait. One turn takes one line or one read, so a session that sends ten thousand requests
 * takes turns with everyone else on the context.
 *
 *   turn: write what the socket takes; while much waits for the reader, nothing else;
 *         else the next line -> one reply; no line left and EOF seen -> the rest, then the end;
 *         no line left -> read once
 *
 * A session ends only in its own turn; elsewhere it is marked hopeless. A peer that closed cannot
 * be answered, but what it sent is still executed. */

/* More than this waiting for the reader stops the execution of its further requests: a reader that
 * never reads costs this and one reply. */
#define SESSION_BACKLOG_BYTES (64 * 1024)
/* Some requests; a line at the cap comes in 16 turns. */
#define SESSION_READ_BYTES (4 * 1024)

struct Session {
    GSource source;
    const Service *service;
    int fd;
    gpointer tag;
    ServerPeer peer;
    Frame *frame;
    GString *output;
    gint64 idle_at_us;
    bool has_lines;     /* the frame may hold lines, or the rest */
    bool has_ended;     /* EOF was read */
    bool is_negotiated; /* qmp_capabilities came */
    bool is_hopeless;   /* ends in its next turn */
};

/* Descriptor events and the ready time follow from the state. */
static void
session_arm(Session *session)
{
    bool is_behind = session->output->len > SESSION_BACKLOG_BYTES;
    bool is_due = session->is_hopeless || (session->has_lines && !is_behind);
    GIOCondition events = 0;

    if (session->output->len > 0)
        events |= G_IO_OUT;
    if (!is_behind && !session->has_lines && !session->has_ended)
        events |= G_IO_IN;
    g_source_modify_unix_fd(&session->source, session->tag, events);
    g_source_set_ready_time(&session->source, is_due ? 0 : session->idle_at_us);
}

static void
session_touch(Session *session)
{
    session->idle_at_us = g_get_monotonic_time() + session->service->idle_us;
}

static void
session_append(Session *session, const char *line)
{
    g_string_append(session->output, line);
    g_string_append_c(session->output, '\n');
    if (session->output->len > FRAME_CAP_REPLY)
        session->is_hopeless = true;
}

/* Takes object. */
static void
session_send(Session *session, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, object);
    g_autofree char *line = json_to_string(node, FALSE);
    session_append(session, line);
}

static void
session_flush(Session *session)
{
    GString *output = session->output;

    if (output->len == 0)
        return;
    gssize sent = send(session->fd, output->str, output->len, MSG_NOSIGNAL);
    if (sent > 0) {
        session_touch(session);
        g_string_erase(output, 0, sent);
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        g_string_truncate(output, 0);
    }
    if (output->len == 0 && output->allocated_len > SESSION_BACKLOG_BYTES) {
        g_string_free(output, TRUE);
        session->output = g_string_new(NULL);
    }
}

static JsonObject *
error_object(const char *class, const char *text)
{
    JsonObject *object = json_object_new(), *error = json_object_new();
    g_autofree char *description = g_utf8_make_valid(text, -1);

    json_object_set_string_member(error, "class", class);
    json_object_set_string_member(error, "desc", description);
    json_object_set_object_member(object, "error", error);
    return object;
}

static JsonObject *
return_object(JsonNode *value)
{
    JsonObject *object = json_object_new();

    json_object_set_member(object, "return", value);
    return object;
}

static JsonObject *
session_negotiate(Session *session)
{
    if (session->is_negotiated)
        return error_object("CommandNotFound",
                            "Capabilities negotiation is already complete, command ignored");
    session->is_negotiated = true;
    JsonNode *nothing = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(nothing, json_object_new());
    return return_object(nothing);
}

static JsonObject *
session_execute(Session *session, const Message *request)
{
    g_autoptr(GError) error = NULL;

    if (request->kind != MESSAGE_REQUEST)
        return error_object("GenericError", "QMP input lacks member 'execute'");
    if (request->body && !JSON_NODE_HOLDS_OBJECT(request->body))
        return error_object("GenericError", "QMP input member 'arguments' must be an object");
    if (strcmp(request->name, "qmp_capabilities") == 0)
        return session_negotiate(session);
    if (!session->is_negotiated)
        return error_object("CommandNotFound",
                            "Expecting capabilities negotiation with 'qmp_capabilities'");
    JsonObject *arguments = request->body ? json_node_get_object(request->body) : NULL;
    const Service *service = session->service;
    JsonNode *value =
        service->func(request->name, arguments, &session->peer, service->data, &error);
    if (value)
        return return_object(value);
    g_assert(error);
    bool is_unknown = g_error_matches(error, QMP_ERROR, QMP_ERROR_COMMAND);
    return error_object(is_unknown ? "CommandNotFound" : "GenericError", error->message);
}

static void
session_answer(Session *session, const char *line, gsize length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Message) request = message_parse(line, length, &error);

    if (!request) {
        session_send(session, error_object("GenericError", error->message));
        return;
    }
    JsonObject *reply = session_execute(session, request);
    JsonNode *id = json_object_get_member(json_node_get_object(request->root), "id");
    if (id)
        json_object_set_member(reply, "id", json_node_copy(id));
    session_send(session, reply);
}

/* false: a line past the cap. */
static bool
session_read(Session *session)
{
    char bytes[SESSION_READ_BYTES];
    gssize length = read(session->fd, bytes, sizeof(bytes));

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    session->has_lines = true;
    if (length > 0)
        return frame_push(session->frame, bytes, length);
    /* Not only 0: a peer that closed with our greeting unread is ECONNRESET, after its bytes. */
    session->has_ended = true;
    return true;
}

static bool
session_is_idle(const Session *session)
{
    return g_get_monotonic_time() >= session->idle_at_us;
}

/* The next line, and at EOF the rest; NULL when there is none. */
static const char *
session_next(Session *session, gsize *ret_length)
{
    if (!session->has_lines)
        return NULL;
    const char *line = frame_next(session->frame, ret_length);
    if (!line && session->has_ended)
        line = frame_rest(session->frame, ret_length);
    session->has_lines = line != NULL;
    return line;
}

/* false: the session is over. What already arrived goes before the idle end, because it may have
 * waited for us (a suspended host). */
static bool
session_turn(Session *session, GIOCondition ready)
{
    gsize length = 0;

    if (session->is_hopeless)
        return false;
    session_flush(session);
    if (session->output->len > SESSION_BACKLOG_BYTES)
        return !session_is_idle(session);
    const char *line = session_next(session, &length);
    if (line) {
        session_touch(session);
        session_answer(session, line, length);
        session_flush(session);
        return true;
    }
    if (session->has_ended)
        return session->output->len > 0 && !session_is_idle(session);
    if (ready)
        return session_read(session);
    return !session_is_idle(session);
}

static gboolean
session_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    Session *session = (Session *)source;

    if (session_turn(session, g_source_query_unix_fd(source, session->tag) & ~G_IO_OUT)) {
        session_arm(session);
        return G_SOURCE_CONTINUE;
    }
    g_ptr_array_remove_fast(session->service->sessions, session);
    return G_SOURCE_REMOVE;
}

static void
session_finalize(GSource *source)
{
    Session *session = (Session *)source;

    close(session->fd);
    frame_free(session->frame);
    g_string_free(session->output, TRUE);
}

static ServerPeer
read_peer(int fd)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return (ServerPeer){.has_peer = false};
    return (ServerPeer){.has_peer = true, .uid = credentials.uid, .pid = credentials.pid};
}

Session *
session_new(int fd, const Service *service, const char *greeting)
{
    static const GSourceFuncs funcs = {.dispatch = session_dispatch, .finalize = session_finalize};
    Session *session = (Session *)g_source_new((GSourceFuncs *)&funcs, sizeof(Session));

    g_source_set_name(&session->source, "session");
    session->service = service;
    session->fd = fd;
    session->peer = read_peer(fd);
    session->frame = frame_new(FRAME_CAP_REQUEST);
    session->output = g_string_new(NULL);
    session->tag = g_source_add_unix_fd(&session->source, fd, G_IO_IN);
    session_touch(session);
    session_append(session, greeting);
    session_arm(session);
    g_source_attach(&session->source, service->context);
    return session;
}

void
session_free(Session *session)
{
    g_source_destroy(&session->source);
    g_source_unref(&session->source);
}

void
session_notify(Session *session, const char *line)
{
    if (!session->is_negotiated || session->is_hopeless)
        return;
    session_append(session, line);
    session_arm(session);
}
