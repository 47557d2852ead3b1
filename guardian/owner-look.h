/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Puts down what the owner of a VM says of it, whenever its source has read that anew. Whether it
 * changes anything, the next sample finds out (vm->owner_is_new). */

#include "pveconf.h"
#include "vm.h"

/* The live section of a VM's configuration of Proxmox: tags and notes. conf NULL: it cannot be read
 * now, and what was known stays. */
void owner_look_proxmox(Vm *vm, const PveConf *conf);
/* The live XML of libvirt, where it was read anew since the last call. */
void owner_look_libvirt(Vm *vm);
