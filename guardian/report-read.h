/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readers of the state's JSON, for the text reports: what is absent, null or of another type is
 * unknown. object may be NULL everywhere. */

#include "report.h"

#include "model.h"

/* Borrowed; otherwise when unknown. */
const char *report_text_of(JsonObject *object, const char *member, const char *otherwise);
/* Where the disk lies, as people call it when that is known. */
const char *report_storage_of(JsonObject *disk, const char *otherwise);
bool report_number_of(JsonObject *object, const char *member, gint64 *ret_value);
/* The objects in an array, borrowed, in a new array; empty when there are none. */
GPtrArray *report_objects_of(JsonObject *object, const char *member);
/* "19m" since since_s; new string, NULL when unknown. */
char *report_age_of(JsonObject *object);
State report_state_of(JsonObject *object);
/* "17G", "-" when unknown; new string. */
char *report_size_of(JsonObject *object, const char *member);
/* "60M B/s"; NULL when unknown. */
char *report_rate_of(JsonObject *object, const char *member);
/* The escape sequence that begins the state's colour, "" without one. */
const char *report_state_colour(State state, bool is_coloured);
/* The state's word; frozen shouts. */
const char *report_state_word(State state);
