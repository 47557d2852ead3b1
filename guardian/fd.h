/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors with an owner: auto_fd x = open(...); closes at the end of the block what fd_steal()
 * has not taken out. errno survives. (GLib has this from 2.76.) */

#include <errno.h>
#include <unistd.h>

/* "unused", because holding one open can be its whole use. */
#define auto_fd __attribute__((cleanup(fd_clear), unused)) int

static inline void
fd_clear(int *fd)
{
    int kept = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = kept;
}

static inline int
fd_steal(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}
