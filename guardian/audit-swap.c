/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where the host's swap lies (/proc/swaps), and what the VM's group and those above it say of that
 * disk (io.max) and of swap (memory.swap.max). */

#include "audit-facts.h"
#include "mountinfo.h"
#include "sysfs.h"

#include <fcntl.h>
#include <string.h>

/* A host has a few swaps, a group a limit for each of a few disks. */
#define TEXT_BYTES_MAX (64 * 1024)

/* The number of the whole disk that the device is, or is a partition of; a new string, NULL: sysfs
 * does not know the device. */
static char *
disk_number(const Host *host, const char *link)
{
    g_autofree char *partition = sysfs_read(host, link, "partition");

    return sysfs_read(host, link, partition ? "../dev" : "dev");
}

/* Of a file: that of its file system, which has one of its own where no device is behind it. */
static char *
number_of_file(const Host *host, const char *path)
{
    g_autoptr(Mount) mount = mountinfo_of_path(host, path);
    g_autofree char *link = mount ? g_strconcat("dev/block/", mount->device, NULL) : NULL;
    char *number = link ? disk_number(host, link) : NULL;

    return number || !mount ? number : g_strdup(mount->device);
}

/* sysfs calls /dev/cciss/c0d0p1 "cciss!c0d0p1". */
static char *
number_of_device(const Host *host, const char *path)
{
    const char *name = path + (g_str_has_prefix(path, "/dev/") ? strlen("/dev/") : 0);
    g_autofree char *link = g_strconcat("class/block/", name, NULL);

    g_strdelimit(link + strlen("class/block/"), "/", '!');
    return disk_number(host, link);
}

/* Of char *: "259:0", the disks that swap lies on. A path is never touched: it may lie on the file
 * system that is dead. */
static GPtrArray *
swap_disks(const Host *host)
{
    GPtrArray *disks = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = host_read(host, HOST_PROC, "swaps", TEXT_BYTES_MAX, NULL, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        gsize length = strcspn(lines[i], " \t");
        g_autofree char *raw = g_strndup(lines[i], length);
        g_autofree char *path = g_strcompress(raw); /* blanks are "\040" */
        const char *type = lines[i] + length + strspn(lines[i] + length, " \t");
        char *number = *path != '/'                          ? NULL
                       : g_str_has_prefix(type, "partition") ? number_of_device(host, path)
                                                             : number_of_file(host, path);

        if (number)
            g_ptr_array_add(disks, number);
    }
    return disks;
}

/* NULL: it has no such file. group ends with "/" or is "". */
static char *
knob_read(int mount_fd, const char *group, const char *name)
{
    g_autofree char *below = g_strconcat(group, name, NULL);
    auto_fd fd = host_open_beneath(mount_fd, below, O_RDONLY);

    return fd < 0 ? NULL : host_read_fd(fd, name, TEXT_BYTES_MAX, NULL, NULL);
}

/* "259:0 rbps=1048576 wbps=max riops=max wiops=max": of one of these disks? */
static bool
limits_disk(const char *io_max, const GPtrArray *disks)
{
    g_auto(GStrv) lines = g_strsplit(io_max, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
        bool is_ours = false, is_limited = false;

        for (guint j = 0; words[0] && j < disks->len; j++)
            is_ours = is_ours || strcmp(words[0], disks->pdata[j]) == 0;
        for (guint j = 1; words[0] && words[j]; j++)
            is_limited =
                is_limited || (strchr(words[j], '=') && !g_str_has_suffix(words[j], "=max"));
        if (is_ours && is_limited)
            return true;
    }
    return false;
}

AuditAnswer
audit_facts_swap(const Host *host, const Vm *vm)
{
    const CgroupPath *path = vm->cgroup ? cgroup_path(vm->cgroup) : NULL;
    g_autofree char *group = NULL;
    g_autoptr(GPtrArray) disks = NULL;
    bool is_limited = false, is_capped = false;
    char *slash;

    if (!path || path->is_root || !path->is_v2)
        return AUDIT_UNKNOWN;
    disks = swap_disks(host);
    group = g_strconcat(path->path + strspn(path->path, "/"), "/", NULL);
    while (disks->len > 0 && (slash = strrchr(group, '/'))) {
        g_autofree char *io = NULL, *swap = NULL;

        slash[1] = '\0';
        io = knob_read(cgroup_mount_fd(vm->cgroup), group, "io.max");
        swap = knob_read(cgroup_mount_fd(vm->cgroup), group, "memory.swap.max");
        is_limited = is_limited || (io && limits_disk(io, disks));
        is_capped = is_capped || (swap && strcmp(g_strstrip(swap), "max") != 0);
        slash[0] = '\0';
    }
    return is_limited && !is_capped ? AUDIT_YES : AUDIT_NO;
}
