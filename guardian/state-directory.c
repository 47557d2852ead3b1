/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state-directory.h"

#include "host.h"

#include <fcntl.h>
#include <sys/stat.h>

static int
directory_find(int parent_fd, const char *name)
{
    struct stat st;
    auto_fd fd = host_open_beneath(parent_fd, name, O_RDONLY | O_DIRECTORY);

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH))) {
        errno = EPERM;
        return -1;
    }
    return fd_steal(&fd);
}

static int
directory_open(int parent_fd, const char *name, mode_t mode)
{
    if (mkdirat(parent_fd, name, mode) < 0 && errno != EEXIST)
        return -1;
    return directory_find(parent_fd, name);
}

int
state_directory_open(int root_fd, const char *name, mode_t outer_mode)
{
    auto_fd outer_fd = directory_open(root_fd, "vm-guardian", outer_mode);

    return outer_fd < 0 ? -1 : directory_open(outer_fd, name, 0700);
}

int
state_directory_find(int root_fd, const char *name)
{
    auto_fd outer_fd = directory_find(root_fd, "vm-guardian");

    return outer_fd < 0 ? -1 : directory_find(outer_fd, name);
}
