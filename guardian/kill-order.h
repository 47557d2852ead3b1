/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the kernel would choose another victim among a VM's processes than [memory] asks for
 * (policy/killorder.h): looked at together with who runs beside the VM, and only where something is
 * asked for. Processes and groups of nobody but the VM; cgroup v1 has no memory.oom.group. */

#include "vm.h"

typedef struct {
    bool is_group; /* memory.oom.group of a group; else oom_score_adj of a process */
    /* A group that other VMs share: never ours to write, only told. */
    bool is_shared;
    char *where;        /* of the group below its mount, raw; of a process "PID:START" */
    guint64 group_id;   /* its inode; 0 of a process */
    char *label;        /* printable: "QEMU", "stranger memhold[12]", a group's path */
    const char *keeper; /* who writes a group's again: group_owner(); NULL nobody known */
    gint value, wanted;
} OrderDrift;

/* Sets vm->kill_order, QEMU first, then strangers, then helpers; of processes younger than half a
 * minute nothing is told. Reads some files of /proc and of groups, which never block. */
void kill_order_look(Vm *vm, const Host *host);
/* "memory.oom.group" or "oom_score_adj". */
const char *order_drift_field(const OrderDrift *drift);
