/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where VMs come from: each source with its VMs, and of libvirt each daemon that is asked, with
 * what is stale and since when. */

#include "report-build.h"

/* Member "sources", an array. */
void build_sources(JsonBuilder *builder, const Guardian *guardian, const ReportClocks *clocks);
/* Lines under the table of status: all sources in one, and each libvirt daemon that does not
 * answer; with is_complete also those that do. Nothing for a state without sources. */
void report_append_sources(GString *text, JsonObject *state, bool is_complete);
