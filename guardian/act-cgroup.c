/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "act-client.h"
#include "act-file.h"
#include "cgroup-place.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* libvirtd waits 30 s for a job that another holds, systemd's client 25 s for each of two answers:
 * who is given up before that may still write later, unseen. */
#define CLIENT_DEADLINE_US (60 * G_USEC_PER_SEC)

/* -1 after an answer. */
static int
group_open(int answer_fd, const ActJob *job)
{
    const ActRecord *record = job->call->record;
    auto_fd fd = host_open_beneath(job->mount_fd, record->where + 1, O_PATH | O_DIRECTORY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        act_file_refuse_errno(answer_fd, "its cgroup cannot be opened");
        return -1;
    }
    if (st.st_ino != record->group_id) {
        act_file_refuse(answer_fd, "another cgroup has its path now");
        return -1;
    }
    return fd_steal(&fd);
}

/* In the child. */
static void
job_run(int answer_fd, gconstpointer data)
{
    const ActJob *job = data;
    auto_fd group_fd = group_open(answer_fd, job);

    if (group_fd >= 0)
        act_file_run(answer_fd, &(ActFile){.call = job->call,
                                           .dir_fd = group_fd,
                                           .process_fd = proc_dir_fd(job->proc),
                                           .start_ticks = job->call->record->subject.start_ticks});
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
job_prepare(ActJob *job)
{
    const ActCall *call = job->call;
    const ActRecord *record = call->record;
    g_autofree char *path = NULL;
    CgroupPlace place;

    if (!field_is_ours(record->field))
        return "it is no file that is ever written";
    if (strcmp(record->means, act_means_libvirt.name) == 0 && !record->subject.uuid)
        return "a domain of libvirt has a uuid";
    job->proc = proc_open(call->host, record->subject.pid, NULL);
    if (!job->proc || proc_start_ticks(job->proc) != record->subject.start_ticks)
        return "the VM's process is gone";
    if (!cgroup_place_find(call->host, job->proc, &place, NULL))
        return "the cgroup of the VM's process cannot be found";
    job->mount_fd = place.mount_fd;
    path = place.path;
    if (!is_group_of(path, record->where))
        return "the VM's process is not in that cgroup any more";
    return NULL;
}

static void
cgroup_run(ActCall *call)
{
    bool is_by_client = act_client_failure(call->record) && !call->is_read_only;
    ActJob *job = act_job_new(call);

    act_job_begin(job, job_prepare(job), job_run,
                  is_by_client ? CLIENT_DEADLINE_US : ACT_FILE_DEADLINE_US);
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
