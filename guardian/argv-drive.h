/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What QEMU adds to a -drive that names no device: which device it becomes, and its id when it has
 * none ("virtio0", "ide0-hd1"), by which the monitor knows it. */

#include "argv-draft.h"

/* if=, or the machine's own. */
const char *drive_interface(Options *drive, const char *default_interface);
/* NULL when the drive waits for a -device (none) or is no disk (pflash, mtd). */
const char *drive_device(Options *drive, const char *interface);
/* Files the drive; it shares options, and gets its id in them. */
void draft_add_drive(Draft *draft, Options *drive);
/* -hda to -hdd, -cdrom (which is -hdc) and an argument that is no option (-hda). */
void draft_add_short_drive(Draft *draft, const char *file, const char *index, const char *media);
