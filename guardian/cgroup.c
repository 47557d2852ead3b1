/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup.h"
#include "cgroup-place.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

/* systemd and kubelet make 3 to 6 levels; each costs a descriptor, and who nests deeper than this
 * wants to hide something. */
#define LEVELS_MAX 32
/* memory.stat has about 60 lines of at most 50 bytes. */
#define TEXT_BYTES 8192

typedef enum {
    LEVEL_LIMIT,
    LEVEL_USAGE,
    LEVEL_STAT,
    LEVEL_EVENTS,
    LEVEL_KMEM,
    LEVEL_OOM_GROUP,
    LEVEL_N_FILES
} File;

static const char *const file_names[2][LEVEL_N_FILES] = {
    {
        [LEVEL_LIMIT] = "memory.limit_in_bytes",
        [LEVEL_USAGE] = "memory.usage_in_bytes",
        [LEVEL_STAT] = "memory.stat",
        [LEVEL_EVENTS] = "memory.oom_control",
        [LEVEL_KMEM] = "memory.kmem.usage_in_bytes",
        [LEVEL_OOM_GROUP] = NULL,
    },
    {
        [LEVEL_LIMIT] = "memory.max",
        [LEVEL_USAGE] = "memory.current",
        [LEVEL_STAT] = "memory.stat",
        [LEVEL_EVENTS] = "memory.events",
        [LEVEL_KMEM] = NULL,
        [LEVEL_OOM_GROUP] = "memory.oom.group",
    },
};

/* The owning group or one of its ancestors. A descriptor is opened when it is first needed: of most
 * ancestors that is the limit alone. */
typedef struct {
    char *path;
    const char *owner; /* as in CgroupLimit */
    int fds[LEVEL_N_FILES];
} Level;

struct Cgroup {
    CgroupPath path;
    char *process_path; /* where the process itself is: the owner or below it */
    char *membership;   /* the same as the kernel tells it of the process; NULL not told */
    int mount_fd;
    bool is_kernels;    /* false in a fixture tree, where a kept file would read on once removed */
    bool mount_is_part; /* limits above the mount are out of sight */
    GPtrArray *levels;  /* of Level: from the owner up */
    GroupPlace place;   /* of the owner */
    bool has_systemd;   /* it runs here, and owns what are units by their names */
};

static void
level_free(gpointer data)
{
    Level *level = data;

    for (guint i = 0; i < LEVEL_N_FILES; i++)
        fd_clear(&level->fds[i]);
    g_free(level->path);
    g_free(level);
}

/* -1 with errno set. Ancestors cannot be removed before the owner, and the owner's files say GONE,
 * so a path means the same group as long as the owner reads well. */
static int
file_open(const Cgroup *cgroup, const char *group, const char *name)
{
    g_autofree char *path = g_strconcat(group + 1, group[1] ? "/" : "", name, NULL);

    return host_open_beneath(cgroup->mount_fd, path, O_RDONLY | O_NONBLOCK);
}

/* false with error set; absent files are GONE. */
static bool
level_read(const Cgroup *cgroup, Level *level, File file, char text[TEXT_BYTES], GError **error)
{
    const char *name = file_names[cgroup->path.is_v2][file];
    auto_fd fresh_fd = -1;
    int fd = level->fds[file];

    if (fd < 0) {
        fd = fresh_fd = file_open(cgroup, level->path, name);
        if (fd < 0) {
            guardian_set_errno(error, errno, "open", name);
            return false;
        }
        if (cgroup->is_kernels)
            level->fds[file] = fd_steal(&fresh_fd);
    }
    return host_reread(fd, text, TEXT_BYTES, error) >= 0;
}

static bool
level_read_bytes(const Cgroup *cgroup, Level *level, File file, guint64 *ret_bytes, GError **error)
{
    char text[TEXT_BYTES];

    if (!level_read(cgroup, level, file, text, error))
        return false;
    if (cgroup_parse_bytes(text, ret_bytes))
        return true;
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "%s is not a number",
                file_names[cgroup->path.is_v2][file]);
    return false;
}

