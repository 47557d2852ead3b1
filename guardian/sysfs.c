/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* A name of device-mapper has 127 characters, a uevent a dozen lines. */
#define ATTRIBUTE_BYTES 1024

int
sysfs_open(const Host *host, const char *link, const char *attribute, GError **error)
{
    char target[PATH_MAX];
    gssize length = readlinkat(host_root_fd(host, HOST_SYS), link, target, sizeof target - 1);
    const char *device;
    g_autofree char *path = NULL;

    if (length < 0) {
        guardian_set_errno(error, errno, "read", link);
        return -1;
    }
    target[length] = '\0';
    /* "../../devices/...": the kernel never makes others; ".." in what follows leads nowhere, as
     * the open stays below the root */
    device = strstr(target, "../devices/");
    if (!device) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "%s does not lead to a device",
                    link);
        return -1;
    }
    path = g_build_filename(device + strlen("../"), attribute, NULL);
    return host_open(host, HOST_SYS, path, O_RDONLY | O_NONBLOCK, error);
}

char *
sysfs_read(const Host *host, const char *link, const char *attribute)
{
    auto_fd fd = sysfs_open(host, link, attribute, NULL);
    char text[ATTRIBUTE_BYTES];

    return fd < 0 || host_reread(fd, text, sizeof text, NULL) <= 0 ? NULL
                                                                   : g_strdup(g_strstrip(text));
}
