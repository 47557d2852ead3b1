/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* [disk NAME] of a file of vm.d: all limits that one disk shall have. What it does not name is no
 * limit. Text in, struct out. */

#include "throttle.h"

#define CONFIG_DISK_SECTION "disk"

typedef struct {
    char *name;   /* as written; raw bytes */
    char *origin; /* "<file>:<line>", printable */
    guint line;
    GPtrArray *lines; /* of ConfigDiskLine */
    Throttle *limits; /* NULL until config_disk_finish() */
} ConfigDisk;

/* Is the section's head one of a disk? Its name, borrowed, "" when it has none; NULL: it is not. */
const char *config_disk_section(const char *section);
/* path is printable. */
ConfigDisk *config_disk_new(const char *name, const char *path, guint line);
void config_disk_free(ConfigDisk *disk);
/* NULL for a disk that was not finished well. */
ConfigDisk *config_disk_copy(const ConfigDisk *disk);
void config_disk_take(ConfigDisk *disk, const char *key, const char *value, guint line);
/* All its lines are there. NULL, or what is wrong, a new string, and the line of it; 0: it is no
 * single one. */
char *config_disk_finish(ConfigDisk *disk, guint *ret_line) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfigDisk, config_disk_free)
