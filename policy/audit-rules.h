/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The table of rules behind audit.h. A rule looks at a disk or at the VM and says why, a new
 * string, or NULL. In a remedy {vm} and {disk} stand for their names. */

#include "audit.h"

typedef struct {
    const char *name;
    AuditSeverity severity;
    char *(*find_in_disk)(const AuditDisk *disk); /* one of the two */
    char *(*find)(const AuditVm *vm);
    const char *source;
    const char *preflight;             /* NULL nothing */
    const char *remedy[AUDIT_N_HOSTS]; /* NULL: as for AUDIT_BARE */
} AuditRule;

/* audit-disk.c, audit-vm.c */
extern const AuditRule audit_disk_rules[], audit_vm_rules[];
extern const guint audit_n_disk_rules, audit_n_vm_rules;

/* How what was changed takes effect. */
#define RESTART_PROXMOX                                                                            \
    "; then qm shutdown {vm} && qm start {vm}: a reboot from inside keeps this QEMU"
#define RESTART_LIBVIRT "; then virsh shutdown {vm}, virsh start {vm}"
#define RESTART_KUBEVIRT "; then virtctl restart {vm}"
#define RESTART_BARE "; then start QEMU anew"
