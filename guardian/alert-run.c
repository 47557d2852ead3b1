/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert-run.h"

/* One supervisor for each run: as their subreaper it inherits whatever its executable started and
 * left, also what took a session of its own, so that "with its children" is more than a process
 * group. An executable that has ended may have left something that is still at work, as exim's
 * sendmail does: that has until the deadline. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often the supervisor looks whether somebody ended. */
#define TURN_MS 50
/* After the kill: what does not end by itself then hangs in the kernel, and is left. */
#define KILL_US (2 * (gint64)G_USEC_PER_SEC)
/* As anything started by hand has; the daemon's own limit is much higher. */
#define DESCRIPTORS_MAX 1024

typedef struct {
    pid_t pid;
    int output_fd; /* -1: it was closed */
    bool has_ended;
    AlertRunResult result;
    gint64 printed_bytes;
    gsize kept;
    char output[ALERT_OUTPUT_MAX];
} Run;

static gint64
monotonic_us(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* Handlers of the daemon would write to descriptors that are closed here. */
static void
reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Does not return. */
static void
become(const AlertRun *run, int output_fd)
{
    const struct rlimit descriptors = {DESCRIPTORS_MAX, DESCRIPTORS_MAX}, no_core = {0, 0};
    const char *why;
    int adjust_fd;

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    adjust_fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (adjust_fd >= 0)
        (void)!write(adjust_fd, "0", 1); /* the daemon's protection is not for its hooks */
    setrlimit(RLIMIT_NOFILE, &descriptors);
    setrlimit(RLIMIT_CORE, &no_core);
    umask(077);
    if (chdir("/") == 0 && dup2(run->stdin_fd, STDIN_FILENO) >= 0 &&
        dup2(output_fd, STDOUT_FILENO) >= 0 && dup2(output_fd, STDERR_FILENO) >= 0) {
        close_range(STDERR_FILENO + 1, ~0U, 0);
        execve(run->argv[0], run->argv, run->environment);
    }
    why = strerrordesc_np(errno);
    (void)!write(STDERR_FILENO, "cannot be run: ", strlen("cannot be run: "));
    (void)!write(STDERR_FILENO, why ? why : "?", why ? strlen(why) : 1);
    _exit(126);
}

static void
take_output(Run *run)
{
    char buffer[4096];
    ssize_t n = read(run->output_fd, buffer, sizeof buffer);
    gsize room = sizeof run->output - run->kept;

    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close(run->output_fd);
        run->output_fd = -1;
        return;
    }
    run->printed_bytes += n;
    memcpy(run->output + run->kept, buffer, MIN(room, (gsize)n));
    run->kept += MIN(room, (gsize)n);
}

/* Reaps who ended. false: nobody is left. */
static bool
reap(Run *run)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != run->pid)
            continue;
        run->has_ended = true;
        run->result.end = WIFEXITED(status) ? ALERT_RUN_EXITED : ALERT_RUN_KILLED;
        run->result.number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    }
    return pid == 0 || errno == EINTR;
}

/* Everybody who is our child now: the executable, and what lost its parent. Its children become
 * ours when it ends, and it is their turn then. */
static void
kill_children(void)
{
    char buffer[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
    char *at = buffer;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return;
    buffer[n] = '\0';
    while (*at) {
        long pid = strtol(at, &at, 10);

        if (pid > 0 && (*at == ' ' || *at == '\0'))
            kill((pid_t)pid, SIGKILL);
        at += *at == ' ';
        if (pid <= 0)
            return;
    }
}

static void
kill_all(Run *run)
{
    gint64 end_us = monotonic_us() + KILL_US;

    if (!run->has_ended)
        kill(-run->pid, SIGKILL); /* its group, before it can fork again */
    do {
        kill_children();
        poll(NULL, 0, 1);
    } while (reap(run) && monotonic_us() < end_us);
}

/* Until all have ended (true), or one of the limits is reached. */
static bool
supervise(Run *run, gint64 end_us, AlertRunEnd *ret_why)
{
    while (reap(run)) {
        struct pollfd ready = {.fd = run->output_fd, .events = POLLIN};

        *ret_why = ALERT_RUN_LATE;
        if (monotonic_us() >= end_us)
            return false;
        *ret_why = ALERT_RUN_FLOODED;
        if (run->printed_bytes > ALERT_FLOOD_BYTES)
            return false;
        if (poll(&ready, 1, TURN_MS) > 0)
            take_output(run);
    }
    return true;
}

static void
answer(int answer_fd, const Run *run)
{
    (void)!write(answer_fd, &run->result, sizeof run->result);
    (void)!write(answer_fd, run->output, run->kept);
}

void
alert_run(int answer_fd, gconstpointer data)
{
    const AlertRun *what = data;
    gint64 begin_us = monotonic_us();
    Run run = {.result = {.end = ALERT_RUN_UNSTARTED}};
    AlertRunEnd why;
    int fds[2];

    reset_signals();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* our end alone: an executable must not find that its output fails */
    run.pid = pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : fork();
    if (run.pid < 0) {
        run.result.number = errno;
        answer(answer_fd, &run);
        return;
    }
    if (run.pid == 0)
        become(what, fds[1]);
    close(fds[1]);
    run.output_fd = fds[0];
    if (!supervise(&run, begin_us + what->deadline_us, &why)) {
        bool had_ended = run.has_ended;

        kill_all(&run);
        if (!had_ended)
            run.result = (AlertRunResult){.end = why};
    }
    while (run.output_fd >= 0 && run.printed_bytes <= ALERT_FLOOD_BYTES) {
        gint64 before = run.printed_bytes;

        take_output(&run);
        if (run.printed_bytes == before)
            break;
    }
    run.result.took_us = monotonic_us() - begin_us;
    answer(answer_fd, &run);
}
