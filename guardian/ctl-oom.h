/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The two outputs of `guardianctl oom`; reports is of OomReport, both print on stdout. */

#include <glib.h>

void ctl_oom_print_text(const GPtrArray *reports);
void ctl_oom_print_json(const GPtrArray *reports);
/* A cgroup's path as text safe in any line; a backslash stays one: systemd's escapes are part of
 * the path. New string, "" for NULL. */
char *ctl_oom_printable_path(const char *path);
