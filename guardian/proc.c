/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proc.h"
#include "argv.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* 52 fields of at most 20 digits, and a comm. */
#define STAT_BYTES 2048
/* Three numbers. */
#define SCHEDSTAT_BYTES 128
/* About 60 lines; the longest are CPU and node masks, 300 bytes each on 1,024 CPUs. */
#define STATUS_BYTES 8192
/* A libvirt VM with a hundred disks has about 100 KiB. */
#define CMDLINE_BYTES_MAX (1024 * 1024)
/* TASK_COMM_LEN is 16; kernel workers print up to 64. */
#define COMM_BYTES_MAX 80

typedef enum { PROC_FILE_STAT, PROC_FILE_STATUS, PROC_N_FILES } ProcFile;

static const char *const file_names[PROC_N_FILES] = {
    [PROC_FILE_STAT] = "stat",
    [PROC_FILE_STATUS] = "status",
};

struct Proc {
    pid_t pid;
    guint64 start_ticks;
    int dir_fd;
    /* -1 below a root that is not procfs: there a plain file would read on after its removal. */
    int fds[PROC_N_FILES];
    /* -1 where the kernel has none, or the root counts other pids than we do. */
    int pid_fd;
};

/* A decimal number at *cursor after blanks; a negative one counts as 0. Moves the cursor past it.
 */
static bool
number_take(const char **cursor, guint64 *ret_value)
{
    const char *start = *cursor + strspn(*cursor, " \t");
    bool is_negative = *start == '-';
    char *end;
    guint64 value;

    if (!g_ascii_isdigit(start[is_negative]))
        return false;
    errno = 0;
    value = g_ascii_strtoull(start + is_negative, &end, 10);
    if (errno != 0)
        return false;
    *cursor = end;
    *ret_value = is_negative ? 0 : value;
    return true;
}

bool
proc_parse_stat(const char *text, ProcStat *ret_stat)
{
    /* By the numbers of proc(5), which count from 1. */
    enum { PPID = 4, UTIME = 14, STIME = 15, NUM_THREADS = 20, START = 22 };
    guint64 fields[START + 1] = {0};
    const char *open = strchr(text, '(');
    const char *close = strrchr(text, ')'); /* comm may hold any, the fields after it none */
    const char *cursor;

    if (!g_ascii_isdigit(*text) || !open || !close || close < open || close[1] != ' ' ||
        !g_ascii_isalpha(close[2]))
        return false;
    cursor = close + 3;
    for (guint i = PPID; i <= START; i++) {
        if (!number_take(&cursor, &fields[i]))
            return false;
    }
    *ret_stat = (ProcStat){
        .state = close[2],
        .ppid = (pid_t)MIN(fields[PPID], (guint64)G_MAXINT32),
        .utime_ticks = fields[UTIME],
        .stime_ticks = fields[STIME],
        .num_threads = (guint)MIN(fields[NUM_THREADS], (guint64)G_MAXUINT),
        .start_ticks = fields[START],
    };
    memcpy(ret_stat->comm, open + 1,
           MIN((gsize)(close - open - 1), sizeof ret_stat->comm - 1)); /* rest is 0 */
    return true;
}

/* "  123 kB" */
static bool
kilobytes_parse(const char *text, guint64 *ret_bytes)
{
    guint64 value;

    if (!number_take(&text, &value) || !g_str_has_prefix(text, " kB") || value > G_MAXUINT64 / 1024)
        return false;
    *ret_bytes = value * 1024;
    return true;
}

bool
proc_parse_status(const char *text, ProcStatus *ret_status)
{
    ProcStatus status = {0};
    bool has_uid = false, has_anon = false, has_file = false, has_shmem = false;
    const struct {
        const char *key;
        guint64 *bytes;
        bool *has; /* the three a process with memory always has; without hugetlb, swap: 0 */
    } sizes[] = {
        {"RssAnon:", &status.rss_anon_bytes, &has_anon},
        {"RssFile:", &status.rss_file_bytes, &has_file},
        {"RssShmem:", &status.rss_shmem_bytes, &has_shmem},
        {"VmPTE:", &status.page_table_bytes, NULL},
        {"VmSwap:", &status.swap_bytes, NULL},
        {"HugetlbPages:", &status.hugetlb_bytes, NULL},
    };

    /* Name cannot forge a line: the kernel escapes its newlines. */
    for (const char *line = text; line; line = strchr(line, '\n')) {
        guint64 uid;

        line += *line == '\n';
        if (*line == 'U' && g_str_has_prefix(line, "Uid:")) {
            const char *cursor = line + strlen("Uid:");

            has_uid = number_take(&cursor, &uid) && uid <= G_MAXUINT32;
            status.uid = has_uid ? (uid_t)uid : 0;
        }
        for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
            /* by its first letter nearly every line is none of ours */
            if (*line == *sizes[i].key && g_str_has_prefix(line, sizes[i].key) &&
                kilobytes_parse(line + strlen(sizes[i].key), sizes[i].bytes) && sizes[i].has)
                *sizes[i].has = true;
        }
    }
    if (!has_uid)
        return false;
    status.has_rss = has_anon && has_file && has_shmem;
    *ret_status = status;
    return true;
}

