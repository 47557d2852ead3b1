/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* guardianctl in this process, with what it prints. Include t.h first. */

#include "ctl.h"

#include <glib.h>
#include <json-glib/json-glib.h>

typedef struct {
    int status;
    char *out, *err;
} Run;

/* words: after "guardianctl", ends with NULL. */
Run run_ctl(const char *const *words);
/* One verb, and the words behind it, ended by NULL. */
Run run_verb_words(CtlVerbFunc verb, const char *name, bool is_json, const char *const *words);
/* One verb with options of the test's; argv: the verb and its words, ends with NULL. */
Run run_verb(CtlVerbFunc verb, const CtlOptions *options, char **argv);
void run_clear(Run *run);

/* What the words behind a verb bring. */
typedef struct {
    const char *name;
    const char *words[8];
    int status;
    const char *out, *err;
} RunRow;
void run_check(CtlVerbFunc verb, const char *name, const RunRow *row);
/* What it printed, which is one object; borrowed from the parser. */
JsonObject *run_json(JsonParser *parser, const Run *run);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)
