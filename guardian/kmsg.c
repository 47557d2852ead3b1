/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kmsg.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

/* The kernel's CONSOLE_EXT_LOG_MAX: no record is longer. */
#define RECORD_BYTES_MAX 8192
/* Read before the loop gets its turn again: a whole report of a small domain. */
#define RECORDS_PER_TURN 64

struct Kmsg {
    int fd;
    GSource *source;
    KmsgFuncs funcs;
    GString *rest; /* a record whose end has not come yet; the kernel's own come whole */
};

int
kmsg_open(const Host *host, GError **error)
{
    return host_open(host, HOST_DEV, "kmsg", O_RDONLY | O_NONBLOCK, error);
}

static void
append_byte(GString *text, char byte, const char *stamp)
{
    if (byte == '\n')
        g_string_append_printf(text, "\n%s", stamp);
    else
        g_string_append_c(text, byte != '\0' ? byte : '?');
}

static void
append_unescaped(GString *text, const char *at, const char *end, const char *stamp)
{
    while (at < end) {
        if (end - at >= 4 && at[0] == '\\' && at[1] == 'x' && g_ascii_isxdigit(at[2]) &&
            g_ascii_isxdigit(at[3])) {
            append_byte(text,
                        (char)(g_ascii_xdigit_value(at[2]) * 16 + g_ascii_xdigit_value(at[3])),
                        stamp);
            at += 4;
        } else {
            append_byte(text, *at++, stamp);
        }
    }
}

char *
kmsg_record_text(const char *record, gsize length)
{
    const char *message = memchr(record, ';', length);
    const char *end = memchr(record, '\n', length);
    g_autofree char *head = message ? g_strndup(record, (gsize)(message - record)) : NULL;
    g_auto(GStrv) fields = head ? g_strsplit(head, ",", -1) : NULL;
    g_autofree char *stamp = NULL;
    guint64 us;
    GString *text;

    if (!message || (end && end < message) || g_strv_length(fields) < 4 ||
        !g_ascii_string_to_unsigned(fields[2], 10, 0, G_MAXINT64, &us, NULL))
        return NULL;
    stamp = g_strdup_printf("[%5" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT "] ",
                            us / G_USEC_PER_SEC, us % G_USEC_PER_SEC);
    text = g_string_new(stamp);
    /* lines after the first are not the message but what it is of: "SUBSYSTEM=..." */
    append_unescaped(text, message + 1, end ? end : record + length, stamp);
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

static void
take_line(Kmsg *kmsg, const char *record, gsize length)
{
    g_autofree char *text = *record != ' ' ? kmsg_record_text(record, length) : NULL;

    if (text)
        kmsg->funcs.line(text, strlen(text), kmsg->funcs.data);
}

static void
take_bytes(Kmsg *kmsg, const char *bytes, gsize length)
{
    const char *newline;
    gsize used = 0;

    g_string_append_len(kmsg->rest, bytes, (gssize)length);
    while ((newline = memchr(kmsg->rest->str + used, '\n', kmsg->rest->len - used))) {
        gsize line = (gsize)(newline - kmsg->rest->str) + 1 - used;

        take_line(kmsg, kmsg->rest->str + used, line);
        used += line;
    }
    g_string_erase(kmsg->rest, 0, (gssize)used);
    if (kmsg->rest->len > RECORD_BYTES_MAX)
        g_string_truncate(kmsg->rest, 0);
}

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer data)
{
    Kmsg *kmsg = data;
    char buffer[RECORD_BYTES_MAX];

    for (guint i = 0; i < RECORDS_PER_TURN; i++) {
        ssize_t got = read(fd, buffer, sizeof buffer);

        if (got > 0) {
            take_bytes(kmsg, buffer, (gsize)got);
        } else if (got < 0 && (errno == EPIPE || errno == EINVAL)) {
            g_string_truncate(kmsg->rest, 0);
            kmsg->funcs.lost(kmsg->funcs.data); /* the next read goes on with what is left */
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return G_SOURCE_CONTINUE;
        } else {
            kmsg->funcs.ended(got < 0 ? g_strerror(errno) : "it was closed", kmsg->funcs.data);
            return G_SOURCE_REMOVE;
        }
    }
    return G_SOURCE_CONTINUE;
}

Kmsg *
kmsg_new(int fd, GMainContext *context, const KmsgFuncs *funcs)
{
    Kmsg *kmsg = g_new0(Kmsg, 1);

    kmsg->fd = fd;
    kmsg->funcs = *funcs;
    kmsg->rest = g_string_new(NULL);
    kmsg->source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_priority(kmsg->source, G_PRIORITY_LOW);
    g_source_set_callback(kmsg->source, G_SOURCE_FUNC(on_readable), kmsg, NULL);
    g_source_attach(kmsg->source, context);
    return kmsg;
}

void
kmsg_free(Kmsg *kmsg)
{
    if (!kmsg)
        return;
    g_source_destroy(kmsg->source);
    g_source_unref(kmsg->source);
    fd_clear(&kmsg->fd);
    g_string_free(kmsg->rest, TRUE);
    g_free(kmsg);
}