/* What memory.stat says; nothing is known when it cannot be read. */
static void
level_read_stat(const Cgroup *cgroup, Level *level, CgroupCharge *ret_charge)
{
    char text[TEXT_BYTES];
    guint64 kmem_bytes = 0;

    *ret_charge = (CgroupCharge){0};
    if (!level_read(cgroup, level, LEVEL_STAT, text, NULL))
        return;
    if (cgroup->path.is_v2) {
        cgroup_parse_stat_v2(text, ret_charge);
        return;
    }
    /* Absent where the kernel's own memory is not charged at all. */
    if (!level_read_bytes(cgroup, level, LEVEL_KMEM, &kmem_bytes, NULL))
        kmem_bytes = 0;
    cgroup_parse_stat_v1(text, kmem_bytes, ret_charge);
}

static bool
level_read_usage(const Cgroup *cgroup, Level *level, CgroupCharge *charge, GError **error)
{
    char text[TEXT_BYTES];

    charge->has_usage = level_read_bytes(cgroup, level, LEVEL_USAGE, &charge->usage_bytes, error);
    if (level_read(cgroup, level, LEVEL_EVENTS, text, NULL)) {
        charge->has_oom_kills = cgroup_parse_oom_kills(text, &charge->oom_kills);
        charge->is_waiting = !cgroup->path.is_v2 && cgroup_parse_waiting(text);
    }
    return charge->has_usage;
}

/* Whether the level's limit could be read, or is not there as in the topmost group of v2. */
static bool
level_read_limit(const Cgroup *cgroup, Level *level, bool *ret_has_limit, guint64 *ret_bytes)
{
    char text[TEXT_BYTES];
    g_autoptr(GError) error = NULL;

    *ret_has_limit = false;
    if (!level_read(cgroup, level, LEVEL_LIMIT, text, &error))
        return g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE);
    return cgroup_parse_limit(text, ret_has_limit, ret_bytes);
}

static guint64
left_bytes(guint64 limit_bytes, const CgroupCharge *charge)
{
    return limit_bytes > charge->unreclaimable_bytes ? limit_bytes - charge->unreclaimable_bytes
                                                     : 0;
}

static void
limit_clear(gpointer data)
{
    g_free(((CgroupLimit *)data)->path);
}

static bool
level_is_own(const Cgroup *cgroup, guint index)
{
    const Level *level = g_ptr_array_index(cgroup->levels, index);

    return index == 0 ||
           (cgroup->place.own_length > 0 && strlen(level->path) >= cgroup->place.own_length);
}

/* All limits, and the index of the level with the least left; equal ones go to the group nearest to
 * the process. The number of levels: there is no limit. */
static guint
limits_collect(const Cgroup *cgroup, CgroupReading *reading)
{
    guint tightest = cgroup->levels->len;

    for (guint i = 0; i < cgroup->levels->len; i++) {
        Level *level = g_ptr_array_index(cgroup->levels, i);
        CgroupLimit limit = {.is_own = level_is_own(cgroup, i)};
        bool has_limit;

        if (!level_read_limit(cgroup, level, &has_limit, &limit.limit_bytes))
            reading->limit_is_known = false;
        if (!has_limit)
            continue;
        if (i == 0)
            limit.charge = reading->charge;
        else
            level_read_stat(cgroup, level, &limit.charge);
        limit.path = g_strdup(level->path);
        limit.owner = level->owner;
        g_array_append_val(reading->limits, limit);
        reading->group_is_own = reading->group_is_own || limit.is_own;
        if (tightest < cgroup->levels->len &&
            left_bytes(limit.limit_bytes, &limit.charge) >=
                left_bytes(reading->limit_bytes, &reading->limit_charge))
            continue;
        tightest = i;
        reading->limit_bytes = limit.limit_bytes;
        reading->limit_charge = limit.charge;
    }
    return tightest;
}

