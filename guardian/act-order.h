/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the kernel would choose another victim among a VM's processes than [memory] asks for
 * (kill-order.h), as writes: scores by the means "process", memory.oom.group as the file it is,
 * also of a unit. systemd (252, measured) puts a unit's own value back at each daemon-reload, and
 * has no way to be told another while the unit runs; then it is written again, a few times in an
 * hour. */

#include "act.h"
#include "kill-order.h"

#define ACT_KIND_GROUP "oom_group"
#define ACT_KIND_SCORE "oom_score"

/* For the newest look at the VM, of one of these kinds, no more than may be written now; of
 * ActRecord, unref. journal: what was written before. *ret_fight: a new string that names a value
 * that was put back too often and is left out; NULL: none. */
GPtrArray *act_order_steps(const Vm *vm, const ActJournal *journal, const Limits *host,
                           const char *kind, const char *by, char **ret_fight);
/* Is anything of that kind otherwise than asked for, and the VM's own? */
bool act_order_differs(const Vm *vm, const char *kind);
/* What the VM's settings, and the suspicions on it, say; vms: of Vm. */
ActTerms act_order_terms(const Vm *vm, const Limits *host, const GPtrArray *vms, const char *kind);
