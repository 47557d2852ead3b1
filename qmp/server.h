/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The serving side of the QMP wire format, for the guardian's own control socket: greeting with a
 * version, qmp_capabilities accepted, {"execute": ..., "arguments": ..., "id": ...}, one reply a
 * request, ids of any type echoed. It knows framing and the gate of message.h, no verb. What
 * arrived before EOF is executed (a hook closes at once). A client that sends a line past
 * FRAME_CAP_REQUEST, or does not read what it is sent (FRAME_CAP_REPLY waiting), is dropped; at
 * most SERVER_CLIENTS_MAX at once, and a connection that neither sends a whole request nor takes
 * anything ends after SERVER_IDLE_US. A request before qmp_capabilities and an unknown command are
 * CommandNotFound, as with QEMU; a malformed line is answered without an id. */

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define SERVER_CLIENTS_MAX 64
#define SERVER_IDLE_US (60 * G_USEC_PER_SEC)

typedef struct Server Server;

typedef struct {
    bool has_peer;
    uid_t uid;
    pid_t pid;
} ServerPeer;

/* Returns the value of "return" (transfer full), or NULL with error set; the error's message
 * becomes "desc", its class is CommandNotFound for QMP_ERROR_COMMAND, else GenericError. arguments
 * is borrowed, NULL when absent. May send events; must not free the server. */
typedef JsonNode *(*ServerExecuteFunc)(const char *command, JsonObject *arguments,
                                       const ServerPeer *peer, gpointer data, GError **error);

/* Takes the listening, non-blocking descriptor. version is shown in the greeting as
 * {"QMP": {"version": {"vm-guardian": version, "qemu": {"major": ., "minor": ., "micro": .},
 * "package": ..}, "capabilities": []}}. */
Server *server_new(int listen_fd, GMainContext *context, const char *version,
                   ServerExecuteFunc func, gpointer data);
void server_free(Server *server);
/* Another SERVER_IDLE_US, counted from each connection's next sign of life. */
void server_set_idle(Server *server, gint64 idle_us);
/* {"event": name, "data": data, "timestamp": {...}} to every client that negotiated. Takes data. */
void server_send_event(Server *server, const char *name, JsonNode *data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)
