/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What may run in a VM's domain, by the name of the program: QEMU, the helpers around it, and
 * strangers, which is everybody else. One table for living processes (RoleTable) and for the
 * kernel's OOM reports (oomreport.h). */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    ROLE_QEMU,
    ROLE_VIRT_LAUNCHER_MONITOR,
    ROLE_VIRT_LAUNCHER,
    ROLE_VIRTQEMUD,
    ROLE_LIBVIRTD,
    ROLE_VIRTLOGD,
    ROLE_VIRT_TAIL,
    ROLE_VIRT_PROBE, /* an exec probe of KubeVirt */
    ROLE_CONTAINER_DISK,
    ROLE_SWTPM,
    ROLE_PASST,
    ROLE_VIRTIOFSD,
    ROLE_QEMU_PR_HELPER,
    ROLE_PAUSE,
    ROLE_CONMON,
    ROLE_STRANGER,
    ROLE_N
} Role;

/* By a program's base name, which the kernel may have cut to 15 bytes. */
Role role_of(const char *name);
/* The program's name, "qemu", "stranger"; static. */
const char *role_name(Role role);
/* Neither a QEMU nor a stranger. */
bool role_is_helper(Role role);
/* What a process of that role takes when it does nothing wrong, from role.c; 0 for QEMU and for
 * strangers, who have no share. */
guint64 role_share_bytes(Role role);

/* Processes of one role. */
typedef struct {
    guint32 n_processes;
    guint64 rss_bytes;     /* counts a shared page in every process that maps it */
    guint64 private_bytes; /* of that without files and shared memory: anonymous pages */
    /* Of private_bytes: held in the group that carries the tightest limit, or below it; all of it
     * where there is no limit, or the limit is above the VM's own groups. */
    guint64 domain_private_bytes;
} RoleUse;

/* A VM's own groups: its scope, or the pod with all its containers. The VM's own QEMU process is
 * not counted; role ROLE_QEMU is another VM's. */
typedef struct {
    bool is_known;
    bool is_complete; /* every process was looked at; false: there were too many */
    RoleUse uses[ROLE_N];
    gint64 stranger_pid; /* the one with most private memory; 0 none */
    char stranger_name[16];
    guint64 stranger_private_bytes;
} RoleTable;

/* Domain_private_bytes of all helpers, and of all strangers and other VMs. */
guint64 role_table_helpers_bytes(const RoleTable *table);
guint64 role_table_strangers_bytes(const RoleTable *table);
