/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only door to the outside world: where proc, sys, run and etc are, and what time it is. Tests
 * give their own roots and clock. Everything below a root is opened with openat2: no link is
 * followed and nothing outside the root is reached, so a cgroup or socket path made by somebody
 * else cannot lead elsewhere. */

#include "fd.h"

#include <gio/gio.h>
#include <stdbool.h>

#define GUARDIAN_ERROR (guardian_error_quark())
GQuark guardian_error_quark(void);
typedef enum {
    GUARDIAN_ERROR_GONE,      /* the process, file or group does not exist (any more) */
    GUARDIAN_ERROR_DENIED,    /* exists, may not be read */
    GUARDIAN_ERROR_MALFORMED, /* read, but not of the documented shape */
    GUARDIAN_ERROR_BUSY,      /* a socket's backlog is full */
    GUARDIAN_ERROR_REFUSED,   /* nobody listens, or the path leads through a link */
    GUARDIAN_ERROR_CONFIG,    /* configuration: message names file, line and key */
    GUARDIAN_ERROR_FAILED,
} GuardianError;
GuardianError guardian_error_from_errno(int number);
/* "cannot <verb> <path>: <why>" */
void guardian_set_errno(GError **error, int number, const char *verb, const char *path);

typedef enum {
    HOST_PROC,
    HOST_SYS,
    HOST_RUN,
    HOST_ETC,
    HOST_CONFIG,
    HOST_VAR,
    HOST_DEV,
    HOST_N_ROOTS
} HostRoot;

typedef struct Host Host;

/* roots: NULL, or NULL entries, mean /proc, /sys, /run, /etc, /etc/vm-guardian, /var/lib, /dev.
 * NULL with error set when one cannot be opened; only the default HOST_CONFIG may be missing.
 * HOST_CONFIG is opened anew each time, because packages and people replace it while we run. */
Host *host_new(const char *const roots[HOST_N_ROOTS], GError **error) G_GNUC_WARN_UNUSED_RESULT;
void host_free(Host *host);
/* The path of a root, for messages. */
const char *host_root_path(const Host *host, HostRoot root);
/* Borrowed; -1 for HOST_CONFIG. */
int host_root_fd(const Host *host, HostRoot root);

/* Tests only: a frozen clock. Without it, CLOCK_MONOTONIC, _BOOTTIME and _REALTIME. */
void host_set_clock(Host *host, gint64 monotonic_us, gint64 boottime_us, gint64 realtime_us);
gint64 host_monotonic_us(const Host *host);
gint64 host_boottime_us(const Host *host);
gint64 host_realtime_us(const Host *host);

/* path is relative to the root. flags as open(2), O_CLOEXEC is added; what O_CREAT makes has mode
 * 0600. -1 with error set. */
int host_open(const Host *host, HostRoot root, const char *path, int flags,
              GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same below any directory; -1 with errno set (ELOOP: a link, EXDEV: leads out). */
int host_open_beneath(int dir_fd, const char *path, int flags) G_GNUC_WARN_UNUSED_RESULT;
/* Reads a small regular file whole (at most cap bytes, else MALFORMED, as is a FIFO, device or
 * directory); NUL-terminated; new buffer. ret_length may be NULL. */
char *host_read(const Host *host, HostRoot root, const char *path, gsize cap, gsize *ret_length,
                GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same from where fd stands; name is for messages. */
char *host_read_fd(int fd, const char *name, gsize cap, gsize *ret_length,
                   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads a kept descriptor from its start into buffer (size - 1 bytes at most, NUL-terminated).
 * -1 with error set (GONE for ESRCH and ENODEV). */
gssize host_reread(int fd, char *buffer, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Connects to the unix socket at path below dir_fd, non-blocking; longer paths than a unix address
 * holds work. An absolute path is taken as if dir_fd were "/", so for the path in a process's argv
 * dir_fd is its /proc/<pid>/root. No link is followed, except one that root made where only root
 * writes (/var/run). *ret_peer_pid is SO_PEERCRED's. -1 with error set (BUSY, REFUSED, GONE,
 * DENIED). */
int host_connect_at(int dir_fd, const char *path, pid_t *ret_peer_pid,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_free)
