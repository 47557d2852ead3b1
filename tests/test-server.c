/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "message.h"
#include "server-bench.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static void
half_open(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) innocent = peer_negotiate(bench);
    g_autoptr(GPtrArray) crowd = g_ptr_array_new_with_free_func((GDestroyNotify)peer_free);
    guint n_greeted = 0;

    for (guint i = 0; i < 100; i++)
        g_ptr_array_add(crowd, peer_connect(bench));
    for (guint i = 0; i < crowd->len; i++) {
        Peer *peer = g_ptr_array_index(crowd, i);
        n_greeted += peer_line(bench, peer) != NULL;
        assert_true(peer->has_ended || n_greeted == i + 1);
    }
    assert_int_equal(n_greeted, SERVER_CLIENTS_MAX - 1);
    assert_served(bench, innocent);
    g_ptr_array_set_size(crowd, 0);
    bench_run(bench);
    g_autoptr(Peer) next = peer_negotiate(bench);
    assert_served(bench, next);
}

static void
never_reads_events(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) innocent = peer_negotiate(bench);
    g_autoptr(Peer) guilty = peer_negotiate(bench);
    g_autofree char *text = g_strnfill(1024 * 1024, 'e');

    for (guint i = 0; i < 12; i++) {
        server_send_event(bench->server, "E", json_node_init_string(json_node_alloc(), text));
        assert_non_null(peer_line(bench, innocent));
    }
    /* It sees what the socket had taken, and the end. */
    while (peer_read(guilty))
        ;
    assert_true(guilty->has_ended);
    assert_served(bench, innocent);
}

static void
events(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) negotiated = peer_negotiate(bench);
    g_autoptr(Peer) greeted = peer_connect(bench);

    assert_non_null(peer_line(bench, greeted));
    server_send_event(bench->server, "ALERT", object_node());
    const char *line = peer_line(bench, negotiated);
    assert_non_null(line);
    g_autoptr(Message) event = message_parse(line, strlen(line), NULL);
    assert_non_null(event);
    assert_int_equal(event->kind, MESSAGE_EVENT);
    assert_string_equal(event->name, "ALERT");
    assert_true(JSON_NODE_HOLDS_OBJECT(event->body));
    JsonObject *stamp = message_get_object(json_node_get_object(event->root), "timestamp");
    guint64 seconds = 0, microseconds = G_USEC_PER_SEC;
    assert_true(message_get_u64(stamp, "seconds", &seconds));
    assert_true(message_get_u64(stamp, "microseconds", &microseconds));
    assert_in_range(seconds, g_get_real_time() / G_USEC_PER_SEC - 60,
                    g_get_real_time() / G_USEC_PER_SEC);
    assert_in_range(microseconds, 0, G_USEC_PER_SEC - 1);
    assert_silent(bench, negotiated);
    assert_silent(bench, greeted);
}

static void
event_from_within(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) teller = peer_negotiate(bench);
    g_autoptr(Peer) listener = peer_negotiate(bench);

    peer_send(teller, "{\"execute\":\"tell\"}\n");
    assert_non_null(strstr(peer_line(bench, teller), "TOLD"));
    assert_line(bench, teller, "{\"return\":{}}");
    assert_non_null(strstr(peer_line(bench, listener), "TOLD"));
    assert_silent(bench, listener);
}

static void
takes_turns(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) eager = peer_negotiate(bench);
    g_autoptr(Peer) innocent = peer_negotiate(bench);

    for (guint i = 0; i < 200; i++)
        peer_send(eager, ECHO);
    assert_served(bench, innocent);
    assert_in_range(bench->n_executed, 1, 20);
    bench_run(bench);
    assert_int_equal(bench->n_executed, 201);
}

/* A listener that stays readable while accept fails would run every time. */
static void
no_descriptors(void **state)
{
    Bench *bench = *state;
    struct rlimit limit, none;
    g_autoptr(Peer) innocent = peer_negotiate(bench);
    g_autoptr(Peer) waiting = peer_connect(bench);
    guint n_turns = 0;

    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    none = (struct rlimit){.rlim_cur = waiting->fd + 1, .rlim_max = limit.rlim_max};
    assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
    while (n_turns < 100 && g_main_context_iteration(bench->context, FALSE))
        n_turns++;
    assert_served(bench, innocent);
    assert_silent(bench, waiting);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    assert_in_range(n_turns, 1, 10);
    g_main_context_iteration(bench->context, TRUE);
    assert_non_null(strstr(peer_line(bench, waiting), "QMP"));
}

static void
server_leaves(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) peer = peer_negotiate(bench);
    g_autoptr(Peer) late = peer_connect(bench);

    g_clear_pointer(&bench->server, server_free);
    assert_dropped(bench, peer);
    assert_dropped(bench, late);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BENCH("a hundred half-open peers are bounded, others served", half_open),
        WITH_BENCH("who never reads its events is dropped", never_reads_events),
        WITH_BENCH("events reach those who negotiated", events),
        WITH_BENCH("a verb may send events", event_from_within),
        WITH_BENCH("an eager peer takes turns with the others", takes_turns),
        WITH_BENCH("out of descriptors the listener rests and comes back", no_descriptors),
        WITH_BENCH("the server hangs up when it leaves", server_leaves),
    };

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
