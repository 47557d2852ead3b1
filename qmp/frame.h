/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes -> lines, capped. Pure: no descriptor, no clock. A line ends at '\n'; a '\r' before it is
 * dropped. The owner takes all lines after each push; then memory never exceeds the cap and one
 * push, whatever the peer sends, and shrinks again after a large line. */

#include <glib.h>
#include <stdbool.h>

/* libvirt's cap for the same socket: an 80-layer backing chain needs 115 KB, 10 MiB is never
 * honest. */
#define FRAME_CAP_REPLY (10 * 1024 * 1024)
/* The guardian's own control socket: a request is a short line. */
#define FRAME_CAP_REQUEST (64 * 1024)

typedef struct Frame Frame;

Frame *frame_new(gsize cap_bytes);
void frame_free(Frame *frame);
/* Adds what was read. false: a line grew past the cap, or more than the cap was left untaken; the
 * connection must be dropped, the frame holds nothing any more. */
bool frame_push(Frame *frame, const char *bytes, gsize length) G_GNUC_WARN_UNUSED_RESULT;
/* The next whole line, without its end; NUL-terminated, valid until the next frame_ call; NULL when
 * there is none yet. Embedded NULs stand: trust *ret_length. Empty lines are skipped. */
const char *frame_next(Frame *frame, gsize *ret_length);
/* Takes what came after the last newline (a hook that closes at once may send no newline); as
 * above, and NULL when nothing did. */
const char *frame_rest(Frame *frame, gsize *ret_length);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Frame, frame_free)
