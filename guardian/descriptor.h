/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The descriptors of a process, by what their links say ("/srv/vm.img", "anon_inode:[io_uring]").
 * Links are read and never followed: stat() or open() through one can hang on a dead file system.
 * Nothing here takes mmap_lock. */

#include "proc.h"

/* Numbers (guint32) of all that lead to exactly that, or to what it was before it was deleted; NULL
 * when the process cannot be looked into, or holds more than is worth reading. */
GArray *descriptors_find(const Proc *proc, const char *link);
/* Raw bytes, new string; NULL when it is not open. */
char *descriptor_read_link(const Proc *proc, guint32 number);
/* The text of fdinfo, new string; NULL when it is not open or too long. Not for tun devices, whose
 * fdinfo waits for the kernel's network lock. */
char *descriptor_read_info(const Proc *proc, guint32 number);
/* Are both the same file, whether or not it has been deleted? */
bool descriptor_link_is(const char *link, const char *path);
