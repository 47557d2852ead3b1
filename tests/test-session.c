/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "server-bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    const char *request, *reply;
} Exchange;

#define GENERIC(text) "{\"error\":{\"class\":\"GenericError\",\"desc\":\"" text "\"}"
#define NOT_FOUND(text) "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"" text "\"}"

static const struct {
    const char *name;
    Exchange facts;
} exchanges[] = {
    {"a request without an id gets a reply without one", {ECHO, "{\"return\":{}}"}},
    {"an integer id comes back",
     {"{\"execute\":\"echo\",\"id\":-9223372036854775808}\n",
      "{\"return\":{},\"id\":-9223372036854775808}"}},
    {"a string id comes back",
     {"{\"id\":\"libvirt-\\u00fc\",\"execute\":\"echo\"}\n",
      "{\"return\":{},\"id\":\"libvirt-\xc3\xbc\"}"}},
    {"a null id comes back",
     {"{\"execute\":\"echo\",\"id\":null}\n", "{\"return\":{},\"id\":null}"}},
    {"an object as id comes back",
     {"{\"execute\":\"echo\",\"id\":{\"a\":[1,true]}}\n",
      "{\"return\":{},\"id\":{\"a\":[1,true]}}"}},
    {"arguments arrive",
     {"{\"execute\":\"echo\",\"arguments\":{\"vm\":\"a\"}}\n", "{\"return\":{\"vm\":\"a\"}}"}},
    {"arguments of another type are refused",
     {"{\"execute\":\"echo\",\"arguments\":[1],\"id\":1}\n",
      GENERIC("QMP input member 'arguments' must be an object") ",\"id\":1}"}},
    {"an unknown command is CommandNotFound, with its id",
     {"{\"execute\":\"stop\",\"id\":1}\n", NOT_FOUND("no command stop") ",\"id\":1}"}},
    {"another error is GenericError, on one line, in UTF-8",
     {"{\"execute\":\"fail\"}\n", GENERIC("two\\nlines, \xef\xbf\xbd") "}"}},
    {"garbage gets an error without an id",
     {"GET / HTTP/1.1\r\n", GENERIC("malformed line: not an object") "}"}},
    {"a NUL byte is garbage too",
     {"{\"execute\":\"\\u0000\"}\n", GENERIC("malformed line: bad escape in a string") "}"}},
    {"a reply is no request",
     {"{\"return\":{},\"id\":3}\n", GENERIC("QMP input lacks member 'execute'") ",\"id\":3}"}},
    {"a second negotiation is refused",
     {NEGOTIATE, NOT_FOUND("Capabilities negotiation is already complete, command ignored") "}"}},
};

/* The table's row hides the bench's state: each row makes its own. */
static void
is_answered(void **state)
{
    const Exchange *facts = *state;
    void *made = NULL;

    assert_int_equal(bench_set_up(&made), 0);
    Bench *bench = made;
    g_autoptr(Peer) peer = peer_negotiate(bench);
    peer_send(peer, facts->request);
    assert_line(bench, peer, facts->reply);
    assert_served(bench, peer);
    bench_tear_down(&made);
}

static void
greets(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) peer = peer_connect(bench);

    assert_line(bench, peer,
                "{\"QMP\":{\"version\":{\"vm-guardian\":\"1.2.3-rc4\",\"qemu\":{\"major\":1,"
                "\"minor\":2,\"micro\":3},\"package\":\"vm-guardian\"},\"capabilities\":[]}}");
    assert_silent(bench, peer);
}

static void
too_early(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) peer = peer_connect(bench);

    assert_non_null(peer_line(bench, peer));
    peer_send(peer, "{\"execute\":\"echo\",\"id\":1}\n");
    assert_line(
        bench, peer,
        NOT_FOUND("Expecting capabilities negotiation with 'qmp_capabilities'") ",\"id\":1}");
    assert_int_equal(bench->n_executed, 0);
    peer_send(peer, NEGOTIATE ECHO);
    assert_line(bench, peer, "{\"return\":{}}");
    assert_line(bench, peer, "{\"return\":{}}");
    assert_int_equal(bench->n_executed, 1);
}

static void
hook_closes(void **state)
{
    Bench *bench = *state;

    for (guint round = 1; round <= 2; round++) {
        Peer *hook = peer_connect(bench);
        if (round == 2)
            bench_run(bench); /* the greeting is there, and stays unread */
        peer_send(hook, NEGOTIATE ECHO "{\"execute\":\"echo\"}");
        peer_free(hook);
        bench_run(bench);
        assert_int_equal(bench->n_executed, 2 * round);
    }
}

/* Small replies fill a socket after some hundred. */
static void
many_replies_at_eof(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) peer = peer_negotiate(bench);
    g_autoptr(GString) requests = g_string_new(NULL);

    for (guint i = 0; i < 2000; i++)
        g_string_append(requests, ECHO);
    peer_send(peer, requests->str);
    assert_return_code(shutdown(peer->fd, SHUT_WR), errno);
    bench_run(bench);
    assert_int_equal(bench->n_executed, 2000);
    for (guint i = 0; i < 2000; i++)
        assert_line(bench, peer, "{\"return\":{}}");
    assert_dropped(bench, peer);
}

