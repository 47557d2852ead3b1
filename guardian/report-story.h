/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a colleague would say of a VM that is suspect or frozen: which disk, which layer, on what
 * evidence, what it is not, what to do first and what never to do. It tells only what was seen: a
 * fact that is unknown is not mentioned. */

#include "report-read.h"

/* Appends the lines to text. disk is the one that explains the verdict; NULL: it is the VM's own.
 */
void story_append(GString *text, JsonObject *vm, JsonObject *disk, bool is_coloured);
/* "15:21:07 UTC (18:21:07 EEST)", with the day before it when it was not today by now_utc; both are
 * ISO 8601, NULL is "unknown". New string. */
char *story_time(const char *utc, const char *now_utc);
/* The last lines of it: "do" and "never". */
void advice_append(GString *text, JsonObject *vm, JsonObject *disk);
bool story_is_layer(JsonObject *object, const char *layer);
