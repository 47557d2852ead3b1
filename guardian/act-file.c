/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-file.h"

#include "act-client.h"
#include "act-score.h"
#include "units.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* "9223372036854771712\n" and the like. */
#define VALUE_BYTES_MAX 256
/* 52 fields of at most 20 digits, and a comm. */
#define STAT_BYTES 2048

/* What the child answers begins with one of these. */
#define ANSWER_VALUE 'v'   /* the value in force; nothing was written */
#define ANSWER_WRITTEN 'w' /* the value in force after the write */
#define ANSWER_PROBLEM 'p' /* nothing was written: why */
#define ANSWER_BROKEN 'b'  /* the write was tried and failed: why */

static void
answer(int fd, char kind, const char *text)
{
    char line[VALUE_BYTES_MAX + 256];
    int n = snprintf(line, sizeof line, "%c%s", kind, text);

    (void)!write(fd, line, MIN((gsize)n, sizeof line - 1));
}

static void
answer_errno(int fd, char kind, const char *what)
{
    const char *why = strerrordesc_np(errno);
    char text[256];

    snprintf(text, sizeof text, "%s: %s", what, why ? why : "unknown error");
    answer(fd, kind, text);
}

void
act_file_refuse(int answer_fd, const char *why)
{
    answer(answer_fd, ANSWER_PROBLEM, why);
}

void
act_file_refuse_errno(int answer_fd, const char *what)
{
    answer_errno(answer_fd, ANSWER_PROBLEM, what);
}

/* The process is the one of the record, in this instant. */
static bool
process_lives(const ActFile *file)
{
    char text[STAT_BYTES];
    ProcStat stat;
    auto_fd fd = host_open_beneath(file->process_fd, "stat", O_RDONLY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n <= 0)
        return false;
    text[n] = '\0';
    return proc_parse_stat(text, &stat) && stat.state != 'Z' && stat.state != 'X' &&
           stat.start_ticks == file->start_ticks;
}

/* The value without its newline. */
static bool
value_read(int fd, char value[VALUE_BYTES_MAX])
{
    ssize_t n = pread(fd, value, VALUE_BYTES_MAX - 1, 0);

    if (n < 0)
        return false;
    value[n] = '\0';
    value[strcspn(value, "\n")] = '\0';
    return true;
}

static bool
value_write(int fd, const ActRecord *record)
{
    char line[VALUE_BYTES_MAX];
    int length = snprintf(line, sizeof line, "%s\n", record->new_value);

    return length < VALUE_BYTES_MAX && pwrite(fd, line, (gsize)length, 0) == length;
}

static bool
is_same(const ActFile *file, const char *value)
{
    const ActRecord *record = file->call->record;
    const ActMeans *means = file->call->means;

    return means->is_same ? means->is_same(record->field, value, record->old_value)
                          : strcmp(value, record->old_value) == 0;
}

/* Nothing was done when the old value is still there. */
static void
answer_refused(int answer_fd, const ActFile *file, int fd, const char *what)
{
    int number = errno;
    char value[VALUE_BYTES_MAX];
    bool is_old = value_read(fd, value) && is_same(file, value);

    errno = number;
    answer_errno(answer_fd, is_old ? ANSWER_PROBLEM : ANSWER_BROKEN, what);
}

static const char *
refusal_words(const ActRecord *record)
{
    const char *failure = act_client_failure(record);

    if (failure)
        return failure;
    return strcmp(record->field, ACT_FIELD_SCORE) == 0 && errno == EACCES
               ? "less than the process began with needs CAP_SYS_RESOURCE"
               : "the kernel refuses the value";
}

static void
value_replace(int answer_fd, const ActFile *file, int fd, const char *present)
{
    const ActRecord *record = file->call->record;
    char value[VALUE_BYTES_MAX];

    if (!is_same(file, present)) {
        snprintf(value, sizeof value, "it was changed meanwhile, to %.40s", present);
        answer(answer_fd, ANSWER_PROBLEM, value);
    } else if (!process_lives(file)) {
        answer(answer_fd, ANSWER_PROBLEM, "the VM's process is gone");
    } else if (!(act_client_failure(record) ? act_client_write(record) : value_write(fd, record))) {
        answer_refused(answer_fd, file, fd, refusal_words(record));
    } else if (!value_read(fd, value)) {
        answer_errno(answer_fd, ANSWER_BROKEN, "it cannot be read back");
    } else {
        answer(answer_fd, ANSWER_WRITTEN, value);
    }
}

void
act_file_run(int answer_fd, const ActFile *file)
{
    const ActCall *call = file->call;
    bool is_written_here = !call->is_read_only && !act_client_failure(call->record);
    auto_fd fd = host_open_beneath(file->dir_fd, call->record->field,
                                   (is_written_here ? O_RDWR : O_RDONLY) | O_NONBLOCK);
    char value[VALUE_BYTES_MAX];

    if (fd < 0 || !value_read(fd, value))
        answer_errno(answer_fd, ANSWER_PROBLEM, "its value cannot be read");
    else if (call->is_read_only)
        answer(answer_fd, ANSWER_VALUE, value);
    else
        value_replace(answer_fd, file, fd, value);
}

/* What became of the child ends the call. */
static void
call_end(ActCall *call, const char *text, gsize length)
{
    g_autofree char *rest = text && length > 0 ? units_printable(text + 1, -1) : NULL;
    char kind = rest ? *text : ANSWER_BROKEN;
    bool is_value = kind == ANSWER_VALUE || kind == ANSWER_WRITTEN;

    if (!rest)
        act_call_end(call, !call->is_read_only, NULL, "the write did not end in time");
    else
        act_call_end(call, kind == ANSWER_WRITTEN || kind == ANSWER_BROKEN, is_value ? rest : NULL,
                     is_value ? NULL : rest);
}

ActJob *
act_job_new(ActCall *call)
{
    ActJob *job = g_new0(ActJob, 1);

    job->call = call;
    job->mount_fd = -1;
    return job;
}

static void
job_free(ActJob *job)
{
    proc_free(job->proc);
    fd_clear(&job->mount_fd);
    g_free(job);
}

static void
job_done(const char *text, gsize length, gpointer data)
{
    ActJob *job = data;
    ActCall *call = job->call;

    job_free(job);
    call_end(call, text, length);
}

void
act_job_begin(ActJob *job, const char *problem, ChildFunc run, gint64 deadline_us)
{
    ActCall *call = job->call;

    if (!problem && children_run(call->children,
                                 &(ChildCall){.run = run,
                                              .done = job_done,
                                              .data = job,
                                              .keep_fds = {proc_dir_fd(job->proc), job->mount_fd},
                                              .deadline_us = deadline_us}))
        return;
    job_free(job);
    act_call_end(call, false, NULL, problem ? problem : "too many processes of ours hang already");
}
