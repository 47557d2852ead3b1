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

/* Runs in the child after fork, in a process that may have had threads: only async-signal-safe
 * calls. */
typedef void (*ChildFunc)(int answer_fd, gconstpointer data);
/* Exactly once: the answer, or NULL when the child was late or failed. Borrowed. */
typedef void (*ChildDoneFunc)(const char *answer, gsize length, gpointer user_data);

typedef struct Children Children;

Children *children_new(GMainContext *context);
/* Kills what still runs; what is unanswered is answered with NULL. */
void children_free(Children *children);
/* false when it could not be started; done() is then not called. */
bool children_run(Children *children, ChildFunc run, gconstpointer data, gint64 deadline_us,
                  ChildDoneFunc done, gpointer user_data) G_GNUC_WARN_UNUSED_RESULT;
guint children_running(const Children *children);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Children, children_free)
