/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One configuration file as checked values, and whom it is for. Text in, struct out: opens nothing.
 * Every error names file, line and key. */

#include "config.h"

#define CONFIG_MATCH_KEYS 6 /* name, id, uuid, source, namespace, tag */

/* More than anybody repairs before the next check; a file of a million wrong lines ends here. */
#define CONFIG_ERRORS_MAX 20

typedef struct {
    const Setting *setting;
    char *text;
    guint line;
} ConfigValue;

typedef struct {
    char *path;                     /* printable */
    bool is_override;               /* one of vm.d: for the VMs it matches only */
    char *match[CONFIG_MATCH_KEYS]; /* lists of globs; NULL = not given */
    GPtrArray *values;              /* of ConfigValue, each setting at most once */
    GPtrArray *disks;               /* of ConfigDisk, each name at most once */
} ConfigFile;

/* Cuts text to pieces. What is wrong is appended to errors (char *), up to CONFIG_ERRORS_MAX; the
 * file is of use only when nothing was. path is printable. */
ConfigFile *config_file_parse(const char *path, char *text, gsize length, bool is_override,
                              GPtrArray *errors);
void config_file_free(ConfigFile *file);
/* Is the file for this VM, or for the host when subject is NULL? */
bool config_file_applies(const ConfigFile *file, const ConfigSubject *subject);
/* NULL when the file does not set it. */
const ConfigValue *config_file_find(const ConfigFile *file, const Setting *setting);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfigFile, config_file_free)
