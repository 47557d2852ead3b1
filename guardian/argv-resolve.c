/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "argv-draft.h"
#include "argv-drive.h"
#include "argv-limits.h"
#include "argv-storage.h"

#include <string.h>

/* More than any machine type has slots for; a longer list is not worth its memory. */
#define DISKS_MAX 1024

#define LIBVIRT_MONITOR "charmonitor"

static void
tighten(guint64 *limit, guint64 value)
{
    if (value > 0 && (*limit == 0 || value < *limit))
        *limit = value;
}

/* prefix "throttling." is of a -drive; "x-" and, in JSON, "limits." are of a throttle-group. */
static void
limits_add(ArgvDisk *disk, Options *options, const char *prefix)
{
    static const char *const kinds[] = {"total", "read", "write"};

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        tighten(&disk->limit_bps, options_get_u64(options, "%sbps-%s", prefix, kinds[i]));
        tighten(&disk->limit_iops, options_get_u64(options, "%siops-%s", prefix, kinds[i]));
    }
}

/* The short names of a -drive's limits. */
static void
limits_add_short(ArgvDisk *disk, Options *drive)
{
    static const char *const kinds[] = {"", "_rd", "_wr"};

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        tighten(&disk->limit_bps, options_get_u64(drive, "bps%s", kinds[i]));
        tighten(&disk->limit_iops, options_get_u64(drive, "iops%s", kinds[i]));
    }
}

static void
disk_take_chain(ArgvDisk *disk, const ArgvChain *chain)
{
    disk->storage = chain->storage;
    disk->aio = chain->aio;
    disk->is_direct = chain->is_direct;
    disk->ignores_flush = chain->ignores_flush;
    disk->throttle_group = chain->throttle_group;
}

static void
disk_follow_drive(ArgvDisk *disk, Options *drive)
{
    ArgvChain chain = argv_chain_of_drive(drive);
    const char *group = options_get(drive, "throttling.group");

    disk_take_chain(disk, &chain);
    if (!group)
        group = options_get(drive, "group");
    if (!disk->throttle_group)
        disk->throttle_group = g_strdup(group);
    limits_add(disk, drive, "throttling.");
    limits_add_short(disk, drive);
}

static void
disk_follow_node(ArgvDisk *disk, GHashTable *nodes)
{
    ArgvChain chain = argv_chain_of_node(nodes, disk->drive);

    disk_take_chain(disk, &chain);
}

/* Follows what the disk's drive names and adds the disk. */
static void
disk_add(const Draft *draft, Argv *argv, ArgvDisk *disk)
{
    Options *drive = g_hash_table_lookup(draft->drives, disk->drive);
    Options *group;

    if (drive)
        disk_follow_drive(disk, drive);
    else
        disk_follow_node(disk, draft->nodes);
    group = disk->throttle_group ? g_hash_table_lookup(draft->objects, disk->throttle_group) : NULL;
    disk->is_group_object = group != NULL;
    if (group) {
        limits_add(disk, group, "x-");
        limits_add(disk, group, "limits.");
        disk->limits = argv_limits_of_group(group);
    } else if (drive) {
        disk->limits = argv_limits_of_drive(drive);
    }
    disk->has_limit = disk->limit_bps > 0 || disk->limit_iops > 0;
    g_ptr_array_add(argv->disks, disk);
}

static void
device_resolve(const Draft *draft, Argv *argv, Options *device)
{
    const char *driver = options_get(device, "driver");
    const char *drive = options_get(device, "drive");
    const char *id = options_get(device, "id");
    ArgvDisk *disk;

    if (!driver)
        return;
    if (g_str_has_prefix(driver, "virtio-scsi"))
        g_ptr_array_add(argv->scsi_hosts, g_strdup(id ? id : ""));
    if (!drive || argv->disks->len == DISKS_MAX)
        return;
    disk = g_new0(ArgvDisk, 1);
    disk->id = g_strdup(id);
    disk->driver = g_strdup(driver);
    disk->bus = g_strdup(options_get(device, "bus"));
    disk->drive = g_strdup(drive);
    disk_add(draft, argv, disk);
}

static void
own_drive_resolve(const Draft *draft, Argv *argv, Options *drive)
{
    const char *id = options_get(drive, "id");
    ArgvDisk *disk;

    if (argv->disks->len == DISKS_MAX)
        return;
    disk = g_new0(ArgvDisk, 1);
    disk->id = g_strdup(id);
    disk->driver = g_strdup(drive_device(drive, drive_interface(drive, draft->default_interface)));
    disk->drive = g_strdup(id);
    disk_add(draft, argv, disk);
}

/* Only who listens at a path in the file system can be asked: not a client, which dials out itself
 * (reconnect=), not an inherited descriptor (fd=), not an abstract name. */
static bool
chardev_listens(Options *chardev)
{
    const char *backend = options_get(chardev, "backend");
    const char *path = options_get(chardev, "path");

    return g_strcmp0(backend, "socket") == 0 && path && *path != '\0' &&
           options_is_on(chardev, "server") && !options_is_on(chardev, "abstract") &&
           !options_get(chardev, "reconnect") && !options_get(chardev, "reconnect-ms");
}

