/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A question about a VM that a child is busy with: the VM may end before it is answered. Who asks
 * keeps it in a slot, which is empty (NULL) while nothing is under way. */

#include "vm.h"

typedef struct Lookup {
    Vm *vm; /* NULL: it has ended */
    const Host *host;
    struct Lookup **slot;
} Lookup;

/* Fills the slot, which must be empty. It is its child's from then on. */
Lookup *lookup_begin(Lookup **slot, Vm *vm, const Host *host);
/* It is answered, or no child could be started: empties the slot and frees it. Its VM; NULL: that
 * has ended, with the slot. */
Vm *lookup_end(Lookup *lookup);
/* Before the VM ends: the answer is dropped. */
void lookup_forget(Lookup **slot);
