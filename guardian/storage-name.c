/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage-name.h"

#include "cgroup-place.h"
#include "sysfs.h"
#include "units.h"

#include <string.h>

/* "DEVNAME=mapper/..." and the like; a name of device-mapper has 127 characters. */
#define NAME_BYTES 512

/* "36 35 98:0 /root /point options [optional fields] - type source super-options": where the whole
 * of that device is mounted, and what is; NULL: another device, or a part of it. */
static char *
mount_name(const char *line, const char *device)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    guint n_words = g_strv_length(words), dash = 6;
    g_autofree char *point = NULL, *source = NULL;

    if (n_words < 10 || strcmp(words[2], device) != 0 || strcmp(words[3], "/") != 0)
        return NULL;
    while (dash < n_words && strcmp(words[dash], "-") != 0)
        dash++;
    if (dash + 2 >= n_words)
        return NULL;
    point = g_strcompress(words[4]); /* blanks and the like are written as octal digits */
    source = g_strcompress(words[dash + 2]);
    return g_strdup_printf("%s, %s", point, source);
}

/* The first one of the host's, that is its oldest. */
static char *
name_of_mount(const Host *host, const char *device)
{
    g_autofree char *text = mountinfo_read(host, NULL);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
    char *name = NULL;

    for (char **line = lines; line && *line && !name; line++)
        name = mount_name(*line, device);
    return name;
}

/* One line of an attribute of the block device; NULL: it has none. */
static char *
attribute(const Host *host, const char *link, const char *name)
{
    auto_fd fd = sysfs_open(host, link, name, NULL);
    char text[NAME_BYTES];

    if (fd < 0 || host_reread(fd, text, sizeof text, NULL) <= 0)
        return NULL;
    return g_strndup(text, strcspn(text, "\n"));
}

/* That of device-mapper (LVM, multipath), else the kernel's. */
static char *
name_of_block_device(const Host *host, const char *device)
{
    g_autofree char *link = g_strconcat("dev/block/", device, NULL);
    g_autofree char *mapper = attribute(host, link, "dm/name");
    auto_fd fd = -1;
    char uevent[NAME_BYTES];
    const char *name;

    if (mapper && *mapper)
        return g_steal_pointer(&mapper);
    fd = sysfs_open(host, link, "uevent", NULL);
    if (fd < 0 || host_reread(fd, uevent, sizeof uevent, NULL) <= 0)
        return NULL;
    name = strstr(uevent, "DEVNAME=");
    if (!name)
        return NULL;
    name += strlen("DEVNAME=");
    return g_strdup_printf("/dev/%.*s", (int)strcspn(name, "\n"), name);
}

char *
storage_name(const Host *host, const char *identity)
{
    const char *device = g_str_has_prefix(identity, "dev:") ? identity + strlen("dev:") : NULL;
    g_autofree char *raw = NULL, *printable = NULL;

    if (!device || device[strspn(device, "0123456789:")] != '\0')
        return g_strdup(identity);
    raw = name_of_mount(host, device);
    if (!raw)
        raw = name_of_block_device(host, device);
    if (!raw)
        return g_strdup(identity);
    printable = units_printable(raw, -1);
    return g_strdup_printf("%s (%s)", printable, identity);
}
