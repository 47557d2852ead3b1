/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What /proc says of the VM's process, read in children. maps, smaps, numa_maps and mem are never
 * opened: the first three take mmap_lock, which a stuck page fault may hold, the last is the guest.
 */

#include "capture-private.h"

#include "redact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* QEMU with 16 vCPUs and a full thread pool has about 100 threads. */
#define THREADS_MAX 4096
/* As many as a VM may have by default. */
#define DESCRIPTORS_MAX 1048576
/* A libvirt VM with a hundred disks has about 100 KiB. */
#define CMDLINE_BYTES_MAX (1024 * 1024)

static const char *
process_read(CaptureOut *out, const Capture *capture)
{
    static const char *const files[] = {"status", "stat",          "limits",    "cgroup",
                                        "io",     "oom_score_adj", "schedstat", "mountinfo"};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++)
        out_file(out, capture->proc_fd, files[i]);
    return NULL;
}

void
capture_process(Capture *capture)
{
    capture_run_child(capture, process_read);
}

typedef struct {
    CaptureOut *out;
    int proc_fd, dir_fd;
} Walk;

/* "12 -> /images/disk.raw"; of an io_uring also how far its rings are. */
static void
descriptor_read(const char *name, gpointer data)
{
    static const char ring[] = "anon_inode:[io_uring]";
    const Walk *walk = data;
    char target[1024], path[64];
    ssize_t length = readlinkat(walk->dir_fd, name, target, sizeof target - 1);

    if (length < 0)
        return; /* closed meanwhile */
    target[length] = '\0';
    out_text(walk->out, name);
    out_text(walk->out, " -> ");
    out_bytes(walk->out, target, (gsize)length);
    out_text(walk->out, "\n");
    if (strcmp(target, ring) == 0) {
        g_snprintf(path, sizeof path, "fdinfo/%s", name);
        out_file(walk->out, walk->proc_fd, path);
    }
}

static const char *
descriptors_read(CaptureOut *out, const Capture *capture)
{
    auto_fd dir_fd = host_open_beneath(capture->proc_fd, "fd", O_RDONLY | O_DIRECTORY);
    Walk walk = {.out = out, .proc_fd = capture->proc_fd, .dir_fd = dir_fd};

    if (dir_fd < 0 || !each_entry(dir_fd, DESCRIPTORS_MAX, descriptor_read, &walk))
        return strerrordesc_np(errno);
    return NULL;
}

void
capture_descriptors(Capture *capture)
{
    capture_run_child(capture, descriptors_read);
}

static void
thread_read(const char *name, gpointer data)
{
    static const char *const files[] = {"comm", "stat", "wchan", "syscall", "stack"};
    const Walk *walk = data;
    char path[64];

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_snprintf(path, sizeof path, "task/%s/%s", name, files[i]);
        out_file(walk->out, walk->proc_fd, path);
    }
}

static const char *
threads_read(CaptureOut *out, const Capture *capture)
{
    auto_fd dir_fd = host_open_beneath(capture->proc_fd, "task", O_RDONLY | O_DIRECTORY);
    Walk walk = {.out = out, .proc_fd = capture->proc_fd, .dir_fd = dir_fd};

    if (dir_fd < 0 || !each_entry(dir_fd, THREADS_MAX, thread_read, &walk))
        return strerrordesc_np(errno);
    return NULL;
}

void
capture_threads(Capture *capture)
{
    capture_run_child(capture, threads_read);
}

/* One argument a line; what is not plain ASCII becomes \xNN, so that a newline forges no line. */
static void
argument_write(CaptureOut *out, const char *argument)
{
    for (const char *p = argument; *p; p++) {
        char escape[8];

        if (g_ascii_isprint(*p) && *p != '\\') {
            out_bytes(out, p, 1);
        } else {
            g_snprintf(escape, sizeof escape, "\\x%02x", (guint)(guint8)*p);
            out_text(out, escape);
        }
    }
    out_text(out, "\n");
}

/* The command line stands in buffer, NUL-terminated argument by argument. */
static void
arguments_write(CaptureOut *out, char *buffer, gsize length)
{
    char *option = NULL;

    for (gsize at = 0; at < length;) {
        char *argument = buffer + at;

        at += strlen(argument) + 1;
        redact_argument(option, argument);
        argument_write(out, argument);
        option = argument;
    }
}

static const char *
command_line_read(CaptureOut *out, const Capture *capture)
{
    auto_fd fd = host_open_beneath(capture->proc_fd, "cmdline", O_RDONLY);
    char *buffer = mmap(NULL, CMDLINE_BYTES_MAX + 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gsize length = 0;
    ssize_t n = 1;

    if (fd < 0 || buffer == MAP_FAILED)
        return strerrordesc_np(errno);
    while (n > 0 && length < CMDLINE_BYTES_MAX) {
        n = read(fd, buffer + length, CMDLINE_BYTES_MAX - length);
        length += n > 0 ? (gsize)n : 0;
    }
    arguments_write(out, buffer, length);
    if (n < 0)
        return strerrordesc_np(errno);
    return length == CMDLINE_BYTES_MAX ? "cut: longer than 1 MiB" : NULL;
}

void
capture_command_line(Capture *capture)
{
    capture_run_child(capture, command_line_read);
}
