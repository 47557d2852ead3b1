/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OOM forecast in the state's JSON, and as a person reads it. */

#include "report-build.h"
#include "report-read.h"

#include "pressure.h"
#include "vm.h"

/* Members "forecast", "kinds" and what the sum is made of, into the open object "memory". */
void report_add_forecast(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks);

/* Members "reservation_bytes" to "reservation_candidates". */
void report_add_reservation(JsonBuilder *builder, const Vm *vm);
/* Lines of explain, one a model: what it would reserve, or why it cannot say. A new string. */
char *report_candidates_text(JsonObject *vm);

/* Of a VM's object; PRESSURE_UNKNOWN when it is not told. */
PressureLevel report_level_of(JsonObject *vm);
/* Is it grave enough that somebody should look? Then the word for the column STATE: "DOOMED",
 * "OOM"; else NULL. */
const char *report_level_word(JsonObject *vm);
/* The same, and "watch" where growth beside the guest is shown that nobody is told of yet. */
const char *report_memory_word(JsonObject *vm);
/* For how long it has been at that level: "12s", "unknown". New string. */
char *report_forecast_age(JsonObject *vm);
/* "DOOMED, alive: the guest may take 1643 MiB more, 1519 MiB left: >= 124 MiB short; stranger
 * memhold[11572] 403 MiB"; new string, NULL where there is nothing to tell. */
char *report_forecast_text(JsonObject *vm);
/* The lines of `explain`: forecast, domain, sum, what to do; nothing where there is nothing to
 * tell. */
void report_append_forecast(GString *text, JsonObject *vm);
