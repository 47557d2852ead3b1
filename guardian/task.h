/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Threads of QEMU that wait for a disk: asleep within a system call on a file's descriptor. They
 * are in state D, but in S where the kernel lets a signal interrupt the wait, as for FUSE (seen on
 * Linux 6.1; D on 6.18). One look proves nothing, every write shows it for a moment; the same
 * thread in every look does. Reads stat of each thread, syscall of those asleep, and one link of
 * those within such a call; none takes mmap_lock. */

#include "proc.h"

typedef struct {
    guint32 tid;
    char *link; /* where the descriptor leads, raw bytes; NULL: it is closed by now */
} BlockedTask;

/* Of /proc/<pid>/task/<tid>/syscall: the descriptor that a system call reads, writes or flushes.
 * false: not in a system call, or in another one. System calls have the numbers of the machine that
 * this was built for. */
bool task_parse_syscall(const char *text, guint32 *ret_descriptor);
/* Of BlockedTask, by rising tid. *ret_is_complete: all threads were looked at; false when there are
 * too many of them, or the time was over. NULL when the process cannot be looked into. */
GArray *tasks_read_blocked(const Proc *proc, bool *ret_is_complete);
