/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The part of `guardianctl limits` that is offline: limits as text, in any of their forms. */

#include "ctl.h"

#include <stdbool.h>

/* "normalize", "diff" */
bool ctl_limits_form_is(const char *word);
/* argv[1] is one of these; the exit status. */
int ctl_limits_form(const CtlOptions *options, int argc, char **argv);
