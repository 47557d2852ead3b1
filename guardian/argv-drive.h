/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What QEMU adds to a -drive that names no device: which device it becomes, and its id when it has
 * none ("virtio0", "ide0-hd1"), by which the monitor knows it. */

#include "argv-options.h"

/* if=, or the machine's own. */
const char *drive_interface(Options *drive, const char *default_interface);
/* NULL when the drive waits for a -device (none) or is no disk (pflash, mtd). */
const char *drive_device(Options *drive, const char *interface);
/* New string. slots: a set of char * kept over all drives of one VM, in their order. */
char *drive_id(Options *drive, const char *interface, GHashTable *slots);