/* Whether pid means the same to pidfd_open as below this root: procfs, and the instance that is our
 * own. Elsewhere (a fixture tree, a host's /proc in a container) it could be another process. */
static bool
root_counts_our_pids(const Host *host, bool *ret_is_procfs)
{
    struct statfs fs;
    struct stat root, own;
    int fd = host_root_fd(host, HOST_PROC);

    *ret_is_procfs = fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
    return *ret_is_procfs && fstat(fd, &root) == 0 && stat("/proc", &own) == 0 &&
           root.st_dev == own.st_dev;
}

static int
open_below(const Proc *proc, const char *name, GError **error)
{
    int fd = host_open_beneath(proc->dir_fd, name, O_RDONLY | O_NONBLOCK);

    if (fd < 0) {
        g_autofree char *path = g_strdup_printf("%d/%s", (int)proc->pid, name);

        guardian_set_errno(error, errno, "open", path);
    }
    return fd;
}

/* Reads a kept file, or one just opened where none is kept. */
static bool
file_read(const Proc *proc, ProcFile file, char *buffer, gsize size, GError **error)
{
    auto_fd fresh_fd = proc->fds[file] < 0 ? open_below(proc, file_names[file], error) : -1;
    int fd = proc->fds[file] < 0 ? fresh_fd : proc->fds[file];

    return fd >= 0 && host_reread(fd, buffer, size, error) >= 0;
}

static bool
stat_read(const Proc *proc, ProcStat *ret_stat, GError **error)
{
    char text[STAT_BYTES];

    if (!file_read(proc, PROC_FILE_STAT, text, sizeof text, error))
        return false;
    if (proc_parse_stat(text, ret_stat))
        return true;
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "%d/stat is malformed",
                (int)proc->pid);
    return false;
}

Proc *
proc_open(const Host *host, pid_t pid, GError **error)
{
    g_autoptr(Proc) proc = g_new(Proc, 1);
    g_autofree char *name = g_strdup_printf("%d", (int)pid);
    bool is_procfs;
    bool has_pidfd = root_counts_our_pids(host, &is_procfs);
    ProcStat stat;

    *proc = (Proc){.pid = pid, .dir_fd = -1, .fds = {-1, -1}, .pid_fd = -1};
    proc->dir_fd = host_open(host, HOST_PROC, name, O_PATH | O_DIRECTORY, error);
    if (proc->dir_fd < 0)
        return NULL;
    for (guint i = 0; is_procfs && i < PROC_N_FILES; i++) {
        proc->fds[i] = open_below(proc, file_names[i], error);
        if (proc->fds[i] < 0)
            return NULL;
    }
    if (has_pidfd)
        proc->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    /* stat speaks for the directory's process: when it can be read after pidfd_open, that process
     * still held the pid then, and both are the same. */
    if (!stat_read(proc, &stat, error))
        return NULL;
    proc->start_ticks = stat.start_ticks;
    return g_steal_pointer(&proc);
}

void
proc_free(Proc *proc)
{
    if (!proc)
        return;
    for (guint i = 0; i < PROC_N_FILES; i++)
        fd_clear(&proc->fds[i]);
    fd_clear(&proc->pid_fd);
    fd_clear(&proc->dir_fd);
    g_free(proc);
}

pid_t
proc_pid(const Proc *proc)
{
    return proc->pid;
}

int
proc_dir_fd(const Proc *proc)
{
    return proc->dir_fd;
}

guint64
proc_start_ticks(const Proc *proc)
{
    return proc->start_ticks;
}

