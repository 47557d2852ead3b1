/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Calls that may block for ever (/proc/<pid>/cmdline of a hung process) run here: one call in
 * flight per target, a deadline, and a call that is stuck is set aside and never started again
 * while it is. The number of threads is bounded, stuck ones included. Nothing is shared with the
 * thread but the call's own data. */

#include <glib.h>
#include <stdbool.h>

typedef struct Workers Workers;

/* In the thread. Returns what done() is given; must not touch anything but data. */
typedef gpointer (*WorkerFunc)(gpointer data);
/* In the context: exactly once a call. is_late: the deadline passed, result is NULL, and what the
 * thread returns one day is freed. Takes result. */
typedef void (*WorkerDoneFunc)(gpointer result, bool is_late, gpointer user_data);
/* In the context, after done() was told that it is late: the thread came back at last. Takes
 * result. */
typedef void (*WorkerReturnedFunc)(gpointer result, gpointer user_data);

typedef struct {
    WorkerFunc run;
    gpointer data;
    GDestroyNotify free_data;   /* in the thread, after run; may be NULL */
    GDestroyNotify free_result; /* of a result that nobody takes any more; may be NULL */
    WorkerDoneFunc done;
    WorkerReturnedFunc returned; /* NULL: a late result is freed */
    gpointer user_data;
    gint64 deadline_us; /* from now */
} WorkerCall;

Workers *workers_new(GMainContext *context, guint threads_max);
/* Does not wait for stuck threads: they keep what they need and end by themselves. Calls in flight
 * get no done() and no returned() any more. */
void workers_free(Workers *workers);
/* false, and data is freed: a call for that target is in flight or stuck, or all threads are taken.
 */
bool workers_run(Workers *workers, const char *target,
                 const WorkerCall *call) G_GNUC_WARN_UNUSED_RESULT;
bool workers_is_busy(const Workers *workers, const char *target);
guint workers_stuck(const Workers *workers); /* past their deadline and still not back */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Workers, workers_free)
