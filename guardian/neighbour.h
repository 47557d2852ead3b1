/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Do the disks of other VMs on the same storage still move? One frozen disk among moving neighbours
 * points inside QEMU; all still at once points at the storage. */

#include "vm.h"

/* Remembers which disks of the VM's newest sample moved. */
void neighbours_note(Vm *vm);
/* Counts the neighbours of each disk of the VM's newest sample; vms: of Vm, all that are known. */
void neighbours_count(Vm *vm, const GPtrArray *vms);
/* Disk id (char *) -> what is remembered of its motion. */
GHashTable *neighbours_table_new(void);
