/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frame.h"

#include <string.h>

/* One buffer, three offsets: 0 <= start <= whole <= used < capacity.
 *
 *   [ taken | whole lines | the unfinished line | free ]
 *           start         whole                 used
 *
 * Every byte is searched for its newline twice, when it is pushed and when its line is taken, never
 * again: a 10 MiB line that drips in byte by byte stays linear. What is left moves to the front
 * before a push; an owner that takes all lines after each push moves at most a part of one push. */

/* What an idle connection may keep: the reply of about ten disks, so that a steady tick allocates
 * nothing, and a hundred connections hold no more than 1.6 MB. */
#define FRAME_KEEP_BYTES (16 * 1024)
/* The first allocation: the reply of two disks without growing. */
#define FRAME_START_BYTES (4 * 1024)

struct Frame {
    gsize cap_bytes;
    char *buffer;
    gsize capacity;
    gsize start;
    gsize whole;
    gsize used;
};

Frame *
frame_new(gsize cap_bytes)
{
    Frame *frame = g_new0(Frame, 1);

    frame->cap_bytes = cap_bytes;
    return frame;
}

void
frame_free(Frame *frame)
{
    if (!frame)
        return;
    g_free(frame->buffer);
    g_free(frame);
}

static void
frame_clear(Frame *frame)
{
    g_clear_pointer(&frame->buffer, g_free);
    frame->capacity = frame->start = frame->whole = frame->used = 0;
}

static void
frame_move_to_front(Frame *frame)
{
    if (frame->start == 0)
        return;
    frame->used -= frame->start;
    frame->whole -= frame->start;
    memmove(frame->buffer, frame->buffer + frame->start, frame->used);
    frame->start = 0;
}

static void
frame_give_back(Frame *frame)
{
    if (frame->capacity <= FRAME_KEEP_BYTES || frame->used >= FRAME_KEEP_BYTES)
        return;
    frame->buffer = g_realloc(frame->buffer, FRAME_KEEP_BYTES);
    frame->capacity = FRAME_KEEP_BYTES;
}

/* Doubles, but not past the cap: only the push that brings a line's end may need more. */
static void
frame_reserve(Frame *frame, gsize length)
{
    gsize needed = frame->used + length + 1;

    if (needed <= frame->capacity)
        return;
    gsize doubled = MIN(MAX(2 * frame->capacity, FRAME_START_BYTES), frame->cap_bytes + 1);
    frame->capacity = MAX(needed, doubled);
    frame->buffer = g_realloc(frame->buffer, frame->capacity);
}

/* Whether every line, with `waiting` bytes before the first, stays within the cap; tells where the
 * unfinished one begins (0: no newline came). */
static bool
lines_fit(const char *bytes, gsize length, gsize waiting, gsize cap_bytes, gsize *ret_whole)
{
    gsize at = 0;
    const char *newline;

    while ((newline = memchr(bytes + at, '\n', length - at))) {
        gsize end = newline - bytes;
        if (waiting + end - at > cap_bytes)
            return false;
        waiting = 0;
        at = end + 1;
    }
    if (waiting + length - at > cap_bytes)
        return false;
    *ret_whole = at;
    return true;
}

bool
frame_push(Frame *frame, const char *bytes, gsize length)
{
    gsize whole = 0;

    if (length == 0)
        return true;
    if (frame->used - frame->start > frame->cap_bytes ||
        !lines_fit(bytes, length, frame->used - frame->whole, frame->cap_bytes, &whole)) {
        frame_clear(frame);
        return false;
    }
    frame_move_to_front(frame);
    frame_give_back(frame);
    frame_reserve(frame, length);
    memcpy(frame->buffer + frame->used, bytes, length);
    if (whole > 0)
        frame->whole = frame->used + whole;
    frame->used += length;
    return true;
}

/* Ends the line where its newline (or, in the rest, nothing) stands, and drops a '\r'. */
static const char *
line_end(char *line, gsize length, gsize *ret_length)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    line[length] = '\0';
    *ret_length = length;
    return line;
}

const char *
frame_next(Frame *frame, gsize *ret_length)
{
    while (frame->start < frame->whole) {
        char *line = frame->buffer + frame->start;
        char *newline = memchr(line, '\n', frame->whole - frame->start);
        gsize length = 0;

        frame->start += newline - line + 1;
        line_end(line, newline - line, &length);
        if (length > 0) {
            *ret_length = length;
            return line;
        }
    }
    frame_move_to_front(frame);
    frame_give_back(frame);
    return NULL;
}

const char *
frame_rest(Frame *frame, gsize *ret_length)
{
    gsize length = 0;

    if (frame->whole == frame->used)
        return NULL;
    char *line = frame->buffer + frame->whole;
    line_end(line, frame->used - frame->whole, &length);
    frame->start = frame->whole = frame->used;
    if (length == 0)
        return NULL;
    *ret_length = length;
    return line;
}
