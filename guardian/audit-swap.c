/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where the host's swap lies (/proc/swaps), and what the VM's group and those above it say of that
 * disk (io.max) and of swap (memory.swap.max). */

#include "audit-facts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A host has a few swaps, a group a limit for each of a few disks. */
#define TEXT_BYTES_MAX (64 * 1024)

/* The number of the whole disk that a partition is of, or of the device itself; a new string. */
static char *
disk_number(const Host *host, dev_t device)
{
    g_autofree char *number = g_strdup_printf("%u:%u", major(device), minor(device));
    g_autofree char *directory =
        g_strdup_printf("%s/dev/block/%s", host_root_path(host, HOST_SYS), number);
    g_autofree char *partition = g_build_filename(directory, "partition", NULL);
    g_autofree char *whole = g_build_filename(directory, "../dev", NULL);
    char *text = NULL;

    if (g_file_test(partition, G_FILE_TEST_EXISTS) && g_file_get_contents(whole, &text, NULL, NULL))
        return g_strstrip(text);
    return g_steal_pointer(&number);
}

/* Of char *: "259:0", the disks that swap lies on; a file's is that of its file system. */
static GPtrArray *
swap_disks(const Host *host)
{
    GPtrArray *disks = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = host_read(host, HOST_PROC, "swaps", TEXT_BYTES_MAX, NULL, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    struct stat st;

    for (guint i = 0; lines[i]; i++) {
        g_autofree char *raw = g_strndup(lines[i], strcspn(lines[i], " \t"));
        g_autofree char *path = g_strcompress(raw); /* blanks are "\040" */

        if (*path == '/' && stat(path, &st) == 0)
            g_ptr_array_add(disks, disk_number(host, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev));
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
