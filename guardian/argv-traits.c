/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an audit asks of a command line. */

#include "argv-draft.h"

#include <string.h>

static const char *
device_driver(Options *device)
{
    const char *driver = options_get(device, "driver");

    return driver ? driver : "";
}

static Options *
device_with(const Draft *draft, const char *key, const char *value)
{
    for (guint i = 0; value && i < draft->devices->len; i++) {
        Options *device = draft->devices->pdata[i];

        if (g_strcmp0(options_get(device, "%s", key), value) == 0)
            return device;
    }
    return NULL;
}

/* The device that a bus ("virtioscsi0.0") belongs to; NULL for a built-in one ("ide.0"). */
static Options *
bus_owner(const Draft *draft, const char *bus)
{
    const char *dot = bus ? strrchr(bus, '.') : NULL;
    g_autofree char *id = dot ? g_strndup(bus, (gsize)(dot - bus)) : g_strdup(bus);

    return device_with(draft, "id", id);
}

/* iothread=ID is one; iothread-vq-mapping is an array of objects, at most one a queue. */
static guint
iothreads_of(Options *device)
{
    guint n = 0;

    if (!device)
        return 0;
    while (n < 1024 && options_get(device, "iothread-vq-mapping.%u.iothread", n))
        n++;
    return n > 0 ? n : options_get(device, "iothread") != NULL;
}

/* -drive throttling.bps-total-max, bps_max; of a group x-bps-total-max, limits.bps-total-max. */
static bool
has_burst(Options *options)
{
    GHashTableIter iter;
    gpointer key, value;

    if (!options)
        return false;
    g_hash_table_iter_init(&iter, options);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        bool is_limit = strstr(key, "bps") || strstr(key, "iops");
        bool is_max = g_str_has_suffix(key, "-max") || g_str_has_suffix(key, "_max");

        if (is_limit && is_max && strcmp(value, "0") != 0)
            return true;
    }
    return false;
}

static const char *
either_option(Options *first, Options *second, const char *key)
{
    const char *value = first ? options_get(first, "%s", key) : NULL;

    return value || !second ? value : options_get(second, "%s", key);
}

static void
disk_add_traits(const Draft *draft, ArgvDisk *disk)
{
    Options *device = device_with(draft, "drive", disk->drive);
    Options *drive = disk->drive ? g_hash_table_lookup(draft->drives, disk->drive) : NULL;
    Options *owner = bus_owner(draft, disk->bus);

    disk->controller = owner ? g_strdup(device_driver(owner)) : NULL;
    disk->n_iothreads = MAX(iothreads_of(device), iothreads_of(owner));
    disk->werror = g_strdup(either_option(device, drive, "werror"));
    disk->rerror = g_strdup(either_option(device, drive, "rerror"));
    disk->has_burst =
        has_burst(drive) || (disk->throttle_group &&
                             has_burst(g_hash_table_lookup(draft->objects, disk->throttle_group)));
}

const char *
argv_disk_model(const ArgvDisk *disk)
{
    bool is_on_bus = disk->driver && (g_str_has_prefix(disk->driver, "scsi-") ||
                                      g_str_has_prefix(disk->driver, "ide-"));

    return is_on_bus && disk->controller && !g_str_has_suffix(disk->driver, "-cd")
               ? disk->controller
               : disk->driver;
}

/* memory-backend-memfd with hugetlb=on, or a file below a mount of huge pages. */
static bool
backend_is_huge(Options *backend)
{
    const char *path = options_get(backend, "mem-path");

    return options_is_on(backend, "hugetlb") || (path && strstr(path, "hugepages") != NULL);
}

static void
count_backends(const Draft *draft, Argv *argv)
{
    for (guint i = 0; i < draft->ram_backends->len; i++) {
        Options *backend = g_hash_table_lookup(draft->objects, draft->ram_backends->pdata[i]);

        argv->n_backends++;
        argv->n_huge_backends += backend && backend_is_huge(backend);
    }
}

/* Does it move data past QEMU's block layer? Not vhost-user-fs, -gpu or -net: they are no disks. */
static bool
is_unwatched(const char *driver)
{
    static const char *const prefixes[] = {"vhost-user-blk", "vhost-user-scsi", "vhost-scsi",
                                           "vfio-"};

    for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++)
        if (g_str_has_prefix(driver, prefixes[i]))
            return true;
    return false;
}

static void
add_unwatched(Options *device, const char *driver, Argv *argv)
{
    const char *name = options_get(device, "id");

    if (!name)
        name = options_get(device, "host");
    g_ptr_array_add(argv->unwatched,
                    name ? g_strdup_printf("%s %s", driver, name) : g_strdup(driver));
}

void
argv_add_traits(const Draft *draft, Argv *argv)
{
    static const char *const watchdogs[] = {"i6300esb", "ib700", "diag288", "iTCO", NULL};

    for (guint i = 0; i < argv->disks->len; i++)
        disk_add_traits(draft, argv->disks->pdata[i]);
    count_backends(draft, argv);
    for (guint i = 0; i < draft->devices->len; i++) {
        Options *device = draft->devices->pdata[i];
        const char *driver = device_driver(device);

        if (g_str_has_prefix(driver, "virtio-balloon")) {
            argv->has_balloon = true;
            argv->balloon_reports |= options_is_on(device, "free-page-reporting");
        }
        argv->has_watchdog |= g_strv_contains(watchdogs, driver);
        argv->has_serial |= g_str_has_suffix(driver, "-serial") ||
                            g_str_has_prefix(driver, "virtserialport") ||
                            g_str_has_prefix(driver, "virtconsole");
        if (is_unwatched(driver))
            add_unwatched(device, driver, argv);
        argv->has_panic_device |= g_str_has_prefix(driver, "pvpanic");
    }
}
