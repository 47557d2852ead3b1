/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture-private.h"

#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void
out_bytes(CaptureOut *out, const char *bytes, gsize length)
{
    if (length > out->left) {
        length = out->left;
        out->is_cut = true;
    }
    while (length > 0 && out->error_number == 0) {
        ssize_t n = write(out->fd, bytes, length);

        if (n < 0 && errno != EINTR)
            out->error_number = errno;
        if (n <= 0)
            continue;
        bytes += n;
        length -= (gsize)n;
        out->left -= (guint64)n;
    }
}

void
out_text(CaptureOut *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

/* strerror() may allocate and translate. */
static void
out_errno(CaptureOut *out, int number)
{
    const char *why = strerrordesc_np(number);

    out_text(out, "(");
    out_text(out, why ? why : "unknown error");
    out_text(out, ")\n");
}

void
out_file(CaptureOut *out, int dir_fd, const char *path)
{
    auto_fd fd = -1;
    char buffer[4096];
    ssize_t n = 1;

    out_text(out, "### ");
    out_text(out, path);
    out_text(out, "\n");
    fd = host_open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        out_errno(out, errno);
        return;
    }
    while (n != 0 && !out->is_cut && out->error_number == 0) {
        n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            out_errno(out, errno);
            return;
        }
        out_bytes(out, buffer, (gsize)n);
    }
    out_text(out, "\n");
}

/* readdir() would allocate. */
bool
each_entry(int dir_fd, guint max, EntryFunc func, gpointer data)
{
    union {
        char bytes[4096];
        struct dirent64 entry; /* for its alignment */
    } buffer;
    long length;

    while ((length = syscall(SYS_getdents64, dir_fd, buffer.bytes, sizeof buffer.bytes)) > 0) {
        for (long at = 0; at < length;) {
            const struct dirent64 *entry = (const struct dirent64 *)(buffer.bytes + at);

            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            if (max-- == 0)
                return true;
            func(entry->d_name, data);
        }
    }
    return length == 0;
}

const char *
capture_tool_prepare(const Capture *capture, int answer_fd)
{
    struct rlimit size = {.rlim_cur = capture_bytes_left(capture),
                          .rlim_max = capture_bytes_left(capture)};
    int null = open("/dev/null", O_RDONLY), out_fd = capture->job.out_fd;

    (void)setrlimit(RLIMIT_FSIZE, &size);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0 ||
        fcntl(answer_fd, F_SETFD, 0) < 0) /* stays open until the tool ends */
        return "cannot prepare the tool";
    return NULL;
}

void
capture_tool_become(const char *const *argv)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};

    execve(argv[0], (char *const *)argv, (char *const *)environment);
}

/* In the child. */
static void
job_run(int answer_fd, gconstpointer data)
{
    const Capture *capture = data;
    CaptureOut out = {.fd = capture->job.out_fd, .left = capture_bytes_left(capture)};
    const char *wrong = capture->job.func(&out, capture);

    if (out.error_number != 0)
        wrong = strerrordesc_np(out.error_number);
    else if (!wrong && out.is_cut)
        wrong = CAPTURE_CUT;
    if (wrong && write(answer_fd, wrong, strlen(wrong)) < 0)
        _exit(1);
}

static void
job_done(const char *answer, gsize length, gpointer user_data)
{
    Capture *capture = user_data;

    if (answer)
        capture_step_end(capture, length > 0 ? STEP_FAILED : STEP_DONE, length > 0 ? answer : NULL);
    else if (capture_is_late(capture))
        capture_step_end(capture, STEP_HUNG, "hung: no end within its time");
    else
        capture_step_end(capture, STEP_FAILED, "its process died");
}

bool
capture_open_file(Capture *capture, int *ret_fd)
{
    const char *file = capture_step(capture)->file;
    int fd = -1;

    if (file) {
        fd = host_open_beneath(capture->dir_fd, file, O_WRONLY | O_CREAT | O_EXCL);
        if (fd < 0) {
            capture_step_end(capture, STEP_FAILED, g_strerror(errno));
            return false;
        }
    }
    *ret_fd = fd;
    return true;
}

void
capture_start_child(Capture *capture, const ChildCall *call)
{
    if (!children_run(capture_children(capture), call))
        capture_step_end(capture, STEP_SKIPPED,
                         "not done: too many processes of ours hang already");
}

void
capture_run_child(Capture *capture, CaptureChildFunc func)
{
    const Vm *vm = capture->vm;
    auto_fd fd = -1;

    if (!capture_open_file(capture, &fd))
        return;
    capture->job.out_fd = fd;
    capture->job.func = func;
    capture_start_child(
        capture, &(ChildCall){.run = job_run,
                              .done = job_done,
                              .data = capture,
                              .keep_fds = {fd, capture->proc_fd,
                                           host_root_fd(capture_host(capture), HOST_PROC),
                                           host_root_fd(capture_host(capture), HOST_ETC),
                                           host_root_fd(capture_host(capture), HOST_VAR),
                                           vm && vm->cgroup ? cgroup_mount_fd(vm->cgroup) : -1},
                              .deadline_us = capture_left_us(capture)});
}
