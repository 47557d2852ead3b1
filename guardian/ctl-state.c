/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-state.h"

#include "control.h"
#include "frame.h"
#include "message.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The daemon answers from memory, between two ticks. */
#define DAEMON_DEADLINE_MS 5000
/* Two samples far enough apart that a VM that writes once a second is seen to move. */
#define LOOK_APART_US (2 * G_USEC_PER_SEC)

static bool
fail(GError **error, int code, const char *text)
{
    g_set_error_literal(error, GUARDIAN_ERROR, code, text);
    return false;
}

/* Reads until a message of the wanted kind came; NULL with error set. */
static Message *
read_message(int fd, Frame *frame, MessageKind wanted, GError **error)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        char buffer[16384];
        gsize length;
        const char *line = frame_next(frame, &length);
        ssize_t got;

        if (line) {
            g_autoptr(Message) message = message_parse(line, length, error);

            if (!message || message->kind == wanted)
                return g_steal_pointer(&message);
            continue;
        }
        if (poll(&ready, 1, DAEMON_DEADLINE_MS) <= 0) {
            (void)fail(error, GUARDIAN_ERROR_FAILED, "the daemon does not answer");
            return NULL;
        }
        got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0 || !frame_push(frame, buffer, (gsize)got)) {
            (void)fail(error, GUARDIAN_ERROR_FAILED, "the daemon hung up");
            return NULL;
        }
    }
}

static JsonNode *
ask_daemon(int fd, GError **error)
{
    static const char request[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"status\"}\n";
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    g_autoptr(Message) negotiated = NULL;
    g_autoptr(Message) answer = NULL;

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) {
        (void)fail(error, GUARDIAN_ERROR_FAILED, "cannot write to the daemon");
        return NULL;
    }
    negotiated = read_message(fd, frame, MESSAGE_REPLY, error);
    answer = negotiated ? read_message(fd, frame, MESSAGE_REPLY, error) : NULL;
    if (!answer)
        return NULL;
    if (!answer->body || !JSON_NODE_HOLDS_OBJECT(answer->body)) {
        (void)fail(error, GUARDIAN_ERROR_MALFORMED, "the daemon's answer is not a state");
        return NULL;
    }
    return json_node_copy(answer->body);
}

static JsonNode *
look_ourselves(Host *host, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = NULL;
    Config *config = config_load(host, error);

    if (!config)
        return NULL;
    guardian = guardian_new(host, context, config);
    guardian_look_twice(guardian, LOOK_APART_US);
    return report_state(guardian, false);
}

JsonNode *
ctl_state(const CtlOptions *options, GError **error)
{
    Host *host = host_new(options->roots, error);
    JsonNode *state = NULL;
    pid_t peer = 0;
    int fd;

    if (!host)
        return NULL;
    fd = host_connect_at(host_root_fd(host, HOST_RUN), CONTROL_SOCKET, &peer, NULL);
    if (fd >= 0) {
        state = ask_daemon(fd, error);
        close(fd);
    } else {
        state = look_ourselves(host, error);
    }
    host_free(host);
    return state;
}

static bool
is_called(JsonObject *vm, const char *word)
{
    const char *uuid = message_get_string(vm, "uuid");
    guint64 pid = 0;
    g_autofree char *pid_text = NULL;

    (void)message_get_u64(vm, "pid", &pid);
    pid_text = g_strdup_printf("%" G_GUINT64_FORMAT, pid);
    return g_strcmp0(message_get_string(vm, "name"), word) == 0 ||
           g_strcmp0(message_get_string(vm, "id"), word) == 0 ||
           (uuid && g_ascii_strcasecmp(uuid, word) == 0) || strcmp(pid_text, word) == 0;
}

JsonObject *
ctl_state_find_vm(JsonObject *state, const char *word, GError **error)
{
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);
    JsonObject *found = NULL;

    for (guint i = 0; i < vms->len; i++) {
        if (!is_called(vms->pdata[i], word))
            continue;
        if (found) {
            g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_FAILED,
                        "more than one VM is called \"%s\"; use its process id (guardianctl list)",
                        word);
            return NULL;
        }
        found = vms->pdata[i];
    }
    if (!found)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "no VM is called \"%s\"; see guardianctl list", word);
    return found;
}