bool
proc_is_alive(const Proc *proc)
{
    struct pollfd exited = {.fd = proc->pid_fd, .events = POLLIN};
    ProcStat stat;

    if (proc->pid_fd >= 0)
        return poll(&exited, 1, 0) == 0;
    return proc_read_stat(proc, &stat, NULL) && stat.state != 'Z' && stat.state != 'X';
}

bool
proc_read_stat(const Proc *proc, ProcStat *ret_stat, GError **error)
{
    ProcStat stat;

    if (!stat_read(proc, &stat, error))
        return false;
    if (stat.start_ticks != proc->start_ticks) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "process %d is gone, another one has its number", (int)proc->pid);
        return false;
    }
    *ret_stat = stat;
    return true;
}

bool
proc_read_status(const Proc *proc, ProcStatus *ret_status, GError **error)
{
    char text[STATUS_BYTES];

    if (!file_read(proc, PROC_FILE_STATUS, text, sizeof text, error))
        return false;
    if (proc_parse_status(text, ret_status))
        return true;
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "%d/status is malformed",
                (int)proc->pid);
    return false;
}

bool
proc_is_frozen(const Proc *proc)
{
    static const char place[] = "__refrigerator";
    auto_fd fd = openat(proc->dir_fd, "wchan", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char text[64];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);

    return length == (ssize_t)strlen(place) && memcmp(text, place, strlen(place)) == 0;
}

bool
proc_parse_schedstat(const char *text, guint64 *ret_us)
{
    char *end;
    guint64 ns;

    if (!g_ascii_isdigit(*text))
        return false;
    errno = 0;
    ns = g_ascii_strtoull(text, &end, 10);
    if (errno != 0 || *end != ' ')
        return false;
    *ret_us = ns / 1000;
    return true;
}

bool
proc_read_main_cpu(const Proc *proc, guint64 *ret_us)
{
    auto_fd fd = open_below(proc, "schedstat", NULL);
    char text[SCHEDSTAT_BYTES];

    return fd >= 0 && host_reread(fd, text, sizeof text, NULL) >= 0 &&
           proc_parse_schedstat(text, ret_us);
}

/* The kernel ends each argument with a NUL; a process that rewrote its title may not. */
static char **
arguments_split(const char *bytes, gsize length)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func(g_free);
    const char *end = bytes + length;

    for (const char *start = bytes; start < end; start += strlen(start) + 1) {
        if (arguments->len == ARGV_ARGUMENTS_MAX)
            return NULL;
        g_ptr_array_add(arguments, g_strdup(start));
    }
    g_ptr_array_add(arguments, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&arguments), FALSE);
}

char **
proc_read_cmdline(const Proc *proc, GError **error)
{
    auto_fd fd = open_below(proc, "cmdline", error);
    g_autofree char *bytes = NULL;
    gsize length;
    ProcStat stat;
    char **arguments;

    if (fd < 0)
        return NULL;
    bytes = host_read_fd(fd, "cmdline", CMDLINE_BYTES_MAX, &length, error);
    if (!bytes || !proc_read_stat(proc, &stat, error))
        return NULL;
    if (length == 0) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "process %d has no command line (any more)", (int)proc->pid);
        return NULL;
    }
    arguments = arguments_split(bytes, length);
    if (!arguments)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                    "process %d has more than %u arguments", (int)proc->pid, ARGV_ARGUMENTS_MAX);
    return arguments;
}

char *
proc_peek_comm(const Host *host, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("%d/comm", (int)pid);
    gsize length;
    char *comm = host_read(host, HOST_PROC, path, COMM_BYTES_MAX, &length, NULL);

    if (comm && length > 0 && comm[length - 1] == '\n')
        comm[length - 1] = '\0';
    return comm;
}

gint64
proc_age_us(const Host *host, guint64 start_ticks)
{
    guint64 ticks_per_second = (guint64)sysconf(_SC_CLK_TCK);
    guint64 now_us = (guint64)host_boottime_us(host);
    guint64 start_us;

    if (start_ticks / ticks_per_second > G_MAXINT64 / G_USEC_PER_SEC)
        return 0;
    start_us = start_ticks / ticks_per_second * G_USEC_PER_SEC +
               start_ticks % ticks_per_second * G_USEC_PER_SEC / ticks_per_second;
    return now_us > start_us ? (gint64)(now_us - start_us) : 0;
}
