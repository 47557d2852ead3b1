/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker.h"

#include "ready-source.h"

#include <pthread.h>

/* Reading a file and splitting a string; 8 MiB would be locked memory for nothing. */
#define WORKER_STACK_BYTES (256 * 1024)

/* One call. The thread and the table hold a reference each. The thread writes result and then wakes
 * `returned`; the context looks at result only in that source. The source is the context's: when
 * the workers end it is destroyed there, and waking it means nothing any more. */
typedef struct {
    gint references;
    Workers *workers; /* only read in the context */
    char *target;
    WorkerCall call;
    GMainContext *context; /* must outlive the source */
    GSource *deadline, *returned;
    gpointer result;
    bool is_late;
} Job;

struct Workers {
    GMainContext *context;
    guint threads_max;
    GHashTable *jobs; /* target -> Job */
};

static void
job_unref(Job *job)
{
    if (!g_atomic_int_dec_and_test(&job->references))
        return;
    if (job->result && job->call.free_result)
        job->call.free_result(job->result);
    g_source_unref(job->returned);
    g_main_context_unref(job->context);
    g_free(job->target);
    g_free(job);
}

static void
job_end_deadline(Job *job)
{
    if (!job->deadline)
        return;
    g_source_destroy(job->deadline);
    g_clear_pointer(&job->deadline, g_source_unref);
}

static gboolean
job_returned(gpointer data)
{
    Job *job = data;

    g_hash_table_steal(job->workers->jobs, job->target);
    job_end_deadline(job);
    if (!job->is_late)
        job->call.done(g_steal_pointer(&job->result), false, job->call.user_data);
    else if (job->call.returned)
        job->call.returned(g_steal_pointer(&job->result), job->call.user_data);
    job_unref(job);
    return G_SOURCE_REMOVE;
}

static gboolean
job_is_late(gpointer data)
{
    Job *job = data;

    g_clear_pointer(&job->deadline, g_source_unref);
    job->is_late = true;
    job->call.done(NULL, true, job->call.user_data);
    return G_SOURCE_REMOVE;
}

static void *
job_thread(void *data)
{
    Job *job = data;

    job->result = job->call.run(job->call.data);
    if (job->call.free_data)
        job->call.free_data(job->call.data);
    g_source_set_ready_time(job->returned, 0);
    job_unref(job);
    return NULL;
}

static bool
job_start(Job *job)
{
    pthread_attr_t attributes;
    pthread_t thread;
    bool is_started;

    if (pthread_attr_init(&attributes) != 0)
        return false;
    is_started = pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES) == 0 &&
                 pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
                 pthread_create(&thread, &attributes, job_thread, job) == 0;
    pthread_attr_destroy(&attributes);
    return is_started;
}

static void
job_orphan(gpointer data)
{
    Job *job = data;

    g_source_destroy(job->returned);
    job_end_deadline(job);
    job_unref(job);
}

Workers *
workers_new(GMainContext *context, guint threads_max)
{
    Workers *workers = g_new0(Workers, 1);

    workers->context = g_main_context_ref(context);
    workers->threads_max = threads_max;
    workers->jobs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, job_orphan);
    return workers;
}

void
workers_free(Workers *workers)
{
    if (!workers)
        return;
    g_hash_table_destroy(workers->jobs);
    g_main_context_unref(workers->context);
    g_free(workers);
}

static Job *
job_new(Workers *workers, const char *target, const WorkerCall *call)
{
    Job *job = g_new0(Job, 1);

    job->references = 2;
    job->workers = workers;
    job->target = g_strdup(target);
    job->call = *call;
    job->context = g_main_context_ref(workers->context);
    job->returned = ready_source_new(job_returned, job);
    g_source_attach(job->returned, job->context);
    return job;
}

bool
workers_run(Workers *workers, const char *target, const WorkerCall *call)
{
    Job *job = NULL;

    if (!workers_is_busy(workers, target) &&
        g_hash_table_size(workers->jobs) < workers->threads_max)
        job = job_new(workers, target, call);
    if (!job || !job_start(job)) {
        if (call->free_data)
            call->free_data(call->data);
        if (job) {
            g_source_destroy(job->returned);
            job->references = 1;
            job_unref(job);
        }
        return false;
    }
    job->deadline = g_timeout_source_new((guint)(call->deadline_us / 1000));
    g_source_set_callback(job->deadline, job_is_late, job, NULL);
    g_source_attach(job->deadline, workers->context);
    g_hash_table_insert(workers->jobs, job->target, job);
    return true;
}

bool
workers_is_busy(const Workers *workers, const char *target)
{
    return g_hash_table_contains(workers->jobs, target);
}

guint
workers_stuck(const Workers *workers)
{
    GHashTableIter iter;
    gpointer value;
    guint stuck = 0;

    g_hash_table_iter_init(&iter, workers->jobs);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        stuck += ((const Job *)value)->is_late;
    return stuck;
}
