/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "roles.h"

#include "group.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* A pod of KubeVirt has about ten processes. What has more is a whole session or service that 200
 * VMs may share, and each of them looks through it. */
#define PROCESSES_MAX 64
/* libvirt nests one group for each thread of QEMU; a large VM has some hundred. */
#define GROUPS_MAX 512
#define DEPTH_MAX 8
/* PROCESSES_MAX numbers of at most 8 bytes, and room to see that there are more. */
#define PROCS_BYTES 4096
/* Seven numbers. */
#define STATM_BYTES 256

typedef struct Walk Walk;

struct Walk {
    const Host *host;
    void (*visit)(Walk *walk, pid_t pid, const char *path);
    bool is_known, is_complete; /* anything, everything could be listed */
    guint n_groups;
    GHashTable *seen; /* pids: in v1 the threads of one process can be in several groups */
    /* of roles_read() */
    RoleTable *table;
    const char *limit_path;
    pid_t qemu;
    /* of roles_find() */
    Role wanted;
    pid_t found;
    /* of roles_list() */
    GArray *members;
};

/* Pages in memory, and of them those of files or shared. */
static bool
statm_read(const Host *host, pid_t pid, guint64 *ret_rss, guint64 *ret_private)
{
    g_autofree char *path = g_strdup_printf("%d/statm", (int)pid);
    auto_fd fd = host_open(host, HOST_PROC, path, O_RDONLY | O_NONBLOCK, NULL);
    guint64 numbers[3], page_bytes = (guint64)sysconf(_SC_PAGESIZE);
    char text[STATM_BYTES];
    const char *at = text;

    if (fd < 0 || host_reread(fd, text, sizeof text, NULL) < 0)
        return false;
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        char *end;

        numbers[i] = g_ascii_strtoull(at, &end, 10);
        if (end == at || numbers[i] > G_MAXUINT64 / page_bytes)
            return false;
        at = end;
    }
    *ret_rss = numbers[1] * page_bytes;
    *ret_private = (numbers[1] - MIN(numbers[1], numbers[2])) * page_bytes;
    return true;
}

/* The executable's base name, or, where that may not be seen, what the process calls itself. */
static char *
program_name(const Host *host, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("%d/exe", (int)pid);
    char exe[PATH_MAX];
    ssize_t length = readlinkat(host_root_fd(host, HOST_PROC), path, exe, sizeof exe - 1);
    const char *slash;

    if (length < 0)
        return proc_peek_comm(host, pid);
    exe[length] = '\0';
    if (g_str_has_suffix(exe, " (deleted)")) /* upgraded under a running VM */
        exe[length - (ssize_t)strlen(" (deleted)")] = '\0';
    slash = strrchr(exe, '/');
    return g_strdup(slash ? slash + 1 : exe);
}

static void
note_stranger(RoleTable *table, pid_t pid, const char *name, guint64 private_bytes)
{
    if (table->stranger_pid != 0 && private_bytes <= table->stranger_private_bytes)
        return;
    table->stranger_pid = pid;
    table->stranger_private_bytes = private_bytes;
    g_strlcpy(table->stranger_name, name, sizeof table->stranger_name);
}

static void
count_process(Walk *walk, pid_t pid, const char *path)
{
    bool is_in_domain = !walk->limit_path || group_holds(walk->limit_path, path);
    guint64 rss, private_bytes;
    g_autofree char *name = NULL;
    RoleUse *use;

    if (pid == walk->qemu)
        return;
    /* a zombie holds nothing, one that is gone either */
    if (!statm_read(walk->host, pid, &rss, &private_bytes) || rss == 0)
        return;
    name = program_name(walk->host, pid);
    if (!name)
        return;
    use = &walk->table->uses[role_of(name)];
    use->n_processes++;
    use->rss_bytes += rss;
    use->private_bytes += private_bytes;
    use->domain_private_bytes += is_in_domain ? private_bytes : 0;
    if (role_of(name) == ROLE_STRANGER)
        note_stranger(walk->table, pid, name, private_bytes);
}

static void
find_process(Walk *walk, pid_t pid, const char *path)
{
    g_autofree char *name = walk->found == 0 ? program_name(walk->host, pid) : NULL;

    if (name && role_of(name) == walk->wanted)
        walk->found = pid;
}

