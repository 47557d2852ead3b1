/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "task.h"

#include "descriptor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* 64 vCPUs, 64 workers and as many iothreads leave room; stat is 7 us each. */
#define TASKS_MAX 512
/* The loop serves all VMs: on a host that starves us the rest of the threads goes unseen. */
#define TASKS_TIME_US (20 * 1000)
/* 52 fields of at most 20 digits, and a comm. */
#define STAT_BYTES_MAX 2048
/* Nine numbers of at most 18 characters. */
#define SYSCALL_BYTES_MAX 256

/* What QEMU's worker threads do to an image; the descriptor is the first argument of each. */
static const long file_calls[] = {
    SYS_pread64,   SYS_pwrite64,        SYS_preadv,    SYS_pwritev,         SYS_preadv2,
    SYS_pwritev2,  SYS_fsync,           SYS_fdatasync, SYS_sync_file_range, SYS_fallocate,
    SYS_ftruncate, SYS_copy_file_range, SYS_ioctl,
};

bool
task_parse_syscall(const char *text, guint32 *ret_descriptor)
{
    char *end;
    guint64 number, descriptor;

    if (!g_ascii_isdigit(*text)) /* "running", or "-1": in the kernel, but in no system call */
        return false;
    number = g_ascii_strtoull(text, &end, 10);
    if (!g_str_has_prefix(end, " 0x") || !g_ascii_isxdigit(end[3]))
        return false;
    descriptor = g_ascii_strtoull(end + 1, NULL, 16);
    for (guint i = 0; i < G_N_ELEMENTS(file_calls); i++) {
        if (number == (guint64)file_calls[i] && descriptor <= G_MAXINT32) {
            *ret_descriptor = (guint32)descriptor;
            return true;
        }
    }
    return false;
}

static void
task_clear(gpointer data)
{
    g_free(((BlockedTask *)data)->link);
}

static gint
task_compare(gconstpointer a, gconstpointer b)
{
    guint32 left = ((const BlockedTask *)a)->tid, right = ((const BlockedTask *)b)->tid;

    return (left > right) - (left < right);
}

static char *
read_file(int dir_fd, const char *tid, const char *file, gsize cap)
{
    char name[64];
    auto_fd fd = -1;

    g_snprintf(name, sizeof name, "%s/%s", tid, file);
    fd = host_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK);
    return fd < 0 ? NULL : host_read_fd(fd, name, cap, NULL, NULL);
}

/* Adds the thread when it is one. */
static void
task_look(const Proc *proc, int dir_fd, const char *name, GArray *blocked)
{
    g_autofree char *stat_text = read_file(dir_fd, name, "stat", STAT_BYTES_MAX);
    g_autofree char *syscall_text = NULL;
    BlockedTask task = {.tid = (guint32)strtoul(name, NULL, 10)};
    guint32 descriptor;
    ProcStat stat;

    if (!stat_text || !proc_parse_stat(stat_text, &stat) ||
        (stat.state != 'D' && stat.state != 'S'))
        return;
    syscall_text = read_file(dir_fd, name, "syscall", SYSCALL_BYTES_MAX);
    if (!syscall_text || !task_parse_syscall(syscall_text, &descriptor))
        return;
    task.link = descriptor_read_link(proc, descriptor);
    g_array_append_val(blocked, task);
}

GArray *
tasks_read_blocked(const Proc *proc, bool *ret_is_complete)
{
    int dir_fd = host_open_beneath(proc_dir_fd(proc), "task", O_RDONLY | O_DIRECTORY);
    DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
    GArray *blocked;
    gint64 until_us = g_get_monotonic_time() + TASKS_TIME_US;
    const struct dirent *entry;
    guint n = 0;

    if (!dir) {
        fd_clear(&dir_fd);
        return NULL;
    }
    blocked = g_array_new(FALSE, FALSE, sizeof(BlockedTask));
    g_array_set_clear_func(blocked, task_clear);
    while (n < TASKS_MAX && g_get_monotonic_time() < until_us && (entry = readdir(dir))) {
        if (!g_ascii_isdigit(*entry->d_name))
            continue;
        n++;
        task_look(proc, dirfd(dir), entry->d_name, blocked);
    }
    *ret_is_complete = n < TASKS_MAX && g_get_monotonic_time() < until_us;
    closedir(dir);
    g_array_sort(blocked, task_compare);
    return blocked;
}
