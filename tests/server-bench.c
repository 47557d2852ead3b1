/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "message.h"
#include "server-bench.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

JsonNode *
object_node(void)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, json_object_new());
    return node;
}

static JsonNode *
execute_peer(const ServerPeer *peer)
{
    JsonNode *node = object_node();

    json_object_set_boolean_member(json_node_get_object(node), "has_peer", peer->has_peer);
    json_object_set_int_member(json_node_get_object(node), "uid", peer->uid);
    json_object_set_int_member(json_node_get_object(node), "pid", peer->pid);
    return node;
}

static JsonNode *
execute(const char *command, JsonObject *arguments, const ServerPeer *peer, gpointer data,
        GError **error)
{
    Bench *bench = data;

    bench->n_executed++;
    if (strcmp(command, "echo") == 0) {
        JsonNode *node = object_node();
        if (arguments)
            json_node_set_object(node, arguments);
        return node;
    }
    if (strcmp(command, "peer") == 0)
        return execute_peer(peer);
    if (strcmp(command, "big") == 0) {
        g_autofree char *text = g_strnfill(BIG_BYTES, 'b');
        return json_node_init_string(json_node_alloc(), text);
    }
    if (strcmp(command, "tell") == 0) {
        server_send_event(bench->server, "TOLD", object_node());
        return object_node();
    }
    if (strcmp(command, "fail") == 0)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, "two\nlines, \xff");
    else
        g_set_error(error, QMP_ERROR, QMP_ERROR_COMMAND, "no command %s", command);
    return NULL;
}

static struct sockaddr_un
address_of(const Bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, bench->path, sizeof(address.sun_path));
    return address;
}

int
bench_set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    bench->directory = g_dir_make_tmp("test-server-XXXXXX", NULL);
    bench->path = g_build_filename(bench->directory, "socket", NULL);
    struct sockaddr_un address = address_of(bench);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 256) < 0)
        return -1;
    bench->context = g_main_context_new();
    bench->server = server_new(fd, bench->context, "1.2.3-rc4", execute, bench);
    *state = bench;
    return 0;
}

int
bench_tear_down(void **state)
{
    Bench *bench = *state;

    server_free(bench->server);
    g_main_context_unref(bench->context);
    g_unlink(bench->path);
    g_rmdir(bench->directory);
    g_free(bench->path);
    g_free(bench->directory);
    g_free(bench);
    return 0;
}

void
bench_run(Bench *bench)
{
    while (g_main_context_iteration(bench->context, FALSE))
        ;
}

void
peer_free(Peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    frame_free(peer->frame);
    g_free(peer);
}

Peer *
peer_connect(const Bench *bench)
{
    Peer *peer = g_new0(Peer, 1);
    struct sockaddr_un address = address_of(bench);

    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    peer->frame = frame_new(FRAME_CAP_REPLY);
    assert_return_code(connect(peer->fd, (struct sockaddr *)&address, sizeof(address)), errno);
    return peer;
}

void
peer_send(Peer *peer, const char *text)
{
    assert_int_equal(send(peer->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

bool
peer_read(Peer *peer)
{
    char bytes[4096];
    gssize length = read(peer->fd, bytes, sizeof(bytes));

    if (length > 0)
        assert_true(frame_push(peer->frame, bytes, length));
    else if (length == 0 || errno != EAGAIN)
        peer->has_ended = true;
    return length > 0;
}

const char *
peer_line(Bench *bench, Peer *peer)
{
    gsize length = 0;

    for (;;) {
        const char *line = frame_next(peer->frame, &length);
        if (line || peer->has_ended)
            return line;
        if (!peer_read(peer) && !peer->has_ended &&
            !g_main_context_iteration(bench->context, FALSE))
            return NULL;
    }
}

void
assert_line(Bench *bench, Peer *peer, const char *expected)
{
    const char *line = peer_line(bench, peer);

    assert_non_null(line);
    assert_string_equal(line, expected);
}

void
assert_silent(Bench *bench, Peer *peer)
{
    assert_null(peer_line(bench, peer));
    assert_false(peer->has_ended);
}

void
assert_dropped(Bench *bench, Peer *peer)
{
    assert_null(peer_line(bench, peer));
    assert_true(peer->has_ended);
}

Peer *
peer_negotiate(Bench *bench)
{
    Peer *peer = peer_connect(bench);

    peer_send(peer, NEGOTIATE);
    assert_non_null(strstr(peer_line(bench, peer), "QMP"));
    assert_line(bench, peer, "{\"return\":{}}");
    return peer;
}

void
assert_served(Bench *bench, Peer *peer)
{
    peer_send(peer, ECHO);
    assert_line(bench, peer, "{\"return\":{}}");
}
