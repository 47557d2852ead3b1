/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What became of each executable of alert.d in `guardianctl alert test`. */

#include <json-glib/json-glib.h>
#include <stdbool.h>

typedef struct {
    const char *name, *result, *output; /* printable */
    bool is_good, has_run;
    gint64 took_us;
} AlertResult;

/* Of AlertResult, each with texts of its own. */
GPtrArray *alert_results_new(void);
/* Copied; they stay in the order of their names. */
void alert_results_add(GPtrArray *results, const AlertResult *result);
/* {"schema": 1, "complete": bool, "directory": text, "results": [{"name", "result", "good",
 * "took_ms", "output"}]}; "took_ms" null for one that was not run. Transfer full. */
JsonNode *alert_results_json(const GPtrArray *results, const char *directory, bool is_complete);
