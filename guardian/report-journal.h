/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lines for the journal, each state change once, with fields to search by: VM=, DISK=, VM_STATE=,
 * LAYER=, CAUSE= and a MESSAGE_ID. Where stderr is not the journal's stream, the same line goes
 * there with a UTC time before it. */

#include "alerting.h"
#include "guardian.h"

/* An alert was opened, became urgent, was closed: journalctl MESSAGE_ID=... */
#define REPORT_MESSAGE_ID_ALERT "0d9f6c0d5a0b4f64b1c7b6c1e8a0f2d3"
#define REPORT_MESSAGE_ID_CHANGE "6f6f2a6a5be84a0d9f1c54d7a1b9e3c4"

void report_journal_change(const GuardianChange *change, const char *line);
void report_journal_alert(const AlertingNews *news);
void report_journal_note(const char *format, ...) G_GNUC_PRINTF(1, 2);
void report_journal_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);
