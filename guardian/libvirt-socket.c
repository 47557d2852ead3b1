/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-socket.h"

#include "units.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* What ends the names of sockets that libvirtd itself lets nobody write to. */
#define READ_ONLY "-ro"

void
libvirt_socket_free(LibvirtSocket *found)
{
    if (!found)
        return;
    fd_clear(&found->inode_fd);
    fd_clear(&found->write_fd);
    g_free(found->label);
    g_free(found->peer_namespace);
    g_free(found);
}

/* "pid:[4026531836]"; NULL where that may not be seen. */
static char *
read_namespace(int process_fd)
{
    char text[PATH_MAX];
    ssize_t length = readlinkat(process_fd, "ns/pid", text, sizeof text - 1);

    return length > 0 ? g_strndup(text, (gsize)length) : NULL;
}

static void
look_at_peer(const Host *host, LibvirtSocket *found)
{
    g_autoptr(Proc) peer = proc_open(host, found->peer_pid, NULL);
    ProcStatus status;

    if (!peer)
        return;
    found->has_peer_uid = proc_read_status(peer, &status, NULL);
    found->peer_uid = status.uid;
    found->peer_namespace = read_namespace(proc_dir_fd(peer));
}

/* Its libvirtd listens on both, or on one that is both. */
static int
open_write_socket(int dir_fd, const char *path, int inode_fd)
{
    g_autofree char *other = NULL;

    if (!g_str_has_suffix(path, READ_ONLY))
        return fcntl(inode_fd, F_DUPFD_CLOEXEC, 0);
    other = g_strndup(path, strlen(path) - strlen(READ_ONLY));
    return host_open_beneath(dir_fd, other, O_PATH);
}

/* path below dir_fd; sockets: those that are known, NULL for none. NULL with error set when nobody
 * listens there, without one when it is known. */
static LibvirtSocket *
open_socket(const Host *host, int dir_fd, const char *path, const char *label,
            const GPtrArray *known, GError **error)
{
    auto_fd inode_fd = host_open_beneath(dir_fd, path, O_PATH);
    auto_fd probe = -1;
    struct stat status;
    LibvirtSocket *found;
    pid_t peer_pid = 0;

    if (inode_fd < 0 || fstat(inode_fd, &status) < 0) {
        guardian_set_errno(error, errno, "reach", label);
        return NULL;
    }
    for (guint i = 0; known && i < known->len; i++) {
        found = known->pdata[i];
        if (found->device == status.st_dev && found->inode == status.st_ino)
            return NULL;
    }
    probe = host_connect_at(dir_fd, path, &peer_pid, error);
    if (probe < 0)
        return NULL;
    found = g_new0(LibvirtSocket, 1);
    found->label = units_printable(label, -1);
    found->inode_fd = fd_steal(&inode_fd);
    found->write_fd = open_write_socket(dir_fd, path, found->inode_fd);
    found->device = status.st_dev;
    found->inode = status.st_ino;
    found->peer_pid = peer_pid;
    look_at_peer(host, found);
    return found;
}

static void
look_in(const Host *host, int root_fd, const char *directory, const char *label, GPtrArray *sockets)
{
    static const char *const names[] = {"virtqemud-sock-ro", "libvirt-sock-ro", "virtqemud-sock",
                                        "libvirt-sock"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(directory, names[i], NULL);
        g_autofree char *full = g_build_filename(label, names[i], NULL);
        g_autoptr(GError) error = NULL;
        LibvirtSocket *found = open_socket(host, root_fd, path, full, sockets, &error);

        if (found)
            g_ptr_array_add(sockets, found);
        if (!error)
            return;
    }
}

void
libvirt_sockets_of_vm(const Host *host, const Vm *vm, GPtrArray *sockets)
{
    g_autofree char *process =
        g_strdup_printf("/proc/%d/root/run/libvirt", (int)proc_pid(vm->proc));
    auto_fd root = openat(proc_dir_fd(vm->proc), "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ProcStatus status;

    look_in(host, host_root_fd(host, HOST_RUN), "libvirt", "/run/libvirt", sockets);
    if (proc_read_status(vm->proc, &status, NULL)) {
        g_autofree char *user = g_strdup_printf("user/%u/libvirt", (guint)status.uid);
        g_autofree char *label = g_build_filename("/run", user, NULL);

        look_in(host, host_root_fd(host, HOST_RUN), user, label, sockets);
    }
    if (root >= 0)
        look_in(host, root, "run/libvirt", process, sockets);
}

LibvirtSocket *
libvirt_socket_at(const Host *host, const char *path, GError **error)
{
    static const struct {
        const char *prefix;
        HostRoot root;
    } roots[] = {{"/run/", HOST_RUN},
                 {"/var/run/", HOST_RUN},
                 {"/var/lib/", HOST_VAR},
                 {"/proc/", HOST_PROC}};

    for (guint i = 0; i < G_N_ELEMENTS(roots); i++)
        if (g_str_has_prefix(path, roots[i].prefix))
            return open_socket(host, host_root_fd(host, roots[i].root),
                               path + strlen(roots[i].prefix), path, NULL, error);
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_CONFIG,
                "%s is not below /run, /var/lib or /proc", path);
    return NULL;
}

static char *
uri_of(const LibvirtSocket *found, int fd)
{
    /* a libvirtd of root's has the system's domains, any other its user's session */
    bool is_system = !found->has_peer_uid || found->peer_uid == 0;

    return g_strdup_printf("qemu+unix:///%s?socket=/proc/self/fd/%d",
                           is_system ? "system" : "session", fd);
}

char *
libvirt_socket_uri(const LibvirtSocket *found)
{
    return uri_of(found, found->inode_fd);
}

char *
libvirt_socket_write_uri(const LibvirtSocket *found)
{
    return found->write_fd >= 0 ? uri_of(found, found->write_fd) : NULL;
}

bool
libvirt_socket_serves(const LibvirtSocket *found, const Vm *vm)
{
    g_autofree char *name_space = read_namespace(proc_dir_fd(vm->proc));
    ProcStatus status;

    if (name_space && found->peer_namespace && strcmp(name_space, found->peer_namespace) != 0)
        return false;
    return found->has_peer_uid &&
           (found->peer_uid == 0 ||
            (proc_read_status(vm->proc, &status, NULL) && status.uid == found->peer_uid));
}
