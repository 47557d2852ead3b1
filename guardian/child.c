/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef struct {
    Children *children;
    pid_t pid;
    int fd;
    GSource *readable, *deadline, *ended;
    GString *answer;
    ChildDoneFunc done; /* NULL once called */
    gpointer data;
} Child;

struct Children {
    GMainContext *context;
    guint max;
    GPtrArray *running; /* of Child, owned: until ended */
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
    source_clear(&child->ended);
    close(child->fd);
    g_string_free(child->answer, TRUE);
    g_free(child);
}

/* Takes what is in the pipe; false when nothing more will come, or no more is taken. */
static bool
child_read(Child *child)
{
    char buffer[4096];

    while (child->answer->len < CHILD_ANSWER_MAX) {
        gsize wanted = MIN(sizeof buffer, CHILD_ANSWER_MAX - child->answer->len);
        gssize got = read(child->fd, buffer, wanted);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        g_string_append_len(child->answer, buffer, got);
    }
    return false;
}

/* The last thing a caller does with a child that is in the table: done() may end them all. */
static void
child_answer(Child *child, bool has_answer)
{
    ChildDoneFunc done = g_steal_pointer(&child->done);

    source_clear(&child->readable);
    source_clear(&child->deadline);
    if (done)
        done(has_answer ? child->answer->str : NULL, has_answer ? child->answer->len : 0,
             child->data);
}

/* Its end is waited for, not the end of its answer: only its status tells whether it is whole. */
static gboolean
child_readable(gint fd, GIOCondition condition, gpointer data)
{
    Child *child = data;

    if (child_read(child))
        return G_SOURCE_CONTINUE;
    g_clear_pointer(&child->readable, g_source_unref);
    if (child->answer->len == CHILD_ANSWER_MAX) {
        kill(child->pid, SIGKILL); /* it may wait for room in the pipe for ever */
        child_answer(child, true);
    }
    return G_SOURCE_REMOVE;
}

static gboolean
child_is_late(gpointer data)
{
    Child *child = data;

    kill(child->pid, SIGKILL);
    child_answer(child, false);
    return G_SOURCE_REMOVE;
}

static void
child_ended(pid_t pid, gint wait_status, gpointer data)
{
    Child *child = data;
    guint index = 0;

    (void)child_read(child);
    if (g_ptr_array_find(child->children->running, child, &index))
        g_ptr_array_steal_index_fast(child->children->running, index);
    child_answer(child, wait_status == 0);
    child_free(child);
}

static GSource *
child_attach(const Child *child, GSource *source, GSourceFunc func)
{
    g_source_set_callback(source, func, (gpointer)child, NULL);
    g_source_attach(source, child->children->context);
    return source;
}

Children *
children_new(GMainContext *context)
{
    Children *children = g_new0(Children, 1);

    children->context = g_main_context_ref(context);
    children->max = CHILD_STUCK_MAX;
    children->running = g_ptr_array_new_with_free_func(child_free);
    return children;
}

void
children_set_max(Children *children, guint max)
{
    children->max = max;
}

void
children_free(Children *children)
{
    if (!children)
        return;
    for (guint i = 0; i < children->running->len; i++) {
        Child *child = children->running->pdata[i];

        kill(child->pid, SIGKILL);
        child_answer(child, false);
    }
    g_ptr_array_unref(children->running);
    g_main_context_unref(children->context);
    g_free(children);
}

/* Between fork and here a descriptor of ours lives twice, for microseconds. */
static void
close_all_but(const int keep_fds[CHILD_KEEP_MAX], int answer_fd)
{
    int next_fd = STDERR_FILENO + 1;

    for (;;) {
        int kept_fd = answer_fd >= next_fd ? answer_fd : G_MAXINT;

        for (guint i = 0; i < CHILD_KEEP_MAX; i++)
            if (keep_fds[i] >= next_fd)
                kept_fd = MIN(kept_fd, keep_fds[i]);
        if (kept_fd > next_fd)
            close_range((guint)next_fd, (guint)kept_fd - 1, 0);
        if (kept_fd == G_MAXINT)
            return;
        next_fd = kept_fd + 1;
    }
}

static pid_t
child_fork(const ChildCall *call, int answer_fd)
{
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* gone before it could be heard: nobody would end this child */
        _exit(1);
    close_all_but(call->keep_fds, answer_fd);
    call->run(answer_fd, call->data);
    _exit(0);
}

bool
children_run(Children *children, const ChildCall *call)
{
    Child *child;
    int fds[2];
    pid_t pid;

    if (children->running->len >= children->max || pipe2(fds, O_CLOEXEC) < 0)
        return false;
    pid = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : child_fork(call, fds[1]);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return false;
    }
    child = g_new0(Child, 1);
    child->children = children;
    child->pid = pid;
    child->fd = fds[0];
    child->answer = g_string_new(NULL);
    child->done = call->done;
    child->data = call->data;
    g_ptr_array_add(children->running, child);
    child->readable = child_attach(child, g_unix_fd_source_new(child->fd, G_IO_IN | G_IO_HUP),
                                   G_SOURCE_FUNC(child_readable));
    child->deadline =
        child_attach(child, g_timeout_source_new((guint)(call->deadline_us / 1000)), child_is_late);
    child->ended = child_attach(child, g_child_watch_source_new(pid), G_SOURCE_FUNC(child_ended));
    return true;
}

guint
children_running(const Children *children)
{
    return children->running->len;
}

guint
children_open(const Children *children)
{
    guint open = 0;

    for (guint i = 0; i < children->running->len; i++)
        open += ((const Child *)children->running->pdata[i])->done != NULL;
    return open;
}