/* The kernel kills the topmost group with memory.oom.group between the victim's group and the one
 * that is out of memory. */
static char *
kill_path_find(const Cgroup *cgroup, guint n_levels)
{
    const Level *killed = NULL;

    for (guint i = 0; cgroup->path.is_v2 && i < n_levels; i++) {
        Level *level = g_ptr_array_index(cgroup->levels, i);
        char text[TEXT_BYTES];

        if (level_read(cgroup, level, LEVEL_OOM_GROUP, text, NULL) && text[0] == '1')
            killed = level;
    }
    return killed ? g_strdup(killed->path) : NULL;
}

static void
limits_read(const Cgroup *cgroup, CgroupReading *reading)
{
    guint tightest;

    reading->limits = g_array_new(FALSE, FALSE, sizeof(CgroupLimit));
    g_array_set_clear_func(reading->limits, limit_clear);
    reading->group_is_own = cgroup->place.is_made_for_one_vm;
    tightest = limits_collect(cgroup, reading);
    reading->kill_path = kill_path_find(cgroup, MIN(tightest + 1, cgroup->levels->len));
    if (tightest == cgroup->levels->len)
        return;
    reading->has_limit = true;
    reading->limit_path = g_strdup(((Level *)cgroup->levels->pdata[tightest])->path);
    reading->limit_is_own = level_is_own(cgroup, tightest);
    if (!reading->limit_charge.has_usage)
        (void)!level_read_usage(cgroup, cgroup->levels->pdata[tightest], &reading->limit_charge,
                                NULL);
}

bool
cgroup_read(Cgroup *cgroup, CgroupReading *ret_reading, GError **error)
{
    CgroupReading reading = {.limit_is_known = !cgroup->mount_is_part};

    if (cgroup->levels->len > 0) {
        Level *owner = g_ptr_array_index(cgroup->levels, 0);

        level_read_stat(cgroup, owner, &reading.charge);
        if (!level_read_usage(cgroup, owner, &reading.charge, error))
            return false;
        limits_read(cgroup, &reading);
    }
    *ret_reading = reading;
    return true;
}

void
cgroup_reading_clear(CgroupReading *reading)
{
    g_clear_pointer(&reading->limit_path, g_free);
    g_clear_pointer(&reading->kill_path, g_free);
    g_clear_pointer(&reading->limits, g_array_unref);
    *reading = (CgroupReading){0};
}

void
cgroup_free(Cgroup *cgroup)
{
    if (!cgroup)
        return;
    g_ptr_array_unref(cgroup->levels);
    fd_clear(&cgroup->mount_fd);
    g_free(cgroup->path.path);
    g_free(cgroup->process_path);
    g_free(cgroup->membership);
    g_free(cgroup);
}

const CgroupPath *
cgroup_path(const Cgroup *cgroup)
{
    return &cgroup->path;
}

int
cgroup_mount_fd(const Cgroup *cgroup)
{
    return cgroup->mount_fd;
}

const GroupPlace *
cgroup_group_place(const Cgroup *cgroup)
{
    return &cgroup->place;
}

static bool
group_has(const Cgroup *cgroup, const char *group, const char *name)
{
    auto_fd fd = file_open(cgroup, group, name);

    return fd >= 0;
}

static void
path_climb(char *path)
{
    char *slash = strrchr(path, '/');

    slash[slash == path] = '\0';
}

/* Shortens path to the group that owns the charge. */
static bool
owner_find(Cgroup *cgroup, GError **error)
{
    char *path = cgroup->path.path;
    const char *usage = file_names[cgroup->path.is_v2][LEVEL_USAGE];

    while (!group_has(cgroup, path, usage) && !g_str_equal(path, "/")) {
        auto_fd fd = host_open_beneath(cgroup->mount_fd, path + 1, O_PATH | O_DIRECTORY);

        if (fd < 0) {
            guardian_set_errno(error, errno, "open", path);
            return false;
        }
        path_climb(path);
    }
    return true;
}

