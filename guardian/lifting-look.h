/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What must be known of a hog before memory.high of a group around it is lifted. */

#include "host.h"
#include "lift.h"

/* *ret_group: the process's own group, raw, a new string; NULL when it is gone or not below path.
 * Sets what the groups from there up to path say of memory.oom.group. */
void lifting_look_groups(const Host *host, pid_t pid, const char *path, LiftFacts *facts,
                         char **ret_group);
