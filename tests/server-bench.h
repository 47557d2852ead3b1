/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A server on a socket in a temporary directory, and peers that talk to it. Server and peers share
 * one thread: when an iteration of the context does nothing and a peer has nothing to read, nothing
 * more will come, because unix sockets deliver at once. Include t.h first. */

#include "frame.h"
#include "server.h"

#define NEGOTIATE "{\"execute\":\"qmp_capabilities\"}\n"
/* Verbs of the bench: echo (its arguments), peer, big (a text of BIG_BYTES), tell (sends the event
 * TOLD), fail. */
#define ECHO "{\"execute\":\"echo\"}\n"
/* More than a socket takes at once. */
#define BIG_BYTES (300 * 1024)

typedef struct {
    char *directory, *path;
    GMainContext *context;
    Server *server;
    guint n_executed;
} Bench;

typedef struct {
    int fd;
    Frame *frame;
    bool has_ended;
} Peer;

int bench_set_up(void **state);
int bench_tear_down(void **state);
/* Until nothing is ready. */
void bench_run(Bench *bench);

Peer *peer_connect(const Bench *bench);
/* Connected, greeted, qmp_capabilities answered. */
Peer *peer_negotiate(Bench *bench);
void peer_free(Peer *peer);
void peer_send(Peer *peer, const char *text);
/* false: nothing to read now. */
bool peer_read(Peer *peer);
/* The next line; NULL: nothing comes, or (has_ended) the server hung up. */
const char *peer_line(Bench *bench, Peer *peer);

void assert_line(Bench *bench, Peer *peer, const char *expected);
void assert_silent(Bench *bench, Peer *peer);
/* Hung up, without another line. */
void assert_dropped(Bench *bench, Peer *peer);
/* A request is answered. */
void assert_served(Bench *bench, Peer *peer);

JsonNode *object_node(void);

/* A test that starts with a bench. */
#define WITH_BENCH(test_name, function)                                                            \
    {                                                                                              \
        test_name, function, bench_set_up, bench_tear_down, NULL                                   \
    }

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)
