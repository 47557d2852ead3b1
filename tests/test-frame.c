/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "frame.h"

#include <malloc.h>
#include <string.h>

#define CHUNK (64 * 1024)

typedef struct {
    const char *bytes;
    gsize length;
    const char *lines; /* each followed by '|', NULs shown as '0' */
    const char *rest;  /* NULL: none */
    gsize cap;
} Case;

#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *name;
    Case facts;
} cases[] = {
    {"two lines are two lines", {BYTES("one\ntwo\n"), "one|two|", NULL, 100}},
    {"a carriage return before the end is dropped", {BYTES("one\r\ntwo\n"), "one|two|", NULL, 100}},
    {"only the last carriage return is dropped", {BYTES("a\rb\r\r\n"), "a\rb\r|", NULL, 100}},
    {"empty lines are skipped", {BYTES("\n\r\n\none\n\n\r\ntwo\n\n"), "one|two|", NULL, 100}},
    {"an embedded NUL stands", {BYTES("a\0b\n\0\nc\n"), "a0b|0|c|", NULL, 100}},
    {"what has no newline is the rest", {BYTES("one\ntwo"), "one|", "two", 100}},
    {"the rest loses its carriage return", {BYTES("one\r"), "", "one", 100}},
    {"a lone carriage return is no rest", {BYTES("one\n\r"), "one|", NULL, 100}},
    {"nothing is nothing", {BYTES(""), "", NULL, 100}},
    {"a line at the cap passes", {BYTES("12345\n1234\n12345\n"), "12345|1234|12345|", NULL, 5}},
    {"a rest at the cap passes", {BYTES("1\n12345"), "1|", "12345", 5}},
};

static void
take_lines(Frame *frame, GString *lines)
{
    const char *line;
    gsize length;

    while ((line = frame_next(frame, &length))) {
        assert_int_equal(line[length], '\0');
        for (gsize i = 0; i < length; i++)
            g_string_append_c(lines, line[i] ? line[i] : '0');
        g_string_append_c(lines, '|');
    }
}

/* Whatever the pieces, the lines are the same. */
static void
cuts_lines(void **state)
{
    const Case *facts = *state;

    for (gsize piece = 1; piece <= facts->length + 1; piece++) {
        g_autoptr(Frame) frame = frame_new(facts->cap);
        g_autoptr(GString) lines = g_string_new(NULL);
        gsize length = 0;

        for (gsize at = 0; at < facts->length; at += piece) {
            assert_true(frame_push(frame, facts->bytes + at, MIN(piece, facts->length - at)));
            take_lines(frame, lines);
        }
        const char *rest = frame_rest(frame, &length);
        assert_string_equal(lines->str, facts->lines);
        assert_int_equal(rest != NULL, facts->rest != NULL);
        if (rest) {
            assert_string_equal(rest, facts->rest);
            assert_int_equal(length, strlen(facts->rest));
        }
        assert_null(frame_rest(frame, &length));
    }
}

static void
past_the_cap(void **state)
{
    static const char *const texts[] = {"123456", "123456\n", "1\n123456\n", "1\n123456\n1\n"};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        for (gsize piece = 1; piece <= strlen(texts[i]); piece++) {
            g_autoptr(Frame) frame = frame_new(5);
            gsize length = 0, at = 0;

            while (at < strlen(texts[i]) &&
                   frame_push(frame, texts[i] + at, MIN(piece, strlen(texts[i]) - at)))
                at += piece;
            assert_true(at < strlen(texts[i]));
            assert_null(frame_next(frame, &length));
            assert_null(frame_rest(frame, &length));
            assert_true(frame_push(frame, "fresh\n", 6));
            assert_string_equal(frame_next(frame, &length), "fresh");
        }
    }
}

/* Rescanning the line for every byte would take 50,000 billion steps. */
static void
drips_in(void **state)
{
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    gsize length = 0;

    for (gsize i = 0; i < FRAME_CAP_REPLY; i++) {
        assert_true(frame_push(frame, "x", 1));
        if (frame_next(frame, &length))
            fail();
    }
    assert_true(frame_push(frame, "\n", 1));
    assert_non_null(frame_next(frame, &length));
    assert_int_equal(length, FRAME_CAP_REPLY);
}

static gsize
heap_bytes(void)
{
    struct mallinfo2 heap = mallinfo2();

    return heap.uordblks + heap.hblkhd;
}

