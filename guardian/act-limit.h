/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory limits of one VM: what policy/limits-plan.h needs to know of them, and its plan as
 * writes. What systemd or libvirt keeps is written through it, all else as a file. */

#include "act.h"
#include "hostmemory.h"
#include "limits-plan.h"

#define ACT_KIND_LIMITS "limits"

/* Of the VM's newest reading. journal (NULL: none) tells what a limit was before it was first
 * raised; host NULL: the host's memory is not known. */
void act_limit_input(const Vm *vm, const ActJournal *journal, const HostMemory *host,
                     LimitsInput *ret_input);
/* Group and reason of a plan that was refused, in one sentence; new string. */
char *act_limit_refusal(const Vm *vm, const LimitsPlan *plan);
/* The writes of a plan that was not refused, in their order; of ActRecord, unref. by: ACT_BY_...
 * NULL with error set when one of them cannot be made (a group that is gone). */
GPtrArray *act_limit_steps(const Vm *vm, const LimitsInput *input, const LimitsPlan *plan,
                           const char *by, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* May what was raised be taken back now? NULL, or why not (new string): a limit below what its
 * group holds and the margin would kill. steps: of acts_undo_plan(). */
char *act_limit_undo_problem(const Vm *vm, const GPtrArray *steps);
/* What the VM's settings, and the suspicions on it, say; vms: of Vm. */
ActTerms act_limit_terms(const Vm *vm, const Limits *host, const GPtrArray *vms);
