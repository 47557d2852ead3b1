/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's memory as a whole, and groups that stand still, in the state and for people. */

#include "report-build.h"
#include "report-read.h"

#include "hostmemory.h"

/* Members "host" and "livelocks" of the open state. */
void report_add_host(JsonBuilder *builder, const Guardian *guardian);
/* An object with these members alone; unref. */
JsonNode *report_host_state(const Guardian *guardian);
/* "trees" of that member "host" as HostTree, labels owned; unref. */
GArray *report_trees_of(JsonObject *host);
/* Lines for `status`, worst first; "" when all is well. New string. */
char *report_host_text(JsonObject *state);
/* 1 when the host is lost, or a group stands still; else 0. */
int report_host_exit_status(JsonObject *state);