/* false under a sanitizer, whose allocator glibc cannot count. */
static bool
heap_is_counted(void)
{
    gsize before = heap_bytes();
    g_autofree char *block = g_malloc(CHUNK);

    if (block && heap_bytes() >= before + CHUNK)
        return true;
    print_message("# not checked: the heap of this build cannot be counted\n");
    return false;
}

static void
endless_line(void **state)
{
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    g_autofree char *chunk = g_malloc(CHUNK);
    gsize before = heap_bytes(), peak = 0, sent = 0;
    bool is_counted = heap_is_counted();

    memset(chunk, '[', CHUNK);
    while (frame_push(frame, chunk, CHUNK)) {
        sent += CHUNK;
        peak = MAX(peak, heap_bytes());
    }
    assert_int_equal(sent, FRAME_CAP_REPLY);
    if (!is_counted)
        return;
    assert_in_range(peak - before, FRAME_CAP_REPLY, FRAME_CAP_REPLY + CHUNK);
    assert_in_range(heap_bytes(), 0, before + 1024);
}

static void
gives_back(void **state)
{
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    g_autofree char *large = g_malloc(1024 * 1024);
    gsize length = 0, before = heap_bytes();

    memset(large, 'x', 1024 * 1024);
    assert_true(frame_push(frame, large, 1024 * 1024));
    assert_true(frame_push(frame, "\nhalf", 5));
    assert_non_null(frame_next(frame, &length));
    assert_int_equal(length, 1024 * 1024);
    assert_null(frame_next(frame, &length));
    if (heap_is_counted())
        assert_in_range(heap_bytes(), 0, before + 32 * 1024);
    assert_true(frame_push(frame, " line\n", 6));
    assert_string_equal(frame_next(frame, &length), "half line");
}

/* The same buffer every time: a new one would move, or fail the count. */
static void
steady_tick(void **state)
{
    g_autoptr(Frame) frame = frame_new(FRAME_CAP_REPLY);
    g_autofree char *reply = g_strnfill(3000, 'r');
    const char *first = NULL;
    gsize length = 0, before = 0;

    for (guint tick = 0; tick < 1000; tick++) {
        assert_true(frame_push(frame, reply, 3000));
        assert_true(frame_push(frame, "\r\n", 2));
        const char *line = frame_next(frame, &length);
        assert_int_equal(length, 3000);
        assert_null(frame_next(frame, &length));
        if (tick == 0) {
            first = line;
            before = heap_bytes();
        }
        assert_ptr_equal(line, first);
        assert_int_equal(heap_bytes(), before);
    }
}

static void
untaken_lines(void **state)
{
    g_autoptr(Frame) frame = frame_new(1000);
    gsize sent = 0;

    while (frame_push(frame, "line\n", 5))
        sent += 5;
    assert_in_range(sent, 1000, 1010);
}

static void
late_taker(void **state)
{
    g_autoptr(Frame) frame = frame_new(100);
    g_autoptr(GString) lines = g_string_new(NULL);
    gsize length = 0;

    assert_true(frame_push(frame, "a\nb\nc", 5));
    assert_string_equal(frame_next(frame, &length), "a");
    assert_true(frame_push(frame, "d\ne", 3));
    take_lines(frame, lines);
    assert_string_equal(lines->str, "b|cd|");
    assert_string_equal(frame_rest(frame, &length), "e");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"a line past the cap is refused and forgotten", past_the_cap, NULL, NULL, NULL},
        {"a line that drips in byte by byte takes linear time", drips_in, NULL, NULL, NULL},
        {"an endless line costs no more than the cap", endless_line, NULL, NULL, NULL},
        {"what a large line took is given back", gives_back, NULL, NULL, NULL},
        {"a steady tick allocates nothing", steady_tick, NULL, NULL, NULL},
        {"an owner who takes no lines is bounded too", untaken_lines, NULL, NULL, NULL},
        {"lines taken late come out whole and in order", late_taker, NULL, NULL, NULL},
    };
    struct CMUnitTest all[G_N_ELEMENTS(cases) + G_N_ELEMENTS(tests)];

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
        all[i] = t_row(cases[i].name, cuts_lines, &cases[i].facts);
    memcpy(all + G_N_ELEMENTS(cases), tests, sizeof(tests));
    return cmocka_run_group_tests_name("frame", all, NULL, NULL);
}
