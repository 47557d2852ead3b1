/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The means "process": oom_score_adj of one process of a VM. ActRecord.where names it as
 * "PID:START", and it is reached through its own /proc/PID, opened before its start time is
 * compared: another process with its number is never written to. Lower than what a process was
 * last given by root needs CAP_SYS_RESOURCE. */

#include <glib.h>
#include <sys/types.h>

#define ACT_FIELD_SCORE "oom_score_adj"

/* A new string. */
char *act_score_where(pid_t pid, guint64 start_ticks);
