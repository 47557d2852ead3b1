/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What systemd does to a VM's unit after the kernel has killed anything in it, OOMPolicy= in
 * systemd.service(5): with another one than "continue" it ends the rest of the unit, QEMU too,
 * whomever the kernel chose. Asked for only where [memory] wants another order of kills. */

#include "child.h"
#include "vm.h"

typedef struct UnitPolicy UnitPolicy;

UnitPolicy *unit_policy_new(void);
void unit_policy_free(UnitPolicy *policy);
/* Before every sample: asks systemd when it is due. */
void unit_policy_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us);
/* Before the VM ends: an answer that still comes is dropped. */
void unit_policy_forget(Vm *vm);

/* Of the unit around QEMU's group, printable and borrowed: its policy, and its name. NULL: there is
 * none, it is not known, or nobody wants to know. */
const char *unit_policy_word(const UnitPolicy *policy, const char **ret_unit);
