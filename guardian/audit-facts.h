/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The facts an audit runs over: of a watched VM as its process runs, and of what its configuration
 * brings at the next start. Only reads; the configuration of a Proxmox host may lie on a cluster
 * file system that hangs, so this is for a tool and never for the tick. */

#include "audit.h"
#include "domain-xml.h"
#include "pveconf.h"
#include "throttle.h"
#include "vm.h"

/* As it runs; never NULL. */
AuditVm *audit_facts_running(const Host *host, const Vm *vm);
/* As its host has it written down; NULL where there is nothing of the kind. *ret_problem: why what
 * is there cannot be read, a new printable string. */
AuditVm *audit_facts_configured(const Host *host, const Vm *vm, char **ret_problem);
/* The same of the text of a Proxmox configuration, and of a definition of libvirt's. */
AuditVm *audit_facts_pve(const PveConf *conf);
AuditVm *audit_facts_domain(const DomainXml *xml);
/* The definition that the host's libvirtd keeps of it; NULL: there is none. */
AuditVm *audit_facts_defined(const Host *host, const Vm *vm, char **ret_problem);
/* Does the host's swap lie on a disk that the VM's groups may use so fast only, without a cap on
 * its swap? Unknown on cgroup v1, which has these in hierarchies of their own. */
AuditAnswer audit_facts_swap(const Host *host, const Vm *vm);
/* What a disk's limits are like. */
void audit_facts_limits(AuditDisk *disk, const Throttle *throttle);
