/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits of a disk in QEMU as means of the engine (act.h): through the VM's monitor, served by its
 * next sample. where is the throttle-group's or the -drive's id, field is "limits", values are
 * lines of limits-request.h. They end with the VM's process. */

#include "act-means.h"
#include "vm.h"

#define ACT_MEANS_GROUP "throttle-group"
#define ACT_MEANS_DRIVE "drive"
#define ACT_KIND_THROTTLE "throttle"
#define ACT_FIELD_LIMITS "limits"

/* vms: of Vm, borrowed; the VM of a record is looked for in it. */
ActMeans act_means_group(const GPtrArray *vms);
ActMeans act_means_drive(const GPtrArray *vms);

/* For other means of limits. The living VM of a record, borrowed; NULL: it is gone. */
Vm *act_throttle_subject(const GPtrArray *vms, const ActSubject *subject);
/* ActMeans.is_same of such values. */
bool act_throttle_is_same(const char *field, const char *a, const char *b);
