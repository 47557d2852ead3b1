/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who else runs in a VM's own groups (its scope, or its whole pod), by role, and how much memory
 * they hold. Reads cgroup.procs, and of each process statm and the link exe: none of them takes
 * mmap_lock, none can block. The roles stand in policy/role.h. */

#include "cgroup.h"
#include "role.h"

/* qemu is the VM's own process, which is not counted. limit_path is the raw path of the group that
 * carries the tightest limit, NULL for none. Unknown (is_known false): the VM has no group of its
 * own, or its members cannot be read. */
void roles_read(const Host *host, const Cgroup *cgroup, pid_t qemu, const char *limit_path,
                RoleTable *ret_table);
typedef struct {
    pid_t pid;
    Role role;
    char name[16]; /* raw, may be cut */
} RoleMember;

/* Of RoleMember: all but qemu, as far as they were looked at; unref. */
GArray *roles_list(const Host *host, const Cgroup *cgroup, pid_t qemu);
/* The first process of that role in the group with that path, or below it; 0: none was seen. */
pid_t roles_find(const Host *host, const Cgroup *cgroup, const char *path, Role role);
