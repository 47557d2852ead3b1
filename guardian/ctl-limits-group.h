/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* limits undo of a group that is no VM's: memory.high that was lifted (lifting.h). */

#include "config.h"
#include "ctl.h"

/* group as it is printed, "/system.slice/web.service". Frees config. An exit status. */
int ctl_limits_undo_group(const CtlOptions *options, const Host *host, Config *config,
                          const char *group, bool is_yes);
