/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "textfile.h"

#include "child.h"
#include "report.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not .prom: the collector must not read half a file. */
#define NEW_SUFFIX ".new"
/* A disk that lives takes a file of some KiB at once. */
#define WRITE_DEADLINE_US (10 * (gint64)G_USEC_PER_SEC)
/* Two writers that hang on a dead disk say enough. */
#define WRITERS_MAX 2

struct Textfile {
    const Guardian *guardian;
    const Alerting *alerting;
    void (*tell)(const char *line, gpointer data);
    gpointer data;
    Children *children;
    GSource *timer;
    /* of the child that writes */
    char *text, *path, *new_path;
    gsize length;
    char *told; /* what was told last; NULL: all is well */
    bool is_ending;
};

static bool
write_all(int fd, const char *text, gsize length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        length -= (gsize)n;
    }
    return true;
}

/* In the child: system calls only. Answers with what went wrong. A new inode, never one that
 * somebody else has put there: the directory may be the collector's. */
static void
write_file(int answer_fd, gconstpointer data)
{
    const Textfile *textfile = data;
    const char *why;
    int fd;

    unlink(textfile->new_path);
    fd = open(textfile->new_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0 && fchmod(fd, 0644) == 0 && write_all(fd, textfile->text, textfile->length) &&
        rename(textfile->new_path, textfile->path) == 0)
        return;
    why = strerrordesc_np(errno);
    unlink(textfile->new_path);
    why = why ? why : "unknown error";
    (void)!write(answer_fd, why, strlen(why));
}

/* NULL: all is well. Once until it changes. */
static void
tell_once(Textfile *textfile, const char *why)
{
    g_autofree char *path = units_printable(textfile->path, -1);
    g_autofree char *line =
        g_strdup_printf("[report] textfile = %s: %s%s", path, why ? "cannot be written: " : "",
                        why ? why : "is written again");

    if (g_strcmp0(textfile->told, why) == 0)
        return;
    g_free(textfile->told);
    textfile->told = g_strdup(why);
    textfile->tell(line, textfile->data);
}

static void
written(const char *answer, gsize length, gpointer data)
{
    Textfile *textfile = data;

    if (!textfile->is_ending)
        tell_once(textfile, !answer ? "it took too long" : length > 0 ? answer : NULL);
}

static void
textfile_fill(Textfile *textfile)
{
    const Host *host = guardian_host(textfile->guardian);
    gint64 offset = host_realtime_us(host) - host_monotonic_us(host);
    g_autoptr(JsonNode) state = report_state(textfile->guardian, true);
    g_autoptr(JsonNode) alerts = alerting_report(textfile->alerting);

    g_free(textfile->text);
    textfile->text = textfile_text(json_node_get_object(state), json_node_get_object(alerts),
                                   guardian_ticked_us(textfile->guardian) + offset);
    textfile->length = strlen(textfile->text);
}

void
textfile_write(Textfile *textfile)
{
    const char *path = guardian_limits(textfile->guardian)->textfile;
    const ChildCall call = {
        .run = write_file, .done = written, .data = textfile, .deadline_us = WRITE_DEADLINE_US};

    /* not before the first tick: the old file's heartbeat is the truth until then */
    if (!path || guardian_ticked_us(textfile->guardian) == 0 ||
        children_open(textfile->children) > 0)
        return;
    textfile_fill(textfile);
    g_free(textfile->path);
    g_free(textfile->new_path);
    textfile->path = g_strdup(path);
    textfile->new_path = g_strconcat(path, NEW_SUFFIX, NULL);
    if (!children_run(textfile->children, &call))
        tell_once(textfile, "writers of before hang");
}

static gboolean
on_timer(gpointer data)
{
    textfile_write(data);
    return G_SOURCE_CONTINUE;
}

Textfile *
textfile_new(const Guardian *guardian, const Alerting *alerting, GMainContext *context,
             void (*tell)(const char *line, gpointer data), gpointer data)
{
    Textfile *textfile = g_new0(Textfile, 1);

    textfile->guardian = guardian;
    textfile->alerting = alerting;
    textfile->tell = tell;
    textfile->data = data;
    textfile->children = children_new(context);
    children_set_max(textfile->children, WRITERS_MAX);
    textfile->timer = g_timeout_source_new((guint)(TEXTFILE_PERIOD_US / 1000));
    g_source_set_callback(textfile->timer, on_timer, textfile, NULL);
    g_source_attach(textfile->timer, context);
    return textfile;
}

void
textfile_free(Textfile *textfile)
{
    if (!textfile)
        return;
    textfile->is_ending = true;
    children_free(textfile->children);
    g_source_destroy(textfile->timer);
    g_source_unref(textfile->timer);
    g_free(textfile->text);
    g_free(textfile->path);
    g_free(textfile->new_path);
    g_free(textfile->told);
    g_free(textfile);
}
