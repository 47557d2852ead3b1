/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Members of our JSON: one member a call, null for a fact that is not known. What does not fit a
 * signed 64-bit integer is unknown, too. Nothing is kept. */

#include "report.h"

#include "model.h"

/* Both clocks at the moment of the report: turns the stamps of the samples into times of day. */
typedef struct {
    gint64 monotonic_us, realtime_us;
} ReportClocks;

void build_u64(JsonBuilder *builder, const char *name, bool has, guint64 value);
void build_s64(JsonBuilder *builder, const char *name, bool has, gint64 value);
/* NULL is null. */
void build_text(JsonBuilder *builder, const char *name, const char *text);
void build_bool(JsonBuilder *builder, const char *name, bool value);
/* at_us on the monotonic clock, as UTC; 0 is null. */
void build_time(JsonBuilder *builder, const char *name, gint64 at_us, const ReportClocks *clocks);
/* Every member of a verdict, of a disk or of a VM; reason: see report-reason.h. */
void build_verdict(JsonBuilder *builder, const Verdict *verdict, const char *reason,
                   const ReportClocks *clocks);
