/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* A kept descriptor costs memory only for what is read; a first guess of one page fits nearly every
 * file of proc and cgroup. */
#define READ_STEP_BYTES 4096u

static const char *const default_paths[HOST_N_ROOTS] = {
    [HOST_PROC] = "/proc", [HOST_SYS] = "/sys",     [HOST_RUN] = "/run",
    [HOST_ETC] = "/etc",   [HOST_VAR] = "/var/lib", [HOST_CONFIG] = "/etc/vm-guardian",
    [HOST_DEV] = "/dev",
};

struct Host {
    char *paths[HOST_N_ROOTS];
    int fds[HOST_N_ROOTS];
    bool clock_is_set;
    gint64 monotonic_us, boottime_us, realtime_us;
};

G_DEFINE_QUARK(guardian - error - quark, guardian_error)

GuardianError
guardian_error_from_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
    case ENODEV:
        return GUARDIAN_ERROR_GONE;
    case EACCES:
    case EPERM:
        return GUARDIAN_ERROR_DENIED;
    case EAGAIN:
        return GUARDIAN_ERROR_BUSY;
    case ECONNREFUSED:
    case ELOOP:
    case EXDEV:
        return GUARDIAN_ERROR_REFUSED;
    default:
        return GUARDIAN_ERROR_FAILED;
    }
}

void
guardian_set_errno(GError **error, int number, const char *verb, const char *path)
{
    const char *why = g_strerror(number);

    if (number == ENOSYS)
        why = "needs openat2 (Linux 5.6)";
    else if (number == ELOOP)
        why = "leads through a symbolic link";
    else if (number == EXDEV)
        why = "leads outside its root";
    g_set_error(error, GUARDIAN_ERROR, guardian_error_from_errno(number), "cannot %s %s: %s", verb,
                path, why);
}

int
host_open_beneath(int dir_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (guint64)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? 0600 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

static int
open_root(const Host *host, HostRoot root)
{
    return open(host->paths[root], O_PATH | O_DIRECTORY | O_CLOEXEC);
}

Host *
host_new(const char *const roots[HOST_N_ROOTS], GError **error)
{
    g_autoptr(Host) host = g_new0(Host, 1);

    for (guint i = 0; i < HOST_N_ROOTS; i++)
        host->fds[i] = -1;
    for (guint i = 0; i < HOST_N_ROOTS; i++) {
        bool is_default = !roots || !roots[i];
        auto_fd fd = -1;

        host->paths[i] = g_strdup(is_default ? default_paths[i] : roots[i]);
        fd = open_root(host, i);
        if (fd < 0 && !(is_default && i == HOST_CONFIG && errno == ENOENT)) {
            guardian_set_errno(error, errno, "open", host->paths[i]);
            return NULL;
        }
        if (i != HOST_CONFIG)
            host->fds[i] = fd_steal(&fd);
    }
    return g_steal_pointer(&host);
}

void
host_free(Host *host)
{
    if (!host)
        return;
    for (guint i = 0; i < HOST_N_ROOTS; i++) {
        fd_clear(&host->fds[i]);
        g_free(host->paths[i]);
    }
    g_free(host);
}

const char *
host_root_path(const Host *host, HostRoot root)
{
    return host->paths[root];
}

int
host_root_fd(const Host *host, HostRoot root)
{
    return host->fds[root];
}

void
host_set_clock(Host *host, gint64 monotonic_us, gint64 boottime_us, gint64 realtime_us)
{
    host->clock_is_set = true;
    host->monotonic_us = monotonic_us;
    host->boottime_us = boottime_us;
    host->realtime_us = realtime_us;
}

static gint64
clock_read_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

gint64
host_monotonic_us(const Host *host)
{
    return host->clock_is_set ? host->monotonic_us : clock_read_us(CLOCK_MONOTONIC);
}

gint64
host_boottime_us(const Host *host)
{
    return host->clock_is_set ? host->boottime_us : clock_read_us(CLOCK_BOOTTIME);
}

gint64
host_realtime_us(const Host *host)
{
    return host->clock_is_set ? host->realtime_us : clock_read_us(CLOCK_REALTIME);
}

int
host_open(const Host *host, HostRoot root, const char *path, int flags, GError **error)
{
    auto_fd root_fd = root == HOST_CONFIG ? open_root(host, root) : -1;
    int fd = -1;

    if (root != HOST_CONFIG || root_fd >= 0)
        fd = host_open_beneath(root == HOST_CONFIG ? root_fd : host->fds[root], path, flags);
    if (fd < 0) {
        int number = errno;
        g_autofree char *full = g_build_filename(host->paths[root], path, NULL);

        guardian_set_errno(error, number, "open", full);
    }
    return fd;
}

char *
host_read_fd(int fd, const char *name, gsize cap, gsize *ret_length, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    gsize length = 0;
    gssize n = 1;
    struct stat status;

    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "%s is not a regular file",
                    name);
        return NULL;
    }
    while (n != 0) {
        g_byte_array_set_size(bytes, length + READ_STEP_BYTES);
        n = read(fd, bytes->data + length, READ_STEP_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            guardian_set_errno(error, errno, "read", name);
            return NULL;
        }
        length += (gsize)n;
        if (length > cap) {
            g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                        "%s is longer than %" G_GSIZE_FORMAT " bytes", name, cap);
            return NULL;
        }
    }
    bytes->data[length] = '\0';
    if (ret_length)
        *ret_length = length;
    return (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
}

char *
host_read(const Host *host, HostRoot root, const char *path, gsize cap, gsize *ret_length,
          GError **error)
{
    g_autofree char *full = g_build_filename(host->paths[root], path, NULL);
    /* Without O_NONBLOCK, a FIFO in our way would hold us for ever. */
    auto_fd fd = host_open(host, root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, error);

    return fd < 0 ? NULL : host_read_fd(fd, full, cap, ret_length, error);
}

/* A file of /proc, /sys or a cgroup gives whole lines until the next one does not fit into a page
 * or into our buffer. None has a line of half a page: one that gives less than that has no more,
 * and asking it again costs as much as the first time. */
#define WHOLE_BYTES 2048

gssize
host_reread(int fd, char *buffer, gsize size, GError **error)
{
    gsize length = 0;

    g_assert(size > 0);
    while (length < size - 1) {
        gssize n = pread(fd, buffer + length, size - 1 - length, (off_t)length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            guardian_set_errno(error, errno, "read", "a kept descriptor");
            return -1;
        }
        length += (gsize)n;
        if (n == 0 || length < WHOLE_BYTES)
            break;
    }
    buffer[length] = '\0';
    return (gssize)length;
}