static void
half_close(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) peer = peer_connect(bench);

    peer_send(peer, NEGOTIATE "{\"execute\":\"big\"}\n{\"execute\":\"big\"}");
    assert_return_code(shutdown(peer->fd, SHUT_WR), errno);
    assert_non_null(peer_line(bench, peer));
    assert_line(bench, peer, "{\"return\":{}}");
    for (guint i = 0; i < 2; i++)
        assert_int_equal(strlen(peer_line(bench, peer)), BIG_BYTES + strlen("{\"return\":\"\"}"));
    assert_dropped(bench, peer);
}

static void
knows_peer(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) peer = peer_negotiate(bench);
    g_autofree char *expected = g_strdup_printf(
        "{\"return\":{\"has_peer\":true,\"uid\":%d,\"pid\":%d}}", (int)getuid(), (int)getpid());

    peer_send(peer, "{\"execute\":\"peer\"}\n");
    assert_line(bench, peer, expected);
}

static void
long_command(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) innocent = peer_negotiate(bench);
    g_autoptr(Peer) guilty = peer_negotiate(bench);
    g_autofree char *chunk = g_strnfill(FRAME_CAP_REQUEST / 16, ' ');
    gsize sent = 0;

    peer_send(guilty, "{\"execute\":\"echo\"");
    while (sent < 1024 * 1024 && send(guilty->fd, chunk, strlen(chunk), MSG_NOSIGNAL) > 0) {
        sent += strlen(chunk);
        bench_run(bench);
    }
    assert_in_range(sent, FRAME_CAP_REQUEST - strlen(chunk), FRAME_CAP_REQUEST);
    assert_dropped(bench, guilty);
    assert_int_equal(bench->n_executed, 0);
    assert_served(bench, innocent);
}

static void
never_reads(void **state)
{
    Bench *bench = *state;
    g_autoptr(Peer) innocent = peer_negotiate(bench);
    g_autoptr(Peer) guilty = peer_negotiate(bench);

    for (guint i = 0; i < 100; i++)
        peer_send(guilty, "{\"execute\":\"big\"}\n");
    bench_run(bench);
    /* What the socket took, one reply waiting; not all hundred. */
    assert_in_range(bench->n_executed, 1, 20);
    assert_served(bench, innocent);
    for (guint i = 0; i < 100; i++)
        assert_non_null(peer_line(bench, guilty));
    assert_served(bench, guilty);
}

static void
idle_end(void **state)
{
    Bench *bench = *state;

    server_set_idle(bench->server, 500 * 1000);
    g_autoptr(Peer) talker = peer_negotiate(bench);
    g_autoptr(Peer) silent = peer_negotiate(bench);
    g_autoptr(Peer) dripper = peer_negotiate(bench);
    while (!silent->has_ended || !dripper->has_ended) {
        g_main_context_iteration(bench->context, FALSE);
        (void)!send(dripper->fd, " ", 1, MSG_NOSIGNAL);
        assert_served(bench, talker);
        assert_null(peer_line(bench, silent));
        assert_null(peer_line(bench, dripper));
    }
    assert_served(bench, talker);
}

static void
idle_reader(void **state)
{
    Bench *bench = *state;

    server_set_idle(bench->server, 500 * 1000);
    g_autoptr(Peer) guilty = peer_negotiate(bench);
    g_autoptr(Peer) talker = peer_negotiate(bench);
    for (guint i = 0; i < 10; i++)
        peer_send(guilty, "{\"execute\":\"big\"}\n");
    bench_run(bench);
    guint n_executed = bench->n_executed;
    gint64 end_us = g_get_monotonic_time() + 1000 * 1000;
    for (; g_get_monotonic_time() < end_us; n_executed++)
        assert_served(bench, talker);
    assert_int_equal(bench->n_executed, n_executed);
    while (peer_read(guilty))
        ;
    assert_true(guilty->has_ended);
    assert_served(bench, talker);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_BENCH("the greeting has a version as QMP clients expect", greets),
        WITH_BENCH("nothing is executed before the negotiation", too_early),
        WITH_BENCH("a hook that writes and closes at once is executed", hook_closes),
        WITH_BENCH("a peer that only stops writing gets all its replies", half_close),
        WITH_BENCH("replies past what the socket takes wait beyond EOF", many_replies_at_eof),
        WITH_BENCH("a verb knows who asks", knows_peer),
        WITH_BENCH("a command of 1 MiB is dropped at the cap", long_command),
        WITH_BENCH("who never reads is not executed further, and not lost", never_reads),
        WITH_BENCH("who never reads and waits is ended", idle_reader),
        WITH_BENCH("who is silent or drips is ended, who talks is not", idle_end),
    };
    struct CMUnitTest all[G_N_ELEMENTS(exchanges) + G_N_ELEMENTS(tests)];

    for (guint i = 0; i < G_N_ELEMENTS(exchanges); i++)
        all[i] = t_row(exchanges[i].name, is_answered, &exchanges[i].facts);
    memcpy(all + G_N_ELEMENTS(exchanges), tests, sizeof(tests));
    return cmocka_run_group_tests_name("session", all, NULL, NULL);
}
