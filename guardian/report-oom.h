/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* OOM kills in the state and in its texts: the newest of each VM, also of one that is gone. */

#include "guardian.h"

#include <json-glib/json-glib.h>

/* Member "oom" of the state. */
void report_add_oom(JsonBuilder *builder, const Guardian *guardian);
/* {"schema": 1, "reports": [...]}: all that is kept, each as `guardianctl oom --json` tells it of a
 * log, and "watched_vm", "seen_utc", "death", "kills", "forecast", "line", "text" besides. Transfer
 * full. */
JsonNode *report_oom(const Guardian *guardian);

/* Out of the state: the kill of the VM called so, borrowed; NULL for none. */
JsonObject *report_find_oom(JsonObject *state, const char *word);
/* "oom     at 2026-07-30T15:21:07Z, 3m ago: qemu-system-x86[70] was OOM-killed: ...", and the VM
 * where has_name; else the minutes before it, too. With a newline; NULL is no line. */
void report_append_oom(GString *text, JsonObject *kill, bool has_name);
/* A line for each that is news. */
void report_append_open_ooms(GString *text, JsonObject *state);
/* 1: there is one. */
int report_oom_exit_status(JsonObject *state);
