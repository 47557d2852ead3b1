/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often a killed child is looked at until it is gone; it cannot be waited for. */
#define REAP_PERIOD_MS 1000

typedef struct {
    Children *children;
    pid_t pid;
    int fd;
    GSource *readable, *deadline;
    GString *answer;
    ChildDoneFunc done; /* NULL once called */
    gpointer user_data;
} Child;

struct Children {
    GMainContext *context;
    GPtrArray *running; /* of Child, owned: until reaped */
    GSource *reaper;
};

static void
source_clear(GSource **source)
{
    if (!*source)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void
child_free(gpointer data)
{
    Child *child = data;

    source_clear(&child->readable);
    source_clear(&child->deadline);
    if (child->fd >= 0)
        close(child->fd);
    g_string_free(child->answer, TRUE);
    g_free(child);
}

static gboolean
children_reap(gpointer data)
{
    Children *children = data;

    for (guint i = children->running->len; i-- > 0;) {
        const Child *child = children->running->pdata[i];

        if (!child->done && waitpid(child->pid, NULL, WNOHANG) != 0)
            g_ptr_array_remove_index_fast(children->running, i);
    }
    if (children->running->len > 0)
        return G_SOURCE_CONTINUE;
    g_clear_pointer(&children->reaper, g_source_unref);
    return G_SOURCE_REMOVE;
}

/* The answer is in, or will not come: tell, and end the child. */
static void
child_finish(Child *child, bool is_answered)
{
    ChildDoneFunc done = g_steal_pointer(&child->done);
    Children *children = child->children;
    g_autofree char *answer = g_strndup(child->answer->str, child->answer->len);
    gsize length = child->answer->len;
    gpointer user_data = child->user_data;

    source_clear(&child->readable);
    source_clear(&child->deadline);
    if (!is_answered)
        kill(child->pid, SIGKILL);
    if (waitpid(child->pid, NULL, WNOHANG) != 0) {
        g_ptr_array_remove_fast(children->running, child);
    } else if (!children->reaper) {
        children->reaper = g_timeout_source_new(REAP_PERIOD_MS);
        g_source_set_callback(children->reaper, children_reap, children, NULL);
        g_source_attach(children->reaper, children->context);
    }
    done(is_answered ? answer : NULL, is_answered ? length : 0, user_data);
}

static gboolean
child_readable(gint fd, GIOCondition condition, gpointer data)
{
    Child *child = data;
    char buffer[4096];
    gssize got = read(fd, buffer, sizeof buffer);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (got > 0 && child->answer->len + (gsize)got <= CHILD_ANSWER_MAX) {
        g_string_append_len(child->answer, buffer, got);
        return G_SOURCE_CONTINUE;
    }
    child_finish(child, got == 0);
    return G_SOURCE_REMOVE;
}

static gboolean
child_is_late(gpointer data)
{
    child_finish(data, false);
    return G_SOURCE_REMOVE;
}

static void
child_watch(Child *child, gint64 deadline_us)
{
    GMainContext *context = child->children->context;

    child->readable = g_unix_fd_source_new(child->fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
    g_source_set_callback(child->readable, G_SOURCE_FUNC(child_readable), child, NULL);
    g_source_attach(child->readable, context);
    child->deadline = g_timeout_source_new((guint)(deadline_us / 1000));
    g_source_set_callback(child->deadline, child_is_late, child, NULL);
    g_source_attach(child->deadline, context);
}

Children *
children_new(GMainContext *context)
{
    Children *children = g_new0(Children, 1);

    children->context = g_main_context_ref(context);
    children->running = g_ptr_array_new_with_free_func(child_free);
    return children;
}

void
children_free(Children *children)
{
    if (!children)
        return;
    for (guint i = 0; i < children->running->len; i++) {
        Child *child = children->running->pdata[i];

        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, WNOHANG);
        if (child->done)
            child->done(NULL, 0, child->user_data);
    }
    g_ptr_array_unref(children->running);
    source_clear(&children->reaper);
    g_main_context_unref(children->context);
    g_free(children);
}

bool
children_run(Children *children, ChildFunc run, gconstpointer data, gint64 deadline_us,
             ChildDoneFunc done, gpointer user_data)
{
    Child *child;
    int fds[2];
    pid_t pid;

    if (children->running->len >= CHILD_STUCK_MAX || pipe2(fds, O_CLOEXEC) < 0)
        return false;
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        run(fds[1], data);
        _exit(0);
    }
    close(fds[1]);
    if (pid < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
        close(fds[0]);
        return false;
    }
    child = g_new0(Child, 1);
    child->children = children;
    child->pid = pid;
    child->fd = fds[0];
    child->answer = g_string_new(NULL);
    child->done = done;
    child->user_data = user_data;
    g_ptr_array_add(children->running, child);
    child_watch(child, deadline_us);
    return true;
}

guint
children_running(const Children *children)
{
    return children->running->len;
}
