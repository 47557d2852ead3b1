/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whom the kernel kills first when a VM's group, or the host, is out of memory, as [memory] asks
 * for: oom_score_adj of the VM's processes, and memory.oom.group of its own groups. The kernel
 * chooses the process with the highest badness,
 *
 *     rss + swap + page tables + oom_score_adj x total / 1000      (mm/oom_kill.c, oom_badness())
 *
 * where total is the limit that was met, or the host's memory, and then takes the topmost group
 * with memory.oom.group between that process and the limit whole. Total functions. */

#include "role.h"
#include "settings.h"

/* Is a score asked for? is_vm: the VM's own QEMU; any other QEMU is another VM's, and left alone.
 */
bool kill_order_score(const Limits *limits, Role role, bool is_vm, gint *ret_score);
/* Is memory.oom.group of one of the VM's own groups to be another one? 1 is asked of the innermost
 * only: a pod is not to end with one container. */
bool kill_order_group(const Limits *limits, bool is_innermost, bool is_set, bool *ret_wanted);
/* Is anything asked for at all? */
bool kill_order_is_asked(const Limits *limits);

/* A value that was put back so often is somebody else's will: once may be a restart, three times in
 * a row is a fight. */
#define KILL_ORDER_TIMES_MAX 3

/* Of the writes that are left of this hour, what may go into this: two of the VM's stay for a limit
 * that must be raised (pod and container), which saves its life. */
guint kill_order_room(const Limits *limits, guint written_vm, guint written_host);
