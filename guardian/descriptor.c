/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "descriptor.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A VM with 256 disks and 64 queues of vhost has about 1,000. */
#define DESCRIPTORS_MAX 4096
/* An io_uring with both rings full of entries prints 50 KiB. */
#define INFO_BYTES_MAX (128 * 1024)

static const char deleted[] = " (deleted)";

bool
descriptor_link_is(const char *link, const char *path)
{
    gsize length = strlen(path);

    return strncmp(link, path, length) == 0 &&
           (link[length] == '\0' || strcmp(link + length, deleted) == 0);
}

static char *
read_link(int dir_fd, const char *name)
{
    char link[PATH_MAX];
    gssize length = readlinkat(dir_fd, name, link, sizeof link);

    return length <= 0 || length == sizeof link ? NULL : g_strndup(link, (gsize)length);
}

GArray *
descriptors_find(const Proc *proc, const char *link)
{
    int dir_fd = host_open_beneath(proc_dir_fd(proc), "fd", O_RDONLY | O_DIRECTORY);
    DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(guint32));
    const struct dirent *entry;
    guint n = 0;

    if (!dir) {
        fd_clear(&dir_fd);
        return NULL;
    }
    while (n <= DESCRIPTORS_MAX && (entry = readdir(dir))) {
        guint32 number = (guint32)strtoul(entry->d_name, NULL, 10);
        g_autofree char *target = NULL;

        if (!g_ascii_isdigit(*entry->d_name))
            continue;
        n++;
        target = read_link(dirfd(dir), entry->d_name);
        if (target && descriptor_link_is(target, link))
            g_array_append_val(found, number);
    }
    closedir(dir);
    return n > DESCRIPTORS_MAX ? NULL : g_steal_pointer(&found);
}

char *
descriptor_read_link(const Proc *proc, guint32 number)
{
    char name[32];

    g_snprintf(name, sizeof name, "fd/%u", number);
    return read_link(proc_dir_fd(proc), name);
}

char *
descriptor_read_info(const Proc *proc, guint32 number)
{
    char name[32];
    auto_fd fd = -1;

    g_snprintf(name, sizeof name, "fdinfo/%u", number);
    fd = host_open_beneath(proc_dir_fd(proc), name, O_RDONLY | O_NONBLOCK);
    return fd < 0 ? NULL : host_read_fd(fd, name, INFO_BYTES_MAX, NULL, NULL);
}
