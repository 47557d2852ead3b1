/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What systemd has written down of the memory limits of a VM's own groups, which it keeps as units:
 * MemoryMax= or MemoryLimit= of their files below /run and /etc, read in a child once a minute,
 * because the host's own disk may be the dead one. A VM without such a group costs nothing. */

#include "child.h"
#include "memory-limit.h"
#include "vm.h"

typedef struct UnitLook UnitLook;

UnitLook *unit_look_new(void);
void unit_look_free(UnitLook *look);
/* Before every sample: reads what is due. */
void unit_look_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us);
/* Before the VM ends: an answer that still comes is dropped. */
void unit_look_forget(Vm *vm);

/* A person wants to know: read again from the next sample on. */
void unit_look_want(Vm *vm);
/* Is that still under way? */
bool unit_look_is_open(const UnitLook *look);

/* Is it a group of systemd's whose limit we would know? */
bool unit_look_is_unit(const CgroupLimit *limit);
/* What systemd holds of it; borrowed. NULL: nothing is written down, or it is not known. */
const MemoryLimit *unit_look_limit(const UnitLook *look, const CgroupLimit *limit);
/* Why it is not known, a static phrase; NULL. */
const char *unit_look_problem(const UnitLook *look);
