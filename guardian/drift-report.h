/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where policy, configuration and QEMU part, as JSON: {"schema": 1, "vms": [...]}, each disk with
 * its three sides (null: says nothing, or is not known) and the fields that differ. */

#include "guardian.h"
#include "report-build.h"
#include <json-glib/json-glib.h>

/* word: the VM called so; NULL: all. NULL with GUARDIAN_ERROR_GONE when none is. Transfer full. */
JsonNode *drift_report(const Guardian *guardian, const char *word,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Has every VM that the word names (NULL: all) QEMU's own word asked for? Begins at their next
 * samples. false with error set: none is called so. */
bool drift_want(const Guardian *guardian, const char *word, GError **error);
/* Members of a VM's state: "last_write", the last one by somebody else before a suspicion or freeze
 * began, "write_habit", who writes what is there already, and "drift", what becomes of limits that
 * are not what the policy wants; or null. */
void drift_build_writes(JsonBuilder *builder, const Vm *vm, const ReportClocks *clocks);
