/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "frame.h"

#include <string.h>

/* The first byte is the size of the pieces. Whatever they are, the lines come out as from one
 * piece, none is past the cap, and all end in NUL. */
#define CAP 64

static GString *
collect(const guint8 *bytes, gsize length, gsize piece)
{
    g_autoptr(Frame) frame = frame_new(CAP);
    GString *lines = g_string_new(NULL);
    const char *line;
    gsize size = 0;

    for (gsize at = 0; at < length; at += piece) {
        if (!frame_push(frame, (const char *)bytes + at, MIN(piece, length - at)))
            return g_string_assign(lines, "past the cap");
        while ((line = frame_next(frame, &size))) {
            g_assert(size > 0 && size <= CAP && line[size] == '\0');
            g_string_append_len(lines, line, size);
            g_string_append_c(lines, '\n');
        }
    }
    line = frame_rest(frame, &size);
    return line ? g_string_append_len(lines, line, size) : lines;
}

int
LLVMFuzzerTestOneInput(const guint8 *bytes, gsize length)
{
    if (length < 2)
        return 0;
    GString *pieces = collect(bytes + 1, length - 1, MAX(bytes[0], 1));
    GString *whole = collect(bytes + 1, length - 1, length - 1);
    g_assert(g_string_equal(pieces, whole));
    g_string_free(pieces, TRUE);
    g_string_free(whole, TRUE);
    return 0;
}
