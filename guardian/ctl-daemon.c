/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-daemon.h"

#include "control.h"
#include "frame.h"
#include "message.h"
#include "units.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* The daemon answers from memory, between two ticks. */
#define DAEMON_DEADLINE_US (5 * G_USEC_PER_SEC)

static bool
fail(GError **error, int code, const char *text)
{
    g_set_error_literal(error, GUARDIAN_ERROR, code, text);
    return false;
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
    auto_fd daemon_fd = fd;
    g_autofree char *request = g_strdup_printf("{\"execute\":\"qmp_capabilities\"}\n%s\n", command);
    gint64 deadline_us = g_get_monotonic_time() + DAEMON_DEADLINE_US;
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    g_autoptr(Message) negotiated = NULL;
    g_autoptr(Message) answer = NULL;

    if (send(daemon_fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) {
        (void)fail(error, GUARDIAN_ERROR_FAILED,
                   errno == EPIPE || errno == ECONNRESET ? "the daemon hung up"
                                                         : "cannot write to the daemon");
        return NULL;
    }
    negotiated = read_reply(daemon_fd, frame, deadline_us, error);
    answer = negotiated ? read_reply(daemon_fd, frame, deadline_us, error) : NULL;
    if (!answer)
        return NULL;
    if (!answer->body || !JSON_NODE_HOLDS_OBJECT(answer->body) ||
        !node_is_printable(answer->body)) {
        (void)fail(error, GUARDIAN_ERROR_MALFORMED, "the daemon's answer is not readable");
        return NULL;
    }
    return json_node_copy(answer->body);
}

JsonNode *
ctl_ask_again(const Host *host, const char *command, GError **error)
{
    int fd;

    if (!ctl_connect(host, &fd, error))
        return NULL;
    if (fd >= 0)
        return ctl_ask(fd, command, error);
    (void)fail(error, GUARDIAN_ERROR_GONE, "the daemon is gone");
    return NULL;
}

bool
ctl_is_complete(JsonNode *answer)
{
    bool complete = false;

    (void)message_get_bool(json_node_get_object(answer), "complete", &complete);
    return complete;
}

JsonBuilder *
ctl_command_begin(const char *command)
{
    JsonBuilder *builder = json_builder_new();

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "execute");
    json_builder_add_string_value(builder, command);
    json_builder_set_member_name(builder, "arguments");
    json_builder_begin_object(builder);
    return builder;
}

void
ctl_command_text(JsonBuilder *builder, const char *name, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, valid);
}

char *
ctl_command_end(JsonBuilder *command)
{
    g_autoptr(JsonBuilder) builder = command;
    g_autoptr(JsonNode) root = NULL;

    json_builder_end_object(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}
