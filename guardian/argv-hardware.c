/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The hardware that a command line gives its guest, as far as memory hangs on it. */

#include "argv-draft.h"

#include <errno.h>
#include <string.h>

/* QEMU's own machines end below this. */
#define VCPUS_MAX 8192u

bool
argv_parse_memory(const char *text, guint64 *ret_bytes)
{
    static const char units[] = "bkmgtpe";
    guint64 whole, scale;
    double fraction = 0;
    char *end;
    const char *unit;

    if (!g_ascii_isdigit(*text))
        return false;
    errno = 0;
    whole = g_ascii_strtoull(text, &end, 10);
    if (*end == '.' && g_ascii_isdigit(end[1]))
        fraction = g_ascii_strtod(end, &end);
    unit = *end == '\0' ? strchr(units, 'm') : strchr(units, g_ascii_tolower(*end));
    if (errno != 0 || fraction >= 1 || !unit || (*end != '\0' && end[1] != '\0') ||
        (*end == '\0' && fraction > 0))
        return false;
    scale = G_GUINT64_CONSTANT(1) << (10 * (unit - units));
    if (whole >= G_MAXUINT64 / scale - 1)
        return false;
    *ret_bytes = whole * scale + (guint64)(fraction * (double)scale);
    return *ret_bytes > 0;
}

/* cpus=, else maxcpus=, else the product of the topology, as QEMU completes it. */
guint
argv_count_vcpus(Options *smp)
{
    static const char *const levels[] = {"drawers",  "books",   "sockets", "dies",
                                         "clusters", "modules", "cores",   "threads"};
    guint64 n = options_get_u64(smp, "cpus"), product = 1;

    for (guint i = 0; i < G_N_ELEMENTS(levels) && product <= VCPUS_MAX; i++)
        product *= CLAMP(options_get_u64(smp, "%s", levels[i]), 1, VCPUS_MAX + 1);
    if (n == 0)
        n = options_get_u64(smp, "maxcpus");
    if (n == 0)
        n = product;
    return n <= VCPUS_MAX ? (guint)n : 0;
}

static bool
has_any_prefix(const char *text, const char *const *prefixes)
{
    for (guint i = 0; prefixes[i]; i++)
        if (g_str_has_prefix(text, prefixes[i]))
            return true;
    return false;
}

static bool
is_display(const char *driver)
{
    static const char *const prefixes[] = {"VGA",         "secondary-vga",  "cirrus-vga",
                                           "qxl",         "bochs-display",  "ramfb",
                                           "vmware-svga", "ati-vga",        "virtio-vga",
                                           "virtio-gpu",  "vhost-user-vga", "vhost-user-gpu",
                                           NULL};

    return has_any_prefix(driver, prefixes);
}

static bool
has_confidential_object(const Draft *draft)
{
    static const char *const prefixes[] = {"sev-guest", "sev-snp-guest", "tdx-guest", NULL};
    GHashTableIter iter;
    gpointer object;

    g_hash_table_iter_init(&iter, draft->objects);
    while (g_hash_table_iter_next(&iter, NULL, &object)) {
        const char *type = options_get(object, "qom-type");

        if (type && has_any_prefix(type, prefixes))
            return true;
    }
    return false;
}

/* Of a program that does not say it, qemu-kvm, by the one machine that KubeVirt takes there. */
static bool
is_for_arm64(const char *program, const char *machine)
{
    if (strstr(program, "qemu-system-"))
        return strstr(program, "qemu-system-aarch64") != NULL;
    return machine && (g_str_equal(machine, "virt") || g_str_has_prefix(machine, "virt-"));
}

void
argv_add_hardware(const Draft *draft, const char *program, Argv *argv)
{
    for (guint i = 0; i < draft->devices->len; i++) {
        const char *driver = options_get(draft->devices->pdata[i], "driver");

        if (!driver)
            continue;
        argv->has_graphics |= is_display(driver);
        argv->has_host_device |=
            g_str_has_prefix(driver, "vfio-") || g_str_equal(driver, "usb-host");
    }
    argv->has_graphics |= !draft->has_vga_option;
    argv->is_arm64 = is_for_arm64(program, argv->machine);
    argv->has_sev = has_confidential_object(draft);
}
