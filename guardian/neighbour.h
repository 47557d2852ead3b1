/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Do the disks of other VMs on the same storage still move? One frozen disk among moving neighbours
 * points inside QEMU; all still at once points at the storage. */

#include "vm.h"

/* Remembers which disks of the VM's newest sample moved. */
void neighbours_note(Vm *vm);
/* Counts the neighbours of each disk of the VM's newest sample; vms: of Vm, all that are known. */
void neighbours_count(Vm *vm, const GPtrArray *vms);
/* Who writes most on the storage of this disk, the VM itself included, as of the newest count:
 * printable and borrowed, with the bytes per second; NULL: nobody, or not counted. */
const char *neighbours_top_writer(const Vm *vm, const char *disk_id, guint64 *ret_bps);
/* Disk id (char *) -> what is remembered of its motion. */
GHashTable *neighbours_table_new(void);
