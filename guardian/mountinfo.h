/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is mounted where, as the kernel tells it: what a path lies on is known without touching the
 * file system, which may be the dead one. */

#include "host.h"

/* Raw bytes, escapes undone. */
typedef struct {
    char *device;      /* "98:0" */
    char *root;        /* which part of it; "/": the whole */
    char *point;       /* begins with "/" */
    char *type;        /* "ext4" */
    char *source;      /* "/dev/sda1", "nas:/export" */
    char *own_options; /* of the file system, not of the mount */
} Mount;

/* "36 35 98:0 /root /point options [optional fields] - type source options"; NULL: not so. */
Mount *mount_parse(const char *line);
void mount_free(Mount *mount);

/* Our own mountinfo as this proc sees us, a new string. NULL with error set. */
char *mountinfo_read(const Host *host, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What that path, absolute and without links, lies on: the newest of the nearest mounts. New; NULL
 * unknown. */
Mount *mountinfo_of_path(const Host *host, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mount, mount_free)
