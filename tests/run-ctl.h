/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* guardianctl in this process, with what it prints. Include t.h first. */

#include "ctl.h"

#include <glib.h>

typedef struct {
    int status;
    char *out, *err;
} Run;

/* words: after "guardianctl", ends with NULL. */
Run run_ctl(const char *const *words);
/* One verb with options of the test's; argv: the verb and its words, ends with NULL. */
Run run_verb(CtlVerbFunc verb, const CtlOptions *options, char **argv);
void run_clear(Run *run);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)
