/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory side of a process's cgroup, v2 and v1, found from /proc/<pid>/cgroup and mountinfo and
 * never from a name template; climbs to the group that really owns memory.* (under libvirt that is
 * two levels up), and looks at every ancestor for the tightest limit. Descriptors are kept: reading
 * is cheap.
 *
 * Unreclaimable charge = what stays when all page cache is given back, without swap:
 *   v2: anon + shmem + (unevictable not already in these; 0 when it cannot be told) +
 * slab_unreclaimable + kernel_stack + pagetables + sec_pagetables + percpu + sock, by the names of
 * memory.stat, in any order, those that exist; v1: total_rss + total_shmem (in total_cache) +
 * memory.kmem.usage_in_bytes less reclaimable slab where known. Source: the kernel's cgroup-v2.rst
 * and cgroup-v1/memory.rst. */

#include "proc.h"

typedef struct {
    bool has_usage, has_unreclaimable;
    guint64 usage_bytes, unreclaimable_bytes;
    guint64 anon_bytes, shmem_bytes, file_bytes, kernel_bytes;
    bool has_oom_kills;
    guint64 oom_kills;
} CgroupCharge;

/* From the text of memory.stat; kmem_bytes of v1 is added by the caller. */
bool cgroup_parse_stat_v2(const char *text, CgroupCharge *ret_charge);
bool cgroup_parse_stat_v1(const char *text, CgroupCharge *ret_charge);
/* "max", "9223372036854771712" (v1's "none") -> *ret_has_limit false. false: unreadable. */
bool cgroup_parse_limit(const char *text, bool *ret_has_limit, guint64 *ret_bytes);

typedef struct {
    char *path; /* below the mount, as the kernel prints it: raw bytes */
    bool is_v2;
    bool is_root; /* no group of its own: the whole host's */
} CgroupPath;

/* The memory controller's path out of the text of /proc/<pid>/cgroup; hybrid hosts too. NULL: none.
 */
char *cgroup_parse_membership(const char *text, bool *ret_is_v2);
/* Where in /sys (or anywhere) that hierarchy is mounted, and which part of it: out of mountinfo.
 * Both new strings; octal escapes are undone. false: not mounted. */
bool cgroup_parse_mountinfo(const char *text, bool is_v2, char **ret_mount_point,
                            char **ret_mount_root);

typedef struct Cgroup Cgroup;

/* NULL with error set: no memory controller (MALFORMED), gone, denied. */
Cgroup *cgroup_open(const Host *host, const Proc *proc, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cgroup_free(Cgroup *cgroup);
const CgroupPath *cgroup_path(const Cgroup *cgroup); /* of the owning group */

typedef struct {
    CgroupCharge charge; /* of the owning group */
    bool limit_is_known, has_limit;
    guint64 limit_bytes;       /* the tightest by what is left, among the group and its ancestors */
    char *limit_path;          /* new string: which group carries it; NULL when none */
    CgroupCharge limit_charge; /* of that group */
} CgroupReading;

/* Reads limits and charges again. GONE when the group was removed. */
bool cgroup_read(Cgroup *cgroup, CgroupReading *ret_reading,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cgroup_reading_clear(CgroupReading *reading);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cgroup, cgroup_free)
