/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-client.h"
#include "act-means.h"
#include "cgroup-place.h"
#include "units.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A write to a limit returns at once when it is raised; when it is lowered the kernel reclaims
 * first, and gives up by itself long before this. */
#define WRITE_DEADLINE_US (10 * G_USEC_PER_SEC)
/* libvirtd waits 30 s for a job that another holds, systemd's client 25 s for an answer: who is
 * given up before that may still write later, unseen. */
#define CLIENT_DEADLINE_US (40 * G_USEC_PER_SEC)
/* "9223372036854771712\n" and the like. */
#define VALUE_BYTES_MAX 256
/* 52 fields of at most 20 digits, and a comm. */
#define STAT_BYTES 2048

/* What the child answers begins with one of these. */
#define ANSWER_VALUE 'v'   /* the value in force; nothing was written */
#define ANSWER_WRITTEN 'w' /* the value in force after the write */
#define ANSWER_PROBLEM 'p' /* nothing was written: why */
#define ANSWER_BROKEN 'b'  /* the write was tried and failed: why */

typedef struct {
    ActCall *call;
    Proc *proc;
    CgroupPlace place;
} Job;

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

/* The process is the one of the record, in this instant. */
static bool
subject_lives(const Job *job)
{
    char text[STAT_BYTES];
    ProcStat stat;
    auto_fd fd = host_open_beneath(proc_dir_fd(job->proc), "stat", O_RDONLY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n <= 0)
        return false;
    text[n] = '\0';
    return proc_parse_stat(text, &stat) && stat.state != 'Z' && stat.state != 'X' &&
           stat.start_ticks == job->call->record->subject.start_ticks;
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

/* -1 after an answer. */
static int
group_open(int answer_fd, const Job *job)
{
    const ActRecord *record = job->call->record;
    auto_fd fd = host_open_beneath(job->place.mount_fd, record->where + 1, O_PATH | O_DIRECTORY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        answer_errno(answer_fd, ANSWER_PROBLEM, "its cgroup cannot be opened");
        return -1;
    }
    if (st.st_ino != record->group_id) {
        answer(answer_fd, ANSWER_PROBLEM, "another cgroup has its path now");
        return -1;
    }
    return fd_steal(&fd);
}

/* As a file of the group. */
static bool
file_write(int fd, const ActRecord *record)
{
    char line[VALUE_BYTES_MAX];
    int length = snprintf(line, sizeof line, "%s\n", record->new_value);

    return length < VALUE_BYTES_MAX && pwrite(fd, line, (gsize)length, 0) == length;
}

/* Nothing was done when the old value is still there. */
static void
answer_refused(int answer_fd, const Job *job, int fd, const char *what)
{
    const ActRecord *record = job->call->record;
    int number = errno;
    char value[VALUE_BYTES_MAX];
    bool is_old =
        value_read(fd, value) && act_means_cgroup.is_same(record->field, value, record->old_value);

    errno = number;
    answer_errno(answer_fd, is_old ? ANSWER_PROBLEM : ANSWER_BROKEN, what);
}

static void
value_replace(int answer_fd, const Job *job, int fd, const char *present)
{
    const ActRecord *record = job->call->record;
    char value[VALUE_BYTES_MAX];
    const char *failure = act_client_failure(record);

    if (!act_means_cgroup.is_same(record->field, present, record->old_value)) {
        snprintf(value, sizeof value, "it was changed meanwhile, to %.40s", present);
        answer(answer_fd, ANSWER_PROBLEM, value);
    } else if (!subject_lives(job)) {
        answer(answer_fd, ANSWER_PROBLEM, "the VM's process is gone");
    } else if (!(failure ? act_client_write(record) : file_write(fd, record))) {
        answer_refused(answer_fd, job, fd, failure ? failure : "the kernel refuses the value");
    } else if (!value_read(fd, value)) {
        answer_errno(answer_fd, ANSWER_BROKEN, "it cannot be read back");
    } else {
        answer(answer_fd, ANSWER_WRITTEN, value);
    }
}

/* In the child. */
static void
job_run(int answer_fd, gconstpointer data)
{
    const Job *job = data;
    const ActCall *call = job->call;
    auto_fd group_fd = group_open(answer_fd, job);
    auto_fd fd = -1;
    bool is_ours = !act_client_failure(call->record);
    char value[VALUE_BYTES_MAX];

    if (group_fd < 0)
        return;
    fd = host_open_beneath(group_fd, call->record->field,
                           (call->is_read_only || !is_ours ? O_RDONLY : O_RDWR) | O_NONBLOCK);
    if (fd < 0 || !value_read(fd, value))
        answer_errno(answer_fd, ANSWER_PROBLEM, "its limit cannot be read");
    else if (call->is_read_only)
        answer(answer_fd, ANSWER_VALUE, value);
    else
        value_replace(answer_fd, job, fd, value);
}

static void
job_free(Job *job)
{
    proc_free(job->proc);
    fd_clear(&job->place.mount_fd);
    g_free(job->place.path);
    g_free(job);
}

static void
job_done(const char *text, gsize length, gpointer data)
{
    Job *job = data;
    ActCall *call = job->call;
    g_autofree char *rest = text && length > 0 ? units_printable(text + 1, -1) : NULL;
    char kind = rest ? *text : ANSWER_BROKEN;
    bool is_value = kind == ANSWER_VALUE || kind == ANSWER_WRITTEN;

    job_free(job);
    if (!rest)
        act_call_end(call, !call->is_read_only, NULL, "the write did not end in time");
    else
        act_call_end(call, kind == ANSWER_WRITTEN || kind == ANSWER_BROKEN, is_value ? rest : NULL,
                     is_value ? NULL : rest);
}

/* Is it the process's own group, or one above it? */
static bool
is_group_of(const char *path, const char *where)
{
    gsize length = strlen(where);

    if (*where != '/' || length < 2) /* never the root's */
        return false;
    return g_str_has_prefix(path, where) && (path[length] == '/' || path[length] == '\0');
}

static bool
field_is_ours(const char *field)
{
    static const char *const fields[] = {
        "memory.max",       "memory.high", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes",
        "memory.oom.group",
    };

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
        if (strcmp(field, fields[i]) == 0)
            return true;
    return false;
}

/* NULL, or why nothing may be written: static. */
static const char *
job_prepare(Job *job)
{
    const ActCall *call = job->call;
    const ActRecord *record = call->record;

    if (!field_is_ours(record->field))
        return "it is no file that is ever written";
    if (strcmp(record->means, act_means_libvirt.name) == 0 && !record->subject.uuid)
        return "a domain of libvirt has a uuid";
    job->proc = proc_open(call->host, record->subject.pid, NULL);
    if (!job->proc || proc_start_ticks(job->proc) != record->subject.start_ticks)
        return "the VM's process is gone";
    if (!cgroup_place_find(call->host, job->proc, &job->place, NULL))
        return "the cgroup of the VM's process cannot be found";
    if (!is_group_of(job->place.path, record->where))
        return "the VM's process is not in that cgroup any more";
    return NULL;
}

static void
cgroup_run(ActCall *call)
{
    Job *job = g_new0(Job, 1);
    const char *problem;
    gint64 deadline_us;

    job->call = call;
    job->place.mount_fd = -1;
    problem = job_prepare(job);
    deadline_us = act_client_failure(call->record) && !call->is_read_only ? CLIENT_DEADLINE_US
                                                                          : WRITE_DEADLINE_US;
    if (!problem && children_run(call->children, &(ChildCall){.run = job_run,
                                                              .done = job_done,
                                                              .data = job,
                                                              .keep_fds = {proc_dir_fd(job->proc),
                                                                           job->place.mount_fd},
                                                              .deadline_us = deadline_us}))
        return;
    job_free(job);
    act_call_end(call, false, NULL, problem ? problem : "too many processes of ours hang already");
}

static bool
limit_parse(const char *text, bool *ret_has_limit, guint64 *ret_bytes)
{
    *ret_bytes = 0;
    if (strcmp(text, "-1") == 0) { /* v1's way to write "none" */
        *ret_has_limit = false;
        return true;
    }
    return cgroup_parse_limit(text, ret_has_limit, ret_bytes);
}

static bool
cgroup_is_same(const char *field, const char *a, const char *b)
{
    bool a_has, b_has;
    guint64 a_bytes, b_bytes;

    if (strcmp(a, b) == 0)
        return true;
    if (!limit_parse(a, &a_has, &a_bytes) || !limit_parse(b, &b_has, &b_bytes))
        return false;
    return a_has == b_has && (!a_has || a_bytes == b_bytes);
}

const ActMeans act_means_libvirt = {
    .name = "libvirt", .run = cgroup_run, .is_same = cgroup_is_same};

const ActMeans act_means_systemd = {
    .name = "systemd", .run = cgroup_run, .is_same = cgroup_is_same};

const ActMeans act_means_cgroup = {.name = "cgroup", .run = cgroup_run, .is_same = cgroup_is_same};
