/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server.h"

#include "session.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Out of descriptors or memory, accept fails while the listener stays readable: try ten times a
 * second instead of spinning. */
#define LISTENER_REST_US (G_USEC_PER_SEC / 10)

struct Server {
    Service service;
    GSource *listener;
    char *greeting;
};

typedef struct {
    GSource source;
    Server *server;
    int fd;
    gpointer tag;
} Listener;

static gboolean
listener_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    Listener *listener = (Listener *)source;
    Server *server = listener->server;
    GPtrArray *sessions = server->service.sessions;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    bool must_rest =
        fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS);

    g_source_modify_unix_fd(source, listener->tag, must_rest ? 0 : G_IO_IN);
    g_source_set_ready_time(source, must_rest ? g_get_monotonic_time() + LISTENER_REST_US : -1);
    if (fd >= 0 && sessions->len < SERVER_CLIENTS_MAX)
        g_ptr_array_add(sessions, session_new(fd, &server->service, server->greeting));
    else if (fd >= 0)
        close(fd);
    return G_SOURCE_CONTINUE;
}

static void
listener_finalize(GSource *source)
{
    close(((Listener *)source)->fd);
}

static GSource *
listener_new(Server *server, int fd)
{
    static const GSourceFuncs funcs = {.dispatch = listener_dispatch,
                                       .finalize = listener_finalize};
    Listener *listener = (Listener *)g_source_new((GSourceFuncs *)&funcs, sizeof(Listener));

    g_source_set_name(&listener->source, "listener");
    listener->server = server;
    listener->fd = fd;
    listener->tag = g_source_add_unix_fd(&listener->source, fd, G_IO_IN);
    g_source_attach(&listener->source, server->service.context);
    return &listener->source;
}

/* Takes object. */
static char *
object_to_line(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, object);
    return json_to_string(node, FALSE);
}

/* QMP clients read the version as three numbers; a missing one is 0. */
static char *
greeting_line(const char *version)
{
    JsonObject *root = json_object_new(), *greeting = json_object_new();
    JsonObject *versions = json_object_new(), *qemu = json_object_new();
    guint major = 0, minor = 0, micro = 0;

    (void)sscanf(version, "%u.%u.%u", &major, &minor, &micro);
    json_object_set_int_member(qemu, "major", major);
    json_object_set_int_member(qemu, "minor", minor);
    json_object_set_int_member(qemu, "micro", micro);
    json_object_set_string_member(versions, "vm-guardian", version);
    json_object_set_object_member(versions, "qemu", qemu);
    json_object_set_string_member(versions, "package", "vm-guardian");
    json_object_set_object_member(greeting, "version", versions);
    json_object_set_array_member(greeting, "capabilities", json_array_new());
    json_object_set_object_member(root, "QMP", greeting);
    return object_to_line(root);
}

Server *
server_new(int listen_fd, GMainContext *context, const char *version, ServerExecuteFunc func,
           gpointer data)
{
    Server *server = g_new0(Server, 1);

    server->service = (Service){
        .context = context,
        .sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free),
        .idle_us = SERVER_IDLE_US,
        .func = func,
        .data = data,
    };
    server->greeting = greeting_line(version);
    server->listener = listener_new(server, listen_fd);
    return server;
}

void
server_free(Server *server)
{
    if (!server)
        return;
    g_source_destroy(server->listener);
    g_source_unref(server->listener);
    g_ptr_array_unref(server->service.sessions);
    g_free(server->greeting);
    g_free(server);
}

void
server_set_idle(Server *server, gint64 idle_us)
{
    server->service.idle_us = idle_us;
}

void
server_send_event(Server *server, const char *name, JsonNode *data)
{
    gint64 now_us = g_get_real_time();
    JsonObject *event = json_object_new(), *timestamp = json_object_new();

    json_object_set_int_member(timestamp, "seconds", now_us / G_USEC_PER_SEC);
    json_object_set_int_member(timestamp, "microseconds", now_us % G_USEC_PER_SEC);
    json_object_set_object_member(event, "timestamp", timestamp);
    json_object_set_string_member(event, "event", name);
    json_object_set_member(event, "data", data);
    g_autofree char *line = object_to_line(event);
    for (guint i = 0; i < server->service.sessions->len; i++)
        session_notify(g_ptr_array_index(server->service.sessions, i), line);
}
