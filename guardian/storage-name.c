/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage-name.h"

#include "mountinfo.h"
#include "sysfs.h"
#include "units.h"

#include <string.h>

/* NULL: another device, or a part of it. */
static char *
mount_name(const char *line, const char *device)
{
    g_autoptr(Mount) mount = mount_parse(line);

    if (!mount || strcmp(mount->device, device) != 0 || strcmp(mount->root, "/") != 0)
        return NULL;
    return g_strdup_printf("%s, %s", mount->point, mount->source);
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

/* That of device-mapper (LVM, multipath), else the kernel's. */
static char *
name_of_block_device(const Host *host, const char *device)
{
    g_autofree char *link = g_strconcat("dev/block/", device, NULL);
    g_autofree char *mapper = sysfs_read(host, link, "dm/name");
    g_autofree char *uevent = NULL;
    const char *name;

    if (mapper && *mapper)
        return g_steal_pointer(&mapper);
    uevent = sysfs_read(host, link, "uevent");
    name = uevent ? strstr(uevent, "DEVNAME=") : NULL;
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
