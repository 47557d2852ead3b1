/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* capture --list and --show: bundles that are there, on disk or still in memory. The disk may be
 * the dead one, so a child looks. */

#include "ctl.h"

int ctl_bundles_list(const CtlOptions *options);
int ctl_bundles_show(const CtlOptions *options, const char *name);