static void
list_process(Walk *walk, pid_t pid, const char *path)
{
    RoleMember member = {.pid = pid};
    g_autofree char *name = pid == walk->qemu ? NULL : program_name(walk->host, pid);

    if (!name)
        return;
    member.role = role_of(name);
    g_strlcpy(member.name, name, sizeof member.name);
    g_array_append_val(walk->members, member);
}

/* A group of threads alone cannot list processes (EOPNOTSUPP); they are listed above it. */
static void
walk_processes(Walk *walk, int group_fd, const char *group)
{
    auto_fd fd = host_open_beneath(group_fd, "cgroup.procs", O_RDONLY | O_NONBLOCK);
    char text[PROCS_BYTES];
    gssize length = fd < 0 ? -1 : host_reread(fd, text, sizeof text, NULL);
    const char *at = text;

    if (length < 0)
        return;
    walk->is_known = true;
    if (length == sizeof text - 1)
        walk->is_complete = false;
    for (char *end; *at; at = end) {
        guint64 pid = g_ascii_strtoull(at, &end, 10);

        if (end == at || !g_ascii_isspace(*end)) /* cut off, or the end */
            return;
        /* 0: in a pid namespace that is not below ours */
        if (pid == 0 || pid > G_MAXINT || !g_hash_table_add(walk->seen, GINT_TO_POINTER((gint)pid)))
            continue;
        if (g_hash_table_size(walk->seen) > PROCESSES_MAX) {
            walk->is_complete = false;
            return;
        }
        walk->visit(walk, (pid_t)pid, group);
    }
}

static void
walk_group(Walk *walk, int parent_fd, const char *path, const char *name, guint depth)
{
    auto_fd fd = host_open_beneath(parent_fd, name, O_RDONLY | O_DIRECTORY);
    auto_fd list_fd = fd < 0 ? -1 : host_open_beneath(fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *directory = list_fd < 0 ? NULL : fdopendir(list_fd);
    const struct dirent *entry;

    if (!directory) /* removed meanwhile */
        return;
    fd_steal(&list_fd);
    walk_processes(walk, fd, path);
    while ((entry = readdir(directory))) {
        g_autofree char *below = NULL;

        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        if (++walk->n_groups > GROUPS_MAX || depth >= DEPTH_MAX) {
            walk->is_complete = false;
            break;
        }
        below = g_strconcat(path, "/", entry->d_name, NULL);
        walk_group(walk, fd, below, entry->d_name, depth + 1);
    }
    closedir(directory);
}

static void
walk_all(Walk *walk, const Cgroup *cgroup, const char *path)
{
    walk->is_complete = true;
    walk->seen = g_hash_table_new(NULL, NULL);
    walk_group(walk, cgroup_mount_fd(cgroup), path, path + strspn(path, "/"), 0);
    g_hash_table_unref(walk->seen);
}

/* The topmost group that is the VM's alone. */
static char *
own_path(const Cgroup *cgroup)
{
    const char *owner = cgroup_path(cgroup)->path;
    gsize own_length = cgroup_group_place(cgroup)->own_length;

    return g_strndup(owner, own_length > 0 ? own_length : strlen(owner));
}

void
roles_read(const Host *host, const Cgroup *cgroup, pid_t qemu, const char *limit_path,
           RoleTable *ret_table)
{
    g_autofree char *path = own_path(cgroup);
    Walk walk = {.host = host,
                 .visit = count_process,
                 .table = ret_table,
                 .limit_path = limit_path,
                 .qemu = qemu};

    *ret_table = (RoleTable){0};
    if (cgroup_path(cgroup)->is_root)
        return;
    /* a limit above the VM's own groups is on all of them */
    if (limit_path && group_holds(limit_path, path))
        walk.limit_path = NULL;
    walk_all(&walk, cgroup, path);
    ret_table->is_known = walk.is_known;
    ret_table->is_complete = walk.is_known && walk.is_complete;
}

pid_t
roles_find(const Host *host, const Cgroup *cgroup, const char *path, Role role)
{
    Walk walk = {.host = host, .visit = find_process, .wanted = role};

    walk_all(&walk, cgroup, path);
    return walk.found;
}

GArray *
roles_list(const Host *host, const Cgroup *cgroup, pid_t qemu)
{
    g_autofree char *path = own_path(cgroup);
    Walk walk = {.host = host,
                 .visit = list_process,
                 .qemu = qemu,
                 .members = g_array_new(FALSE, FALSE, sizeof(RoleMember))};

    walk_all(&walk, cgroup, path);
    return walk.members;
}
