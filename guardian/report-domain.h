/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OOM domain of a VM: each limit between its group and the top, who would undo a change of it,
 * and what dies when it is reached; in the state and as lines of `explain`. */

#include "report-read.h"

/* Members "namespace", "pod" and "domain" of an open object. */
void report_add_domain(JsonBuilder *builder, const Vm *vm);
/* "<uid>, burstable; container <id> (containerd)"; "" outside of pods. New string. */
char *report_pod_text(JsonObject *vm);
/* "container 2G (120M left), pod 2.1G (180M left), shared kubepods 60G (9G left)", the tightest
 * first; "" without limits. New string. */
char *report_limits_text(JsonObject *vm);
/* "one OOM kills all of /a/b"; "" when one process is chosen, or it is unknown. New string. */
char *report_kill_text(JsonObject *vm);
