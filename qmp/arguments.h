/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the commands of query.h are asked with: argument objects as text, new strings. Whatever
 * bytes are in a path come out as valid JSON. */

#include <glib.h>
#include <stdbool.h>

char *qmp_arguments_path(const char *path); /* {"path": ...} */
char *qmp_arguments_path_property(const char *path, const char *property);
char *qmp_arguments_path_queue(const char *path, guint queue); /* {"path": ..., "queue": n} */
/* qemu-io "aio_read 0 512" on a drive id, or with is_qdev on a device path. NULL for an id with
 * other characters than QEMU's own ids and paths have: it would become part of a command line.
 * Never a node name: that hangs QEMU. */
char *qmp_arguments_canary(const char *id, bool is_qdev);
/* Is this what qmp_arguments_canary() makes? Nothing else goes to the human monitor. */
bool qmp_arguments_are_canary(const char *arguments);
