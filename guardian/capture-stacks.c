/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where QEMU's threads stand, by a tool that stops them to look. Three things can go wrong, and
 * what is done about each:
 *
 *   - A thread in D cannot be stopped: the tool would wait for it with all others stopped. So
 *     not when there is one, looked at right before. One in S that waits for a file is as bad: once
 *     interrupted it waits on in D.
 *   - The tool reads QEMU's executable while QEMU stands; from a dead disk, not even SIGKILL would
 *     let go. So not unless the step before has just read it.
 *   - A tool that is killed may leave its SIGSTOP behind. So QEMU is looked at afterwards and
 *     continued, if it was us.
 *
 * The tool's whole life is shorter than the second that QEMU may stand. */

#include "capture-private.h"
#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Of a thread's stat up to its state, and of its system call. */
#define FILE_BYTES 256
/* How often, and how far apart, QEMU is looked at until it runs again. */
#define CHECKS 20
#define CHECK_US (20 * G_GINT64_CONSTANT(1000))

typedef struct {
    int proc_fd;
    char state; /* the worst seen; 0 none */
} Look;

static bool
is_stopped(char state)
{
    return state == 'T' || state == 't';
}

/* The beginning of a file of a thread; false when it cannot be read. */
static bool
read_thread(int proc_fd, const char *name, const char *file, char text[FILE_BYTES])
{
    char path[64];
    ssize_t length;
    auto_fd fd = -1;

    g_snprintf(path, sizeof path, "task/%s/%s", name, file);
    fd = host_open_beneath(proc_fd, path, O_RDONLY);
    length = fd < 0 ? -1 : read(fd, text, FILE_BYTES - 1);
    if (length <= 0)
        return false;
    text[length] = '\0';
    return true;
}

/* Within a call on what has a path: a halted vCPU is in an ioctl on what has none. */
static bool
waits_for_file(int proc_fd, const char *name)
{
    char path[64], text[FILE_BYTES];
    guint32 descriptor;

    if (!read_thread(proc_fd, name, "syscall", text) || !task_parse_syscall(text, &descriptor))
        return false;
    g_snprintf(path, sizeof path, "fd/%u", descriptor);
    return readlinkat(proc_fd, path, text, 1) == 1 && text[0] == '/';
}

static void
thread_look(const char *name, gpointer data)
{
    Look *look = data;
    char text[FILE_BYTES];
    const char *close;

    if (!read_thread(look->proc_fd, name, "stat", text))
        return;
    close = strrchr(text, ')'); /* comm has at most 15 bytes: it is in what was read */
    if (!close || close[1] != ' ')
        return;
    if (close[2] == 'D' || (close[2] == 'S' && waits_for_file(look->proc_fd, name)))
        look->state = 'D';
    else if (is_stopped(close[2]) && look->state != 'D')
        look->state = close[2];
}

static char
threads_look(int proc_fd)
{
    auto_fd dir_fd = host_open_beneath(proc_fd, "task", O_RDONLY | O_DIRECTORY);
    Look look = {.proc_fd = proc_fd};

    if (dir_fd < 0 || !each_entry(dir_fd, G_MAXUINT, thread_look, &look))
        return 'D'; /* nothing is known: as bad as can be */
    return look.state;
}

/* Becomes the tool; comes back only without one. */
static const char *
tool_run(const Capture *capture, int answer_fd)
{
    char pid[32];
    const char *const eu_stack[] = {"/usr/bin/eu-stack", "-m", "-n", "64", "-p", pid, NULL};
    const char *const gdb[] = {
        "/usr/bin/gdb", "-nx", "-batch", "-p", pid, "-ex", "thread apply all backtrace 64", NULL};
    const char *why = capture_tool_prepare(capture, answer_fd);

    if (why)
        return why;
    g_snprintf(pid, sizeof pid, "%d", (int)capture->pid);
    capture_tool_become(eu_stack);
    capture_tool_become(gdb);
    return "not done: neither eu-stack nor gdb is installed";
}

static void
stacks_run(int answer_fd, gconstpointer data)
{
    const Capture *capture = data;
    char state = threads_look(capture->proc_fd);
    const char *why;

    if (state == 'D')
        why = "not done: a thread is in state D, or waits for a file, and could not be stopped";
    else if (state)
        why = "not done: the process is stopped or traced already";
    else
        why = tool_run(capture, answer_fd);
    if (write(answer_fd, why, strlen(why)) < 0)
        _exit(1);
}

/* By the descriptor of /proc/<pid>: where the pid is recycled, this one says so. */
static void
process_continue(const Capture *capture)
{
    if (capture->vm && proc_is_alive(capture->vm->proc))
        (void)kill(capture->pid, SIGCONT);
}

/* Until QEMU runs again: first the tool has to be gone (t), then a stop of its may be left (T). */
static gboolean
stacks_check(gpointer data)
{
    Capture *capture = data;
    char state = threads_look(capture->proc_fd);

    if (state == 'T')
        process_continue(capture);
    if (is_stopped(state) && capture->stop_checks++ < CHECKS)
        return G_SOURCE_CONTINUE;
    capture_clear_timer(capture);
    if (is_stopped(state))
        capture_step_end(capture, STEP_HUNG, "QEMU did not run again after its stacks were read");
    else if (capture->stack_problem)
        capture_step_end(capture, STEP_FAILED, capture->stack_problem);
    else
        capture_step_end(capture, STEP_DONE, NULL);
    return G_SOURCE_REMOVE;
}

static void
stacks_done(const char *answer, gsize length, gpointer user_data)
{
    Capture *capture = user_data;
    gint64 took_us = g_get_monotonic_time() - capture->step_us;

    if (length > 0) { /* the tool never began */
        capture_step_end(capture, STEP_SKIPPED, answer);
        return;
    }
    capture->stack_problem = answer                      ? NULL
                             : took_us >= STACKS_TOOL_US ? "the tool took too long and was killed"
                                                         : "the tool failed";
    capture->stop_checks = 0;
    capture_set_timer(capture, CHECK_US, stacks_check);
}

void
capture_stacks(Capture *capture)
{
    const char *why = NULL;
    auto_fd fd = -1;

    if (!capture->options.wants_stacks)
        why = "not done: not asked for (--stacks)";
    else if (!capture->vm)
        why = "not done: the VM has ended";
    else if (!capture_has_done(capture, "versions"))
        why = "not done: QEMU's executable could not be read before";
    if (why) {
        capture_step_end(capture, STEP_SKIPPED, why);
        return;
    }
    if (!capture_open_file(capture, &fd))
        return;
    capture->job.out_fd = fd;
    capture_start_child(capture, &(ChildCall){.run = stacks_run,
                                              .done = stacks_done,
                                              .data = capture,
                                              .keep_fds = {fd, capture->proc_fd},
                                              .deadline_us = STACKS_TOOL_US});
}
