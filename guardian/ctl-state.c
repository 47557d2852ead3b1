/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-state.h"

#include "control.h"
#include "frame.h"
#include "message.h"
#include "report.h"
#include "units.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The daemon answers from memory, between two ticks. */
#define DAEMON_DEADLINE_US (5 * G_USEC_PER_SEC)
/* Two samples far enough apart that a VM that writes once a second is seen to move. */
#define LOOK_APART_US (2 * G_USEC_PER_SEC)

static bool
fail(GError **error, int code, const char *text)
{
    g_set_error_literal(error, GUARDIAN_ERROR, code, text);
    return false;
}

/* false: the deadline has passed, or the peer hung up. */
static bool
read_more(int fd, Frame *frame, gint64 deadline_us, GError **error)
{
    gint64 left_us = deadline_us - g_get_monotonic_time();
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char buffer[16384];
    ssize_t got;

    if (left_us <= 0 || poll(&ready, 1, (int)(left_us / 1000) + 1) == 0)
        return fail(error, GUARDIAN_ERROR_FAILED, "the daemon does not answer");
    got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0 || !frame_push(frame, buffer, (gsize)got))
        return fail(error, GUARDIAN_ERROR_FAILED, "the daemon hung up");
    return true;
}

/* Reads until a reply came; what else it says is dropped. NULL with error set. */
static Message *
read_reply(int fd, Frame *frame, gint64 deadline_us, GError **error)
{
    for (;;) {
        gsize length;
        const char *line = frame_next(frame, &length);
        g_autoptr(Message) message = NULL;

        if (!line) {
            if (!read_more(fd, frame, deadline_us, error))
                return NULL;
            continue;
        }
        message = message_parse(line, length, error);
        if (!message || message->kind == MESSAGE_REPLY)
            return g_steal_pointer(&message);
        if (message->kind == MESSAGE_ERROR) {
            g_autofree char *text = units_printable(message->text, -1);

            g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_FAILED, "the daemon refuses: %s",
                        text);
            return NULL;
        }
    }
}

/* What units_printable() holds at once, with room for a character that is cut. */
#define PRINTABLE_STEP 200

/* Whoever answers on the socket: a guardian's texts need no escape, and a terminal must not be told
 * anything by others. */
static bool
is_printable(const char *text)
{
    g_autofree char *without_escapes = g_strdelimit(g_strdup(text), "\\", '/');
    const char *at = without_escapes;

    if (!g_utf8_validate(at, -1, NULL))
        return false;
    while (*at) {
        gsize length = strnlen(at, PRINTABLE_STEP);
        g_autofree char *part = NULL, *printable = NULL;

        while (at[length] != '\0' && (at[length] & 0xc0) == 0x80) /* not within a character */
            length--;
        part = g_strndup(at, length);
        printable = units_printable(part, -1);
        if (strcmp(part, printable) != 0)
            return false;
        at += length;
    }
    return true;
}

static bool
node_is_printable(JsonNode *node)
{
    g_autoptr(GList) members = NULL;
    bool is_good = true;

    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return is_printable(json_node_get_string(node));
    if (JSON_NODE_HOLDS_OBJECT(node))
        members = json_object_get_values(json_node_get_object(node));
    else if (JSON_NODE_HOLDS_ARRAY(node))
        members = json_array_get_elements(json_node_get_array(node));
    for (const GList *member = members; member && is_good; member = member->next)
        is_good = node_is_printable(member->data);
    return is_good;
}

JsonNode *
ctl_ask(int fd, const char *command, GError **error)
{
    g_autofree char *request = g_strdup_printf("{\"execute\":\"qmp_capabilities\"}\n%s\n", command);
    gint64 deadline_us = g_get_monotonic_time() + DAEMON_DEADLINE_US;
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    g_autoptr(Message) negotiated = NULL;
    g_autoptr(Message) answer = NULL;

    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) {
        (void)fail(error, GUARDIAN_ERROR_FAILED,
                   errno == EPIPE || errno == ECONNRESET ? "the daemon hung up"
                                                         : "cannot write to the daemon");
        return NULL;
    }
    negotiated = read_reply(fd, frame, deadline_us, error);
    answer = negotiated ? read_reply(fd, frame, deadline_us, error) : NULL;
    if (!answer)
        return NULL;
    if (!answer->body || !JSON_NODE_HOLDS_OBJECT(answer->body) ||
        !node_is_printable(answer->body)) {
        (void)fail(error, GUARDIAN_ERROR_MALFORMED, "the daemon's answer is not readable");
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

bool
ctl_connect(const Host *host, int *ret_fd, GError **error)
{
    g_autoptr(GError) problem = NULL;
    pid_t peer = 0;
    int fd = host_connect_at(host_root_fd(host, HOST_RUN), CONTROL_SOCKET, &peer, &problem);

    if (fd < 0 && (g_error_matches(problem, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED) ||
                   g_error_matches(problem, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY))) {
        g_propagate_prefixed_error(error, g_steal_pointer(&problem), "the daemon: ");
        return false;
    }
    *ret_fd = fd;
    return true;
}

/* The state that the daemon behind fd tells; closes fd. */
static JsonNode *
ask_state(int fd, GError **error)
{
    JsonNode *state = ctl_ask(fd, "{\"execute\":\"status\"}", error);

    close(fd);
    if (state && !message_get_array(json_node_get_object(state), "vms")) {
        g_clear_pointer(&state, json_node_unref);
        (void)fail(error, GUARDIAN_ERROR_MALFORMED, "the daemon's answer is not a state");
    }
    return state;
}

/* Where nobody listens we look ourselves. */
static JsonNode *
ask_or_look(Host *host, GError **error)
{
    int fd;

    if (!ctl_connect(host, &fd, error))
        return NULL;
    return fd < 0 ? look_ourselves(host, error) : ask_state(fd, error);
}

JsonNode *
ctl_daemon_state(const Host *host)
{
    int fd;

    return ctl_connect(host, &fd, NULL) && fd >= 0 ? ask_state(fd, NULL) : NULL;
}

JsonNode *
ctl_state(const CtlOptions *options, GError **error)
{
    Host *host = host_new(options->roots, error);
    JsonNode *state = host ? ask_or_look(host, error) : NULL;

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
    g_autofree char *printable = units_printable(word, -1);
    JsonObject *found = NULL;

    for (guint i = 0; i < vms->len; i++) {
        if (!is_called(vms->pdata[i], word))
            continue;
        if (found) {
            g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_FAILED,
                        "more than one VM is called \"%s\"; use its process id (guardianctl list)",
                        printable);
            return NULL;
        }
        found = vms->pdata[i];
    }
    if (!found)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "no VM is called \"%s\"; see guardianctl list", printable);
    return found;
}
