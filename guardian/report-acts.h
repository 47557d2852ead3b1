/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was written to a VM and became of it, out of the journal of acts: done, refused, not as
 * asked, taken back; what, when, from which value to which, by whom and why. */

#include "act-journal.h"
#include "report-build.h"

/* Member "acts" of an open object: the newest first, no more than fit a screen; null without a
 * journal, which is the daemon's. */
void report_add_acts(JsonBuilder *builder, const ActJournal *journal, const Vm *vm,
                     const ReportClocks *clocks);
/* Member "group_acts", likewise: of this boot, to groups that stood still (lifting.h). They are
 * among the acts of every VM in such a group, too. */
void report_add_group_acts(JsonBuilder *builder, const ActJournal *journal,
                           const ReportClocks *clocks);
/* For explain: every one of them. */
void report_append_acts(GString *text, JsonObject *vm);
/* For the whole state: of each VM and group the newest, for an hour. */
void report_append_new_acts(GString *text, JsonObject *state);
/* "memory.max of /machine.slice/vm 230Mi -> 304Mi: done by the daemon"; new string. */
char *report_act_text(JsonObject *act);
