/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup-place.h"
#include "cgroup.h"
#include "mountinfo.h"

#include <fcntl.h>
#include <string.h>

/* A line for each hierarchy, with a path of up to 4 KiB. */
#define MEMBERSHIP_BYTES_MAX (64 * 1024)

/* Below HOST_SYS where the mount point lies there, under the name it has here or in its own host.
 */
static int
mount_open(const Host *host, const char *point, GError **error)
{
    const char *const prefixes[] = {host_root_path(host, HOST_SYS), "/sys"};
    int fd;

    for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        gsize length = strlen(prefixes[i]);

        if (g_str_has_prefix(point, prefixes[i]) && point[length] == '/')
            return host_open(host, HOST_SYS, point + length + 1, O_PATH | O_DIRECTORY, error);
    }
    errno = ENOENT;
    fd = g_str_equal(prefixes[0], "/sys") ? open(point, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        guardian_set_errno(error, errno, "open", point);
    return fd;
}

/* The part of a group's path that is below a mount of mount_root; NULL when it is not below. */
static const char *
path_below_mount(const char *path, const char *mount_root)
{
    gsize length = strlen(mount_root);

    if (g_str_equal(path, "/..") || g_str_has_prefix(path, "/../"))
        return NULL; /* outside of our cgroup namespace */
    if (g_str_equal(mount_root, "/"))
        return path;
    if (!g_str_has_prefix(path, mount_root) || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    return path[length] ? path + length : "/";
}

static char *
membership_read(const Proc *proc, GError **error)
{
    auto_fd fd = host_open_beneath(proc_dir_fd(proc), "cgroup", O_RDONLY | O_NONBLOCK);

    if (fd < 0) {
        guardian_set_errno(error, errno, "open", "cgroup");
        return NULL;
    }
    return host_read_fd(fd, "cgroup", MEMBERSHIP_BYTES_MAX, NULL, error);
}

char *
cgroup_membership(const Proc *proc)
{
    g_autofree char *text = membership_read(proc, NULL);
    bool is_v2;

    return text ? cgroup_parse_membership(text, &is_v2) : NULL;
}

bool
cgroup_place_find(const Host *host, const Proc *proc, CgroupPlace *ret_place, GError **error)
{
    g_autofree char *text = membership_read(proc, error);
    g_autofree char *mounts = text ? mountinfo_read(host, error) : NULL;
    g_autofree char *path = NULL, *point = NULL, *root = NULL;
    const char *below;
    bool is_v2;
    int fd;

    if (!mounts)
        return false;
    path = cgroup_parse_membership(text, &is_v2);
    if (!path || !cgroup_parse_mountinfo(mounts, is_v2, &point, &root)) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "no memory controller");
        return false;
    }
    below = path_below_mount(path, root);
    if (!below) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED,
                    "its cgroup is not below what is mounted at %s", point);
        return false;
    }
    fd = mount_open(host, point, error);
    if (fd < 0)
        return false;
    *ret_place = (CgroupPlace){.mount_fd = fd,
                               .path = g_strdup(below),
                               .is_v2 = is_v2,
                               .mount_is_part = !g_str_equal(root, "/")};
    return true;
}

int
cgroup_mount_v2(const Host *host)
{
    g_autofree char *mounts = mountinfo_read(host, NULL);
    g_autofree char *point = NULL, *root = NULL;

    return mounts && cgroup_parse_mountinfo(mounts, true, &point, &root)
               ? mount_open(host, point, NULL)
               : -1;
}

int
cgroup_mount_memory(const Host *host, bool *ret_is_v2)
{
    g_autofree char *mounts = mountinfo_read(host, NULL);

    for (guint i = 0; mounts && i < 2; i++) {
        g_autofree char *point = NULL, *root = NULL;

        *ret_is_v2 = i == 1;
        if (cgroup_parse_mountinfo(mounts, *ret_is_v2, &point, &root))
            return g_str_equal(root, "/") ? mount_open(host, point, NULL) : -1;
    }
    return -1;
}

bool
group_file_read(int mount_fd, const char *path, const char *name, char *text, gsize size)
{
    g_autofree char *file = g_strconcat(path, "/", name, NULL);
    auto_fd fd = host_open_beneath(mount_fd, file, O_RDONLY | O_NONBLOCK);

    return fd >= 0 && host_reread(fd, text, size, NULL) >= 0;
}
