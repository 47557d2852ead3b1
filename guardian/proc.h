/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /proc/<pid> as structs: parsers of buffers, and the kept directory descriptor of one process,
 * through which a recycled pid can never be mistaken for it (ESRCH after exit). Only files that
 * never take mmap_lock are read here, except proc_read_cmdline, which belongs in a worker. */

#include "host.h"

typedef struct {
    char comm[32];
    char state; /* R S D T t Z X */
    pid_t ppid;
    guint64 utime_ticks, stime_ticks;
    guint64 start_ticks; /* since boot, in clock ticks: half of a process's identity */
    guint num_threads;
} ProcStat;

typedef struct {
    bool has_rss; /* kernel threads and zombies have none */
    guint64 rss_anon_bytes, rss_file_bytes, rss_shmem_bytes, page_table_bytes, swap_bytes,
        hugetlb_bytes;
    uid_t uid;
} ProcStatus;

/* false: not of the documented shape. comm may hold blanks, parentheses and newlines. */
bool proc_parse_stat(const char *text, ProcStat *ret_stat);
/* "<ran ns> <waited ns> <times>". */
bool proc_parse_schedstat(const char *text, guint64 *ret_us);
bool proc_parse_status(const char *text, ProcStatus *ret_status);

typedef struct Proc Proc;

/* Keeps /proc/<pid> open, a pidfd where the kernel has them, and stat and status. Below a root that
 * is not our own procfs everything works without a pidfd. NULL with error set. */
Proc *proc_open(const Host *host, pid_t pid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proc_free(Proc *proc);
pid_t proc_pid(const Proc *proc);
int proc_dir_fd(const Proc *proc);
guint64 proc_start_ticks(const Proc *proc);
/* A zombie is not. */
bool proc_is_alive(const Proc *proc);
/* Both: GONE when the process is, also when another one has its pid now. */
bool proc_read_stat(const Proc *proc, ProcStat *ret_stat, GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool proc_read_status(const Proc *proc, ProcStatus *ret_status,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Cgroup v1's freezer holds its main thread: a D like any other but for wchan. false also where the
 * kernel does not say. Never blocks. */
bool proc_is_frozen(const Proc *proc);
/* What its main thread has run for, by schedstat: the only one of its threads that costs no look
 * into task/. false: gone, or a kernel without it. */
bool proc_read_main_cpu(const Proc *proc, guint64 *ret_us);
/* argv, NULL-terminated, at least one argument, g_strfreev. Can block for ever on a hung process:
 * in a worker only. */
char **proc_read_cmdline(const Proc *proc, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* comm of a pid without keeping anything; NULL when gone. Never blocks. */
char *proc_peek_comm(const Host *host, pid_t pid);
/* Seconds since boot -> age: now (boottime) - start. Microseconds. */
gint64 proc_age_us(const Host *host, guint64 start_ticks);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proc, proc_free)
