/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What can enter D (stat of an image on a dead file system, later state files and captures) runs in
 * a child process: a thread stuck there survives kill -9 of its process, a child does not hold us.
 * The child writes its answer into a pipe. Past its deadline it is killed and, when even that does
 * not end it, forgotten: at most CHILD_STUCK_MAX such are left before nothing new is started. */

#include <glib.h>
#include <stdbool.h>

#define CHILD_STUCK_MAX 8
/* An answer longer than this is cut. */
#define CHILD_ANSWER_MAX (64 * 1024)
/* A directory to read in, one to write in, and roots. */
#define CHILD_KEEP_MAX 6

/* Runs in the child after fork, in a process that may have had threads: only async-signal-safe
 * calls. */
typedef void (*ChildFunc)(int answer_fd, gconstpointer data);
/* Exactly once: the answer, or NULL when the child was late, was killed or crashed. Borrowed. */
typedef void (*ChildDoneFunc)(const char *answer, gsize length, gpointer user_data);

typedef struct {
    ChildFunc run;
    ChildDoneFunc done;
    gpointer data; /* of both */
    /* The descriptors that the child may use; 0 and -1: none. Every other one is closed there: a
     * child that hangs would hold a monitor that we have left, or the control socket after our end.
     */
    int keep_fds[CHILD_KEEP_MAX];
    gint64 deadline_us; /* from now */
} ChildCall;

typedef struct Children Children;

Children *children_new(GMainContext *context);
/* Another limit than CHILD_STUCK_MAX. */
void children_set_max(Children *children, guint max);
/* Kills what still runs; what is unanswered is answered with NULL. */
void children_free(Children *children);
/* false when it could not be started, or CHILD_STUCK_MAX are there; done() is then not called. */
bool children_run(Children *children, const ChildCall *call) G_GNUC_WARN_UNUSED_RESULT;
guint children_running(const Children *children); /* not ended yet, killed ones included */
guint children_open(const Children *children);    /* of these, the ones without an answer yet */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Children, children_free)
