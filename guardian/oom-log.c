/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-log.h"

#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <string.h>
#include <unistd.h>

/* The longest of the marks below. */
#define MARK_BYTES 8

static const struct {
    const char *mark;
    gsize length;
    const char *what, *remedy;
} refused[] = {
    {"\xfd"
     "7zXZ",
     5, "packed with xz", "xzcat"},
    {"\x28\xb5\x2f\xfd", 4, "packed with zstd", "zstdcat"},
    {"BZh", 3, "packed with bzip2", "bzcat"},
    {"LPKSHHRH", 8, "a journal", "journalctl -k --file"},
};

static GInputStream *
stream_open(const char *path, GError **error)
{
    g_autoptr(GFile) file = NULL;

    if (!path || strcmp(path, "-") == 0)
        return g_unix_input_stream_new(STDIN_FILENO, FALSE);
    file = g_file_new_for_path(path);
    return G_INPUT_STREAM(g_file_read(file, NULL, error));
}

static bool
is_readable(const char *head, gsize length, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        if (length < refused[i].length || memcmp(head, refused[i].mark, refused[i].length) != 0)
            continue;
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "it is %s: %s FILE | guardianctl oom -", refused[i].what, refused[i].remedy);
        return false;
    }
    return true;
}

/* Its first bytes, which stay in it; false on an error. */
static bool
stream_peek(GBufferedInputStream *stream, char *ret_head, gsize *ret_length, GError **error)
{
    gssize n = 1;

    while (n > 0 && g_buffered_input_stream_get_available(stream) < MARK_BYTES)
        n = g_buffered_input_stream_fill(stream, -1, NULL, error);
    *ret_length = g_buffered_input_stream_peek(stream, ret_head, 0, MARK_BYTES);
    return n >= 0;
}

bool
oom_log_read(const char *path, OomReader *reader, GError **error)
{
    g_autoptr(GInputStream) file = stream_open(path, error), stream = NULL;
    char head[MARK_BYTES], buffer[65536];
    gsize length = 0;
    gssize n;

    if (!file)
        return false;
    stream = g_buffered_input_stream_new(file);
    if (!stream_peek(G_BUFFERED_INPUT_STREAM(stream), head, &length, error) ||
        !is_readable(head, length, error))
        return false;
    if (length >= 2 && memcmp(head, "\x1f\x8b", 2) == 0) {
        g_autoptr(GZlibDecompressor) gzip = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
        g_autoptr(GInputStream) packed = g_steal_pointer(&stream);

        stream = g_converter_input_stream_new(packed, G_CONVERTER(gzip));
    }
    while ((n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, error)) > 0)
        oomreader_feed(reader, buffer, (gsize)n);
    return n == 0;
}