/* libvirt gives each domain a directory: "/var/lib/libvirt/qemu/domain-<id>-<name>/...". */
static void
note_domain_directory(Argv *argv, const char *path)
{
    const char *at = path ? strstr(path, "/domain-") : NULL;
    char *end;
    guint64 id;

    if (!at || !g_ascii_isdigit(at[strlen("/domain-")]))
        return;
    id = g_ascii_strtoull(at + strlen("/domain-"), &end, 10);
    if (*end != '-' || id > G_MAXINT)
        return;
    argv->has_libvirt_id = true;
    argv->libvirt_id = (guint)id;
}

/* libvirt's own monitor has that name since its first release with QMP, and its secret key, too. */
static void
note_libvirt(const Draft *draft, Argv *argv)
{
    Options *monitor = g_hash_table_lookup(draft->chardevs, LIBVIRT_MONITOR);
    Options *key = g_hash_table_lookup(draft->objects, "masterKey0");

    argv->is_libvirt = monitor != NULL;
    if (!monitor)
        return;
    note_domain_directory(argv, options_get(monitor, "path"));
    if (key)
        note_domain_directory(argv, options_get(key, "file"));
}

static void
monitor_resolve(const Draft *draft, Argv *argv, Options *options)
{
    const char *id = options_get(options, "chardev");
    Options *chardev = id ? g_hash_table_lookup(draft->chardevs, id) : options;
    ArgvMonitor *monitor;

    /* Without a mode it is a human's. */
    if (g_strcmp0(options_get(options, "mode"), "control") != 0 || !chardev ||
        !chardev_listens(chardev) || g_strcmp0(id, LIBVIRT_MONITOR) == 0)
        return;
    monitor = g_new0(ArgvMonitor, 1);
    monitor->path = g_strdup(options_get(chardev, "path"));
    monitor->chardev = g_strdup(id);
    monitor->is_awaited = !options_get(chardev, "wait") || options_is_on(chardev, "wait");
    g_ptr_array_add(argv->monitors, monitor);
}

/* A memfd is shared unless told otherwise; the others are private unless told otherwise, a file
 * (and so -mem-path) too: its pages become anonymous when they are written. */
static bool
backend_is_shared(const Draft *draft, const char *id)
{
    Options *backend = g_hash_table_lookup(draft->objects, id);

    if (!backend)
        return false;
    if (g_strcmp0(options_get(backend, "qom-type"), "memory-backend-memfd") == 0 &&
        !options_get(backend, "share"))
        return true;
    return options_is_on(backend, "share");
}

static bool
ram_is_shared(const Draft *draft)
{
    for (guint i = 0; i < draft->ram_backends->len; i++) {
        if (!backend_is_shared(draft, g_ptr_array_index(draft->ram_backends, i)))
            return false;
    }
    return draft->ram_backends->len > 0;
}

/* A memfd says so itself; of a file only its place could tell, so that is a "perhaps". */
static HugePages
backend_huge_pages(const Draft *draft, const char *id)
{
    Options *backend = g_hash_table_lookup(draft->objects, id);

    if (backend && options_is_on(backend, "hugetlb"))
        return HUGE_PAGES_YES;
    return backend && options_get(backend, "mem-path") ? HUGE_PAGES_PERHAPS : HUGE_PAGES_NO;
}

static HugePages
ram_huge_pages(const Draft *draft)
{
    HugePages all = draft->has_mem_path ? HUGE_PAGES_PERHAPS : HUGE_PAGES_NO;

    for (guint i = 0; i < draft->ram_backends->len; i++) {
        HugePages one = backend_huge_pages(draft, g_ptr_array_index(draft->ram_backends, i));

        all = i == 0 ? one : MIN(all, one);
    }
    return all;
}

static guint
count_iothreads(const Draft *draft)
{
    GHashTableIter iter;
    gpointer object;
    guint n = 0;

    g_hash_table_iter_init(&iter, draft->objects);
    while (g_hash_table_iter_next(&iter, NULL, &object))
        n += g_strcmp0(options_get(object, "qom-type"), "iothread") == 0;
    return n;
}

void
argv_resolve(const Draft *draft, Argv *argv)
{
    note_libvirt(draft, argv);
    for (guint i = 0; i < draft->monitors->len; i++)
        monitor_resolve(draft, argv, g_ptr_array_index(draft->monitors, i));
    for (guint i = 0; i < draft->own_drives->len; i++)
        own_drive_resolve(draft, argv, g_ptr_array_index(draft->own_drives, i));
    for (guint i = 0; i < draft->devices->len; i++)
        device_resolve(draft, argv, g_ptr_array_index(draft->devices, i));
    argv->memory_is_shared = ram_is_shared(draft);
    argv->memory_huge_pages = ram_huge_pages(draft);
    argv->n_iothreads = count_iothreads(draft);
    argv_add_traits(draft, argv);
}
