/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The canary: one read of 512 bytes into the block layer below a disk that is, or is about to be,
 * suspect, where the policy allows it. At most one is out for each disk; its completion shows as
 * one more read of the disk, and is counted out of the guest's own statistics. Until the disk makes
 * progress it is not sent again. */

#include "vm.h"

/* Takes the newest counters of the disk: has one come back? Fills disk->canary_* and takes what
 * were our reads out of its counters. */
void canary_note(Vm *vm, DiskSample *disk, gint64 now_us);
/* May and should one be sent to this disk now? */
bool canary_is_wanted(const Vm *vm, const DiskSample *disk, gint64 now_us);
/* It was sent: QEMU took the command. */
void canary_sent(Vm *vm, const DiskSample *disk, gint64 now_us);
