/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "role.h"

#include "units.h"

#include <string.h>

/* The kernel cuts names here: virt-launcher-monitor is listed as virt-launcher-m. */
#define COMM_LENGTH 15

/* Shares are the terms of KubeVirt's GetMemoryOverhead (main), the limits it sets on the containers
 * beside it, or, where it has no term, about what the program takes when it does nothing wrong. A
 * name that ends in "*" stands for all that begin so. */
static const struct {
    const char *name;
    Role role;
    guint64 share_bytes;
} role_rows[] = {
    {"qemu-system-*", ROLE_QEMU, 0},
    {"qemu-kvm", ROLE_QEMU, 0},
    {"kvm", ROLE_QEMU, 0},
    {"virt-launcher-monitor", ROLE_VIRT_LAUNCHER_MONITOR, 25 * UNITS_MIB},
    {"virt-launcher", ROLE_VIRT_LAUNCHER, 100 * UNITS_MIB},
    {"virtqemud", ROLE_VIRTQEMUD, 40 * UNITS_MIB},
    {"libvirtd", ROLE_LIBVIRTD, 40 * UNITS_MIB},
    {"virtlogd", ROLE_VIRTLOGD, 25 * UNITS_MIB},
    {"virt-tail", ROLE_VIRT_TAIL, 57 * UNITS_MIB},
    {"virt-probe", ROLE_VIRT_PROBE, 10 * UNITS_MIB},
    {"container-disk", ROLE_CONTAINER_DISK, 40 * UNITS_MIB},
    {"swtpm", ROLE_SWTPM, 53 * UNITS_MIB},
    {"passt*", ROLE_PASST, 250 * UNITS_MIB},
    {"virtiofsd", ROLE_VIRTIOFSD, 80 * UNITS_MIB},
    {"qemu-pr-helper", ROLE_QEMU_PR_HELPER, 8 * UNITS_MIB},
    {"pause", ROLE_PAUSE, 1 * UNITS_MIB},
    {"conmon", ROLE_CONMON, 8 * UNITS_MIB},
};

static bool
name_matches(const char *name, const char *pattern)
{
    gsize length = strlen(pattern);

    if (pattern[length - 1] == '*')
        return strncmp(name, pattern, length - 1) == 0;
    if (strcmp(name, pattern) == 0)
        return true;
    return length > COMM_LENGTH && strncmp(name, pattern, COMM_LENGTH) == 0 &&
           name[COMM_LENGTH] == '\0';
}

Role
role_of(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(role_rows); i++)
        if (name_matches(name, role_rows[i].name))
            return role_rows[i].role;
    return ROLE_STRANGER;
}

const char *
role_name(Role role)
{
    static const char *const names[ROLE_N] = {
        [ROLE_QEMU] = "qemu",
        [ROLE_VIRT_LAUNCHER_MONITOR] = "virt-launcher-monitor",
        [ROLE_VIRT_LAUNCHER] = "virt-launcher",
        [ROLE_VIRTQEMUD] = "virtqemud",
        [ROLE_LIBVIRTD] = "libvirtd",
        [ROLE_VIRTLOGD] = "virtlogd",
        [ROLE_VIRT_TAIL] = "virt-tail",
        [ROLE_VIRT_PROBE] = "virt-probe",
        [ROLE_CONTAINER_DISK] = "container-disk",
        [ROLE_SWTPM] = "swtpm",
        [ROLE_PASST] = "passt",
        [ROLE_VIRTIOFSD] = "virtiofsd",
        [ROLE_QEMU_PR_HELPER] = "qemu-pr-helper",
        [ROLE_PAUSE] = "pause",
        [ROLE_CONMON] = "conmon",
        [ROLE_STRANGER] = "stranger",
    };

    return names[role];
}

bool
role_is_helper(Role role)
{
    return role != ROLE_QEMU && role != ROLE_STRANGER;
}

guint64
role_share_bytes(Role role)
{
    for (guint i = 0; i < G_N_ELEMENTS(role_rows); i++)
        if (role_rows[i].role == role)
            return role_rows[i].share_bytes;
    return 0;
}

static guint64
sum_bytes(const RoleTable *table, bool wants_helpers)
{
    guint64 sum = 0;

    for (Role role = 0; role < ROLE_N; role++)
        if (role_is_helper(role) == wants_helpers)
            sum += table->uses[role].domain_private_bytes;
    return sum;
}

guint64
role_table_helpers_bytes(const RoleTable *table)
{
    return sum_bytes(table, true);
}

guint64
role_table_strangers_bytes(const RoleTable *table)
{
    return sum_bytes(table, false);
}
