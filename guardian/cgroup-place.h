/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the memory controller's hierarchy is mounted and which path in it a process has. */

#include "proc.h"

typedef struct {
    int mount_fd; /* O_PATH */
    char *path;   /* below the mount, begins with "/" */
    bool is_v2;
    bool mount_is_part; /* ancestors above the mount are out of sight */
} CgroupPlace;

/* The hierarchy that has the memory controller, v1's where it is there; O_PATH, the caller's. -1:
 * none, or only a part of it is in sight. */
int cgroup_mount_memory(const Host *host, bool *ret_is_v2);
/* Where cgroup v2 is mounted, O_PATH, the caller's; -1: nowhere. */
int cgroup_mount_v2(const Host *host);

/* A file of the group at path, which is relative to the mount; text as host_reread() leaves it.
 * false: absent, or not to be read. */
bool group_file_read(int mount_fd, const char *path, const char *name, char *text, gsize size);

/* The process's group of the memory controller as the kernel tells it, from the hierarchy's root: a
 * new string. NULL: it cannot be read. */
char *cgroup_membership(const Proc *proc);

/* The caller owns mount_fd and path. false with error set, as cgroup_open(). */
bool cgroup_place_find(const Host *host, const Proc *proc, CgroupPlace *ret_place,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
