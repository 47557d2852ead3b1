/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-score.h"

#include "act-file.h"

#include <string.h>

char *
act_score_where(pid_t pid, guint64 start_ticks)
{
    return g_strdup_printf("%d:%" G_GUINT64_FORMAT, (int)pid, start_ticks);
}

/* The process that the record names; NULL when it is gone. */
static Proc *
process_open(const Host *host, const char *where)
{
    g_auto(GStrv) parts = g_strsplit(where, ":", 2);
    g_autoptr(Proc) proc = NULL;
    guint64 pid, start_ticks;

    if (g_strv_length(parts) != 2 ||
        !g_ascii_string_to_unsigned(parts[0], 10, 1, G_MAXINT32, &pid, NULL) ||
        !g_ascii_string_to_unsigned(parts[1], 10, 0, G_MAXUINT64, &start_ticks, NULL))
        return NULL;
    proc = proc_open(host, (pid_t)pid, NULL);
    if (!proc || proc_start_ticks(proc) != start_ticks || !proc_is_alive(proc))
        return NULL;
    return g_steal_pointer(&proc);
}

static bool
process_is_gone(const Host *host, const ActRecord *record)
{
    g_autoptr(Proc) proc = process_open(host, record->where);

    return !proc;
}

/* In the child. */
static void
job_run(int answer_fd, gconstpointer data)
{
    const ActJob *job = data;
    int fd = proc_dir_fd(job->proc);

    act_file_run(answer_fd, &(ActFile){.call = job->call,
                                       .dir_fd = fd,
                                       .process_fd = fd,
                                       .start_ticks = proc_start_ticks(job->proc)});
}

static bool
is_score(const char *value)
{
    return g_ascii_string_to_signed(value, 10, -1000, 1000, NULL, NULL);
}

/* NULL, or why nothing may be written: static. */
static const char *
job_prepare(ActJob *job)
{
    const ActRecord *record = job->call->record;
    g_autoptr(Proc) vm = NULL;

    if (strcmp(record->field, ACT_FIELD_SCORE) != 0 || !is_score(record->new_value))
        return "it is no score";
    vm = proc_open(job->call->host, record->subject.pid, NULL);
    if (!vm || proc_start_ticks(vm) != record->subject.start_ticks)
        return "the VM's process is gone";
    job->proc = process_open(job->call->host, record->where);
    return job->proc ? NULL : "the process is gone";
}

static void
process_run(ActCall *call)
{
    ActJob *job = act_job_new(call);

    act_job_begin(job, job_prepare(job), job_run, ACT_FILE_DEADLINE_US);
}

const ActMeans act_means_process = {
    .name = "process", .run = process_run, .is_gone = process_is_gone};
