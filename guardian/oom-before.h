/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The minutes before an OOM kill, as the daemon saw them: rows for programs and for people. */

#include "memory-trail.h"

#include <json-glib/json-glib.h>

/* Of what was read until kill_us (CLOCK_MONOTONIC), oldest first: bytes, what is not known is null.
 * Transfer full. */
JsonArray *oom_before_json(const MemoryTrail *trail, gint64 kill_us);
/* Member "before" of report, NULL without one, as a table behind indent blanks; nothing when it is
 * empty. */
void oom_before_append(GString *text, JsonObject *report, int indent);
