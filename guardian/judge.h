/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One complete sample -> new verdicts, and who is told of what they changed. */

#include "vm.h"

/* What one sample of one VM changed. Borrowed; disk may be one that has just vanished. */
typedef struct {
    const Vm *vm;
    const DiskTrack *disk; /* NULL: of the whole VM */
    Verdict before, after;
} GuardianChange;
typedef void (*GuardianChangeFunc)(const GuardianChange *change, gpointer data);

/* Judges vm->sample. func may be NULL; it is called for each disk and for the VM, also for what did
 * not change. */
void judge_sample(Vm *vm, GuardianChangeFunc func, gpointer data);
/* The VM is not watched any more: tells that all is over. */
void judge_end(const Vm *vm, GuardianChangeFunc func, gpointer data);
