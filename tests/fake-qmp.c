/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-qmp.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    char *request, *answer;
} Line;

struct FakeQmp {
    GSource *source;
    gpointer tag;
    int fd;
    GQueue script; /* of Line */
    GString *in, *out;
    gsize chunk;
    guint n_lines, n_reads;
    gboolean hangs_up;
    char *wrong; /* both texts, once a line was not the expected one */
};

typedef struct {
    GSource base;
    FakeQmp *fake;
} FakeSource;

static void
line_free(gpointer data)
{
    Line *line = data;

    g_free(line->request);
    g_free(line->answer);
    g_free(line);
}

static void
fake_close(FakeQmp *fake)
{
    if (fake->fd < 0)
        return;
    g_source_destroy(fake->source);
    close(fake->fd);
    fake->fd = -1;
}

static void
fake_watch(FakeQmp *fake)
{
    if (fake->hangs_up && fake->out->len == 0 && fake->script.length == 0)
        fake_close(fake);
    if (fake->fd >= 0)
        g_source_modify_unix_fd(fake->source, fake->tag,
                                fake->out->len > 0 ? G_IO_IN | G_IO_OUT : G_IO_IN);
}

static void
fake_take_line(FakeQmp *fake, const char *text)
{
    Line *line = g_queue_pop_head(&fake->script);

    fake->n_lines++;
    if (!line || strcmp(line->request, text) != 0) {
        if (!fake->wrong)
            fake->wrong = g_strdup_printf("expected: %s\n     got: %s",
                                          line ? line->request : "nothing more", text);
        fake_close(fake);
    } else if (line->answer) {
        g_string_append(fake->out, line->answer);
    }
    fake_watch(fake);
    if (line)
        line_free(line);
}

static void
fake_read(FakeQmp *fake)
{
    char bytes[4096];
    gssize length = recv(fake->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (length <= 0) {
        fake_close(fake);
        return;
    }
    fake->n_reads++;
    g_string_append_len(fake->in, bytes, length);
    char *end;
    while (fake->fd >= 0 && (end = strchr(fake->in->str, '\n'))) {
        g_autofree char *line = g_strndup(fake->in->str, end - fake->in->str);
        g_string_erase(fake->in, 0, end - fake->in->str + 1);
        fake_take_line(fake, line);
    }
}

void
fake_qmp_flush(FakeQmp *fake)
{
    gssize length = send(fake->fd, fake->out->str, MIN(fake->out->len, fake->chunk),
                         MSG_DONTWAIT | MSG_NOSIGNAL);

    if (length > 0)
        g_string_erase(fake->out, 0, length);
    fake_watch(fake);
}

static gboolean
fake_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    FakeQmp *fake = ((FakeSource *)source)->fake;
    GIOCondition ready = g_source_query_unix_fd(source, fake->tag);

    if (ready & G_IO_OUT)
        fake_qmp_flush(fake);
    if (ready & ~G_IO_OUT)
        fake_read(fake);
    return fake->fd >= 0;
}

FakeQmp *
fake_qmp_new(GMainContext *context, int *ret_client_fd)
{
    static const GSourceFuncs funcs = {.dispatch = fake_dispatch};
    FakeQmp *fake = g_new0(FakeQmp, 1);
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    fake->fd = fds[0];
    fake->in = g_string_new(NULL);
    fake->out = g_string_new(NULL);
    fake->chunk = G_MAXSIZE;
    fake->source = g_source_new((GSourceFuncs *)&funcs, sizeof(FakeSource));
    ((FakeSource *)fake->source)->fake = fake;
    fake->tag = g_source_add_unix_fd(fake->source, fake->fd, G_IO_IN);
    g_source_attach(fake->source, context);
    *ret_client_fd = fds[1];
    return fake;
}

void
fake_qmp_free(FakeQmp *fake)
{
    fake_close(fake);
    g_source_unref(fake->source);
    g_queue_clear_full(&fake->script, line_free);
    g_string_free(fake->in, TRUE);
    g_string_free(fake->out, TRUE);
    g_free(fake->wrong);
    g_free(fake);
}

void
fake_qmp_expect(FakeQmp *fake, const char *request, const char *answer)
{
    Line *line = g_new0(Line, 1);

    line->request = g_strdup(request);
    line->answer = g_strdup(answer);
    g_queue_push_tail(&fake->script, line);
}

void
fake_qmp_greet(FakeQmp *fake)
{
    fake_qmp_send(fake, FAKE_GREETING, strlen(FAKE_GREETING));
    fake_qmp_expect(fake, FAKE_CAPABILITIES, "{\"return\": {}}\n");
}

void
fake_qmp_send(FakeQmp *fake, const char *bytes, gsize length)
{
    g_string_append_len(fake->out, bytes, length);
    fake_watch(fake);
}

void
fake_qmp_set_chunk(FakeQmp *fake, gsize bytes)
{
    fake->chunk = bytes;
}

void
fake_qmp_hang_up(FakeQmp *fake)
{
    fake->hangs_up = TRUE;
    fake_watch(fake);
}

guint
fake_qmp_lines(const FakeQmp *fake)
{
    return fake->n_lines;
}

guint
fake_qmp_reads(const FakeQmp *fake)
{
    return fake->n_reads;
}

void
fake_qmp_check(const FakeQmp *fake)
{
    const Line *missing = g_queue_peek_head((GQueue *)&fake->script);

    if (fake->wrong)
        fail_msg("%s", fake->wrong);
    if (missing)
        fail_msg("expected: %s\n     got: nothing", missing->request);
}
