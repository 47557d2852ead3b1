/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a verdict was given, with what the judge does not know by name: the limit that binds, the VM
 * that keeps a saturated storage busy. */

#include "vm.h"

/* "20000 B/s, 10 operations/s"; NULL without a limit, and for NULL. New string. */
char *report_limit(const DiskSample *disk);
/* The verdict's reason, completed; disk NULL: the verdict of the whole VM. New string, printable.
 */
char *report_reason(const Vm *vm, const DiskTrack *disk, const Verdict *verdict);
