/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One OOM report, told to a person and to a program: by `guardianctl oom` of a log, and by the
 * daemon of what it has just seen. All of it is printable. */

#include "oomreport.h"

#include <json-glib/json-glib.h>

/* Lines that end with a newline; new string. */
char *oom_text(const OomReport *report);
/* Integers with their units in the names; what the log does not tell is null. Transfer full. */
JsonObject *oom_json(const OomReport *report);
