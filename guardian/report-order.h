/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the kernel would choose another victim among a VM's processes than is asked for. */

#include "kill-order.h"
#include "report-build.h"

/* Members "kill_order" and "oom_unit" of an open object: null where nothing is asked for. */
void report_add_order(JsonBuilder *builder, const Vm *vm);
/* For explain. */
void report_append_order(GString *text, JsonObject *vm);
