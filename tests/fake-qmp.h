/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A scripted monitor on one end of a socketpair, on the test's own GMainContext: it expects exact
 * request lines in order, sends what the script says, and hangs up on anything else. It can also
 * stay silent, drip, send garbage and close. */

#include <glib.h>

#define FAKE_GREETING                                                                              \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "             \
    "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\n"
#define FAKE_CAPABILITIES "{\"execute\":\"qmp_capabilities\"}"

typedef struct FakeQmp FakeQmp;

/* *ret_client_fd is the other end, non-blocking, the caller's. */
FakeQmp *fake_qmp_new(GMainContext *context, int *ret_client_fd);
void fake_qmp_free(FakeQmp *fake);

/* The next line must be exactly request; then answer is sent as it stands (NULL: silence). */
void fake_qmp_expect(FakeQmp *fake, const char *request, const char *answer);
/* Sends the greeting now and expects the handshake. */
void fake_qmp_greet(FakeQmp *fake);
/* Sends bytes as they stand, as the peer takes them. */
void fake_qmp_send(FakeQmp *fake, const char *bytes, gsize length);
/* Sends what the peer takes now, without a turn of the loop. */
void fake_qmp_flush(FakeQmp *fake);
/* From now on at most so many bytes a turn of the loop (1: a drip). */
void fake_qmp_set_chunk(FakeQmp *fake, gsize bytes);
/* Hangs up as soon as the script is over and everything is sent. */
void fake_qmp_hang_up(FakeQmp *fake);

guint fake_qmp_lines(const FakeQmp *fake);
/* Reads that brought something: pipelined requests come in one. */
guint fake_qmp_reads(const FakeQmp *fake);
/* Fails the test with both texts if a line was not the expected one, or with the first expected
 * line that did not come. Not from a callback: a failed assertion jumps over the main loop. */
void fake_qmp_check(const FakeQmp *fake);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeQmp, fake_qmp_free)
