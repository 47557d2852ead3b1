/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the guardian knows, as JSON ({"schema": 1, ...}; integers with units in their names, unknown
 * = null, times in UTC) and as lines for people. The tool renders the same JSON, whether it came
 * from the daemon or from two samples of its own. */

#include "guardian.h"
#include <json-glib/json-glib.h>

/* "2026-07-30T15:21:07Z" of wall-clock microseconds; new string. */
char *report_utc(gint64 realtime_us);

/* One VM's part of the state. Transfer full. */
JsonNode *report_vm(const Host *host, const Vm *vm);
/* The whole state; is_daemon tells who looked. Transfer full. */
JsonNode *report_state(const Guardian *guardian, bool is_daemon);

/* Text of that state, new strings. "status" is 80 columns, worst first; with is_coloured the state
 * word is. */
char *report_status_text(JsonObject *state, bool is_coloured);
char *report_list_text(JsonObject *state);
char *report_explain_text(JsonObject *vm, bool is_coloured);
/* VMs of the state, worst first; borrowed objects in a new array. */
GPtrArray *report_vms_sorted(JsonObject *state);
/* 0 nothing open, 1 something suspect or frozen. */
int report_exit_status(JsonObject *state);
int report_vm_exit_status(JsonObject *vm);

/* What to type after "guardianctl explain": the name, or the process id where a shell would see
 * more in the name than a word, or a screen would not hold it. New string. */
char *report_call(const char *name, pid_t pid);
/* Is this of the VM itself, so that its disks need not say it again? */
bool report_is_vm_wide(const Verdict *verdict);
/* One line of what changed, new string; NULL when nobody needs to hear of it. The word in *ret_step
 * says "opened", "paged" or "closed" for an alert, else "changed". */
char *report_change_line(const GuardianChange *change, gint64 realtime_us, const char **ret_step);
