/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory side of a process's cgroup, v2 and v1, found from /proc/<pid>/cgroup and mountinfo and
 * never from a name template; climbs to the group that really owns memory.* (under libvirt that is
 * two levels up), and looks at every ancestor for the tightest limit. Descriptors are kept: reading
 * is cheap. What counts as unreclaimable stands at the head of cgroup-parse.c. Nothing is ever
 * written here. */

#include "group.h"
#include "model.h"
#include "proc.h"

typedef struct {
    bool has_usage, has_unreclaimable;
    guint64 usage_bytes, unreclaimable_bytes;
    /* With has_unreclaimable; file: page cache without shmem, kernel: what of it stays. */
    guint64 anon_bytes, shmem_bytes, file_bytes, kernel_bytes;
    MemoryKinds kinds;
    bool has_oom_kills;
    guint64 oom_kills; /* v2: in the group and below it; v1: in the group itself */
    bool
        is_waiting; /* v1: out of memory, its OOM killer off: its tasks sleep until there is room */
} CgroupCharge;

/* The text of memory.stat -> all but usage and oom_kills; v1 needs memory.kmem.usage_in_bytes
 * beside it. false: no anon or shmem in it. */
bool cgroup_parse_stat_v2(const char *text, CgroupCharge *ret_charge);
bool cgroup_parse_stat_v1(const char *text, guint64 kmem_bytes, CgroupCharge *ret_charge);
/* oom_kill out of memory.events (v2) or memory.oom_control (v1). */
bool cgroup_parse_oom_kills(const char *text, guint64 *ret_kills);
/* Does memory.oom_control say that nobody is killed, and tasks wait for memory? */
bool cgroup_parse_waiting(const char *text);
/* Does cgroup.events say that the freezer holds all of the group? */
bool cgroup_parse_frozen(const char *text);
/* One number: memory.current and its like. */
bool cgroup_parse_bytes(const char *text, guint64 *ret_bytes);
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
 * The mount of the whole is preferred. Both new strings; octal escapes are undone. false: not
 * mounted. */
bool cgroup_parse_mountinfo(const char *text, bool is_v2, char **ret_mount_point,
                            char **ret_mount_root);

typedef struct Cgroup Cgroup;

/* NULL with error set: no memory controller (MALFORMED), gone, denied (also: a group outside of
 * what is mounted here). */
Cgroup *cgroup_open(const Host *host, const Proc *proc, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cgroup_free(Cgroup *cgroup);
/* Is it process 1 here, and keeps the groups that are its units by their names? */
bool systemd_runs(const Host *host);
const CgroupPath *cgroup_path(const Cgroup *cgroup); /* of the owning group */
int cgroup_mount_fd(const Cgroup *cgroup);           /* what the path is below; borrowed */
/* What the owning group's path says of it. */
const GroupPlace *cgroup_group_place(const Cgroup *cgroup);

/* v2: the freezer holds the group the process was in when this was opened, by its own knob or one
 * above. v1's freezer is another hierarchy: see proc_is_frozen(). Never blocks. */
bool cgroup_is_frozen(const Cgroup *cgroup);

/* The owning group or one above it, where it carries a limit. */
typedef struct {
    char *path;
    guint64 limit_bytes;
    CgroupCharge charge; /* usage and oom_kills of the tightest one only */
    bool is_own;         /* the VM's alone, as far as names tell; false: other VMs share it */
    const char *owner;   /* who would undo a write to it: group_owner() */
} CgroupLimit;

typedef struct {
    CgroupCharge charge; /* of the owning group; nothing is known for is_root */
    /* Every limit between the group and the top of the hierarchy could be read; else a tighter one
     * than the one given, if any, may exist. */
    bool limit_is_known;
    bool has_limit;
    guint64 limit_bytes;       /* the tightest by what is left, among the group and its ancestors */
    char *limit_path;          /* new string: which group carries it; NULL when none */
    CgroupCharge limit_charge; /* of that group */
    bool limit_is_own;         /* as in CgroupLimit */
    GArray *limits;            /* of CgroupLimit: all of them, from the owning group up */
    /* The group is the VM's alone: it was made for one VM, or carries a limit of its own. A login
     * session or a service without one is not. */
    bool group_is_own;
    /* v2: the group whose processes all die in that limit's OOM (memory.oom.group), without a limit
     * in the host's; NULL: one process is chosen. New string. */
    char *kill_path;
} CgroupReading;

/* Reads limits and charges again. GONE when the group was removed. It does not notice when the
 * process moved to another group. The caller clears. */
bool cgroup_read(Cgroup *cgroup, CgroupReading *ret_reading,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The process is in another group by now: time to open again. */
bool cgroup_is_left(const Cgroup *cgroup, const Proc *proc);
void cgroup_reading_clear(CgroupReading *reading);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cgroup, cgroup_free)
