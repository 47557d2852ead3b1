/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The socket of a libvirtd: where it may be, who listens. It is kept open as an inode and connected
 * to through /proc/self/fd, so that no path is too long for a unix address, and no link that a
 * container makes leads elsewhere. */

#include "vm.h"

typedef struct {
    char *label;  /* printable: the path as a person would look for it */
    int inode_fd; /* O_PATH */
    int write_fd; /* the same for the socket beside it that is not read-only; -1: there is none */
    guint64 device, inode;
    pid_t peer_pid; /* who listens; 1: systemd, on behalf of the host's */
    bool has_peer_uid;
    uid_t peer_uid;
    char *peer_namespace; /* "pid:[4026531836]"; NULL unknown */
} LibvirtSocket;

/* Adds to sockets, of LibvirtSocket, those on which somebody listens, of the directories where the
 * VM's libvirtd may be: the host's, its user's, its container's. Of each directory the best one:
 * virtqemud before libvirtd, read-only before read-write. Those that are there already, which may
 * be stopped and have a short queue of connections, are not knocked at again. */
void libvirt_sockets_of_vm(const Host *host, const Vm *vm, GPtrArray *sockets);
/* The one that the configuration names; NULL with error set. */
LibvirtSocket *libvirt_socket_at(const Host *host, const char *path, GError **error);
void libvirt_socket_free(LibvirtSocket *socket);
/* "qemu+unix:///system?socket=/proc/self/fd/9"; new string. */
char *libvirt_socket_uri(const LibvirtSocket *socket);
/* Of a connection that may write; NULL: there is none. New string. */
char *libvirt_socket_write_uri(const LibvirtSocket *socket);
/* May that libvirtd speak for this VM? */
bool libvirt_socket_serves(const LibvirtSocket *socket, const Vm *vm);