/* The host's own group: in v2 it has no charge, in v1 it alone has release_agent. false with error
 * set when it turns out that nothing here counts memory. */
static bool
root_check(Cgroup *cgroup, GError **error)
{
    auto_fd fd = -1;
    g_autofree char *controllers = NULL;

    if (!cgroup->path.is_v2) {
        cgroup->path.is_root = group_has(cgroup, cgroup->path.path, "release_agent");
        return true;
    }
    cgroup->path.is_root = !group_has(cgroup, cgroup->path.path, file_names[1][LEVEL_USAGE]);
    if (!cgroup->path.is_root)
        return true;
    fd = file_open(cgroup, "/", "cgroup.controllers");
    if (fd >= 0)
        controllers = host_read_fd(fd, "cgroup.controllers", TEXT_BYTES, NULL, NULL);
    if (controllers && strstr(controllers, "memory"))
        return true;
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "no memory controller");
    return false;
}

static bool
levels_add(Cgroup *cgroup, GError **error)
{
    g_autofree char *path = g_strdup(cgroup->path.path);

    for (bool is_last = cgroup->path.is_root; !is_last; path_climb(path)) {
        Level *level = g_new0(Level, 1);

        level->path = g_strdup(path);
        level->owner = group_owner(path, cgroup->has_systemd);
        for (guint i = 0; i < LEVEL_N_FILES; i++)
            level->fds[i] = -1;
        g_ptr_array_add(cgroup->levels, level);
        is_last = g_str_equal(path, "/");
        if (cgroup->levels->len <= LEVELS_MAX)
            continue;
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                    "its cgroup is nested deeper than %d levels", LEVELS_MAX);
        return false;
    }
    return true;
}

bool
cgroup_is_frozen(const Cgroup *cgroup)
{
    auto_fd fd = cgroup->path.is_v2 ? file_open(cgroup, cgroup->process_path, "cgroup.events") : -1;
    char text[TEXT_BYTES];

    return fd >= 0 && host_reread(fd, text, TEXT_BYTES, NULL) > 0 && cgroup_parse_frozen(text);
}

bool
cgroup_is_left(const Cgroup *cgroup, const Proc *proc)
{
    g_autofree char *now = cgroup_membership(proc);

    return now && g_strcmp0(now, cgroup->membership) != 0;
}

/* sd_booted(3)'s way. */
bool
systemd_runs(const Host *host)
{
    auto_fd fd = host_open(host, HOST_RUN, "systemd/system", O_PATH | O_DIRECTORY, NULL);

    return fd >= 0;
}

Cgroup *
cgroup_open(const Host *host, const Proc *proc, GError **error)
{
    g_autoptr(Cgroup) cgroup = g_new0(Cgroup, 1);
    CgroupPlace place;
    struct statfs fs;

    cgroup->mount_fd = -1;
    cgroup->levels = g_ptr_array_new_with_free_func(level_free);
    cgroup->membership = cgroup_membership(proc); /* first: a move meanwhile is seen later */
    if (!cgroup_place_find(host, proc, &place, error))
        return NULL;
    cgroup->mount_fd = place.mount_fd;
    cgroup->mount_is_part = place.mount_is_part;
    cgroup->path = (CgroupPath){.path = place.path, .is_v2 = place.is_v2};
    cgroup->process_path = g_strdup(place.path);
    cgroup->has_systemd = systemd_runs(host);
    if (!owner_find(cgroup, error) || !root_check(cgroup, error) || !levels_add(cgroup, error))
        return NULL;
    group_parse(cgroup->path.path, &cgroup->place);
    cgroup->is_kernels = fstatfs(cgroup->mount_fd, &fs) == 0 &&
                         (fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
    return g_steal_pointer(&cgroup);
}
