/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Directories of our own below a root: vm-guardian/<name>. Made when missing; one that belongs to
 * somebody else, that others may write to, or that is reached through a link is refused. Only
 * async-signal-safe calls: below HOST_VAR it belongs into a child, because a dead disk may hold it
 * for ever. */

#include <sys/types.h>

/* O_DIRECTORY descriptor; -1 with errno set (EPERM: somebody else's, or others may write to it).
 * outer_mode is that of vm-guardian itself; what is in it has 0700. */
int state_directory_open(int root_fd, const char *name, mode_t outer_mode);
/* The same without making anything: ENOENT where there is none. */
int state_directory_find(int root_fd, const char *name);
