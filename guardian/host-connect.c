/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Following links to a socket.
 *
 * A path in a command line may lead through /var/run or the like, so links cannot all be refused;
 * and it may lead through /tmp, where a link is somebody else's word. So a link is followed only
 * when root made it in a directory that belongs to root and that nobody else can write to (a sticky
 * /tmp counts as writable). The path is rewritten, not followed: what comes out holds no link, and
 * the open that counts allows none, so a link put there in between is refused. An absolute target
 * starts again at dir_fd and so means something only when the path was absolute too. */

#include "host.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Enough for /var/run and every distribution's habits; a loop ends here. */
#define LINKS_MAX 8

/* The target when name in parent is a link that may be followed; NULL with errno set, 0 when it is
 * no link at all. */
static char *
link_read(int dir_fd, const char *parent, const char *name)
{
    auto_fd parent_fd = host_open_beneath(dir_fd, *parent ? parent : ".", O_PATH | O_DIRECTORY);
    auto_fd fd = -1;
    struct stat above, link;
    char target[PATH_MAX];
    gssize length;

    if (parent_fd < 0)
        return NULL;
    fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &link) < 0 || fstat(parent_fd, &above) < 0)
        return NULL;
    errno = 0;
    if (!S_ISLNK(link.st_mode))
        return NULL;
    errno = ELOOP;
    if (link.st_uid != 0 || above.st_uid != 0 || (above.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return NULL;
    length = readlinkat(fd, "", target, sizeof target);
    if (length < 0 || length == sizeof target)
        return NULL;
    return g_strndup(target, (gsize)length);
}

/* false with errno set when there is nothing left to drop. */
static bool
path_drop_last(GString *path)
{
    const char *slash = strrchr(path->str, '/');

    errno = EXDEV;
    if (path->len == 0)
        return false;
    g_string_truncate(path, slash ? (gsize)(slash - path->str) : 0);
    return true;
}

/* The path relative to dir_fd with its links replaced; NULL with errno set. */
static char *
path_resolve(int dir_fd, const char *path)
{
    g_autofree char *left = g_strdup(path);
    const char *cursor = left;
    g_autoptr(GString) done = g_string_new(NULL);
    guint n_links = 0;

    while (*(cursor += strspn(cursor, "/")) != '\0') {
        gsize length = strcspn(cursor, "/");
        g_autofree char *name = g_strndup(cursor, length);
        g_autofree char *target = NULL;
        char *joined;

        cursor += length;
        if (g_str_equal(name, "."))
            continue;
        if (g_str_equal(name, "..")) {
            if (!path_drop_last(done))
                return NULL;
            continue;
        }
        target = link_read(dir_fd, done->str, name);
        if (!target && errno != 0)
            return NULL;
        if (!target) {
            g_string_append_printf(done, "%s%s", done->len > 0 ? "/" : "", name);
            continue;
        }
        if (++n_links > LINKS_MAX || (*target == '/' && *path != '/')) {
            errno = ELOOP;
            return NULL;
        }
        if (*target == '/')
            g_string_truncate(done, 0);
        joined = g_strconcat(target, "/", cursor, NULL);
        g_free(left);
        cursor = left = joined;
    }
    return g_string_free(g_steal_pointer(&done), FALSE);
}

static int
open_socket_path(int dir_fd, const char *path)
{
    int fd = host_open_beneath(dir_fd, path + strspn(path, "/"), O_PATH);
    g_autofree char *resolved = NULL;

    if (fd >= 0 || errno != ELOOP)
        return fd;
    resolved = path_resolve(dir_fd, path);
    return resolved ? host_open_beneath(dir_fd, resolved, O_PATH) : -1;
}

/* -1 with errno set. The detour through /proc/self/fd makes the address short and the inode the one
 * that was looked at; it is the real /proc, whatever root was given. */
static int
connect_inode(int inode_fd, pid_t *ret_peer_pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t length = sizeof peer;
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", inode_fd);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return -1;
    *ret_peer_pid = peer.pid;
    return fd_steal(&fd);
}

int
host_connect_at(int dir_fd, const char *path, pid_t *ret_peer_pid, GError **error)
{
    auto_fd inode_fd = open_socket_path(dir_fd, path);
    struct stat status;
    int fd;

    if (inode_fd < 0) {
        guardian_set_errno(error, errno, "reach", path);
        return -1;
    }
    if (fstat(inode_fd, &status) < 0 || !S_ISSOCK(status.st_mode)) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_REFUSED, "%s is not a socket", path);
        return -1;
    }
    fd = connect_inode(inode_fd, ret_peer_pid);
    if (fd < 0)
        guardian_set_errno(error, errno, "connect to", path);
    return fd;
}
