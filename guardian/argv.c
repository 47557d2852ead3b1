/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two passes: first the command line is cut into options and what others refer to is filed by its
 * name (block nodes, drives, throttle groups, chardevs, memory backends), because a reference may
 * come before what it names; then the references are resolved. */

#include "argv.h"
#include "argv-draft.h"
#include "argv-drive.h"

#include <string.h>

/* Every other option takes the next argument, which may look like an option itself. */
static const char *const flags[] = {
    "S",
    "alt-grab",
    "async-teardown",
    "audio-help",
    "ctrl-grab",
    "curses",
    "daemonize",
    "enable-fips",
    "enable-kvm",
    "enable-sync-profile",
    "full-screen",
    "h",
    "help",
    "localtime",
    "mem-prealloc",
    "no-acpi",
    "no-fd-bootchk",
    "no-frame",
    "no-hpet",
    "no-kvm",
    "no-kvm-irqchip",
    "no-kvm-pit",
    "no-kvm-pit-reinjection",
    "no-quit",
    "no-reboot",
    "no-shutdown",
    "no-user-config",
    "nodefaults",
    "nodefconfig",
    "nographic",
    "old-param",
    "one-insn-per-tb",
    "only-migratable",
    "portrait",
    "preconfig",
    "s",
    "sdl",
    "semihosting",
    "show-cursor",
    "singlestep",
    "snapshot",
    "usb",
    "version",
    "win2k-hack",
    "xen-attach",
    "xen-domid-restrict",
    NULL,
};

/* Files options under their own key; those without are nobody's reference. */
static void
file_under(GHashTable *table, Options *options, const char *key)
{
    const char *name = options_get(options, "%s", key);

    if (name)
        g_hash_table_replace(table, g_strdup(name), g_hash_table_ref(options));
}

static void
take_name(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "guest");

    g_free(draft->argv->name);
    draft->argv->name = g_strdup(options_get(options, "guest"));
}

static void
take_id(Draft *draft, const char *value)
{
    g_free(draft->argv->id);
    draft->argv->id = g_strdup(value);
}

static void
take_uuid(Draft *draft, const char *value)
{
    g_free(draft->argv->uuid);
    draft->argv->uuid = g_strdup(value);
}

static void
take_memory(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "size");
    const char *size = options_get(options, "size");

    if (size)
        draft->argv->has_memory = argv_parse_memory(size, &draft->argv->memory_bytes);
}

static void
take_smp(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "cpus");

    draft->argv->n_vcpus = argv_count_vcpus(options);
}

/* "none" is as good as no option; without any QEMU adds one by itself. */
static void
take_vga(Draft *draft, const char *value)
{
    draft->has_vga_option = true;
    draft->argv->has_graphics |= !g_str_equal(value, "none");
}

static void
take_tpm(Draft *draft, const char *value)
{
    draft->argv->has_tpm = true;
}

static void
take_mem_path(Draft *draft, const char *value)
{
    draft->has_mem_path = true;
}

static void
take_machine(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "type");
    const char *backend = options_get(options, "memory-backend");

    if (backend)
        g_ptr_array_add(draft->ram_backends, g_strdup(backend));
    if (options_get(options, "type")) {
        g_free(draft->argv->machine);
        draft->argv->machine = g_strdup(options_get(options, "type"));
    }
    if (g_strcmp0(options_get(options, "type"), "microvm") == 0)
        draft->default_interface = "none";
}

static void
take_numa(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "type");
    const char *backend = options_get(options, "memdev");

    if (backend)
        g_ptr_array_add(draft->ram_backends, g_strdup(backend));
}

static void
take_object(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "qom-type");

    file_under(draft->objects, options, "id");
}

static void
take_blockdev(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "driver");

    file_under(draft->nodes, options, "node-name");
}

static void
take_chardev(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "backend");

    file_under(draft->chardevs, options, "id");
}

static void
take_device(Draft *draft, const char *value)
{
    g_ptr_array_add(draft->devices, options_parse(value, "driver"));
}

static void
take_network(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) options = options_parse(value, "type");
    const char *name = options_get(options, "ifname");

    if (name && g_strcmp0(options_get(options, "type"), "tap") == 0)
        g_ptr_array_add(draft->argv->taps, g_strdup(name));
}

static void
take_monitor(Draft *draft, const char *value)
{
    g_ptr_array_add(draft->monitors, options_parse(value, "chardev"));
}

/* "unix:/path,server=on", or "chardev:id"; the short form of a chardev and a -mon. */
static void
take_qmp(Draft *draft, const char *value)
{
    Options *options;

    if (g_str_has_prefix(value, "unix:")) {
        options = options_parse(value + strlen("unix:"), "path");
        g_hash_table_replace(options, g_strdup("backend"), g_strdup("socket"));
    } else if (g_str_has_prefix(value, "chardev:")) {
        options = options_parse(value + strlen("chardev:"), "chardev");
    } else {
        return;
    }
    g_hash_table_replace(options, g_strdup("mode"), g_strdup("control"));
    g_ptr_array_add(draft->monitors, options);
}

static void
take_serial(Draft *draft, const char *value)
{
    draft->argv->has_serial |= !g_str_equal(value, "none");
}

static void
take_drive(Draft *draft, const char *value)
{
    g_autoptr(GHashTable) drive = options_parse(value, NULL);

    draft_add_drive(draft, drive);
}

static void
take_hda(Draft *draft, const char *value)
{
    draft_add_short_drive(draft, value, "0", "disk");
}

static void
take_hdb(Draft *draft, const char *value)
{
    draft_add_short_drive(draft, value, "1", "disk");
}

static void
take_hdc(Draft *draft, const char *value)
{
    draft_add_short_drive(draft, value, "2", "disk");
}

static void
take_hdd(Draft *draft, const char *value)
{
    draft_add_short_drive(draft, value, "3", "disk");
}

static void
take_cdrom(Draft *draft, const char *value)
{
    draft_add_short_drive(draft, value, "2", "cdrom");
}

static void
take_incoming(Draft *draft, const char *value)
{
    draft->argv->is_incoming = true;
}

static const struct {
    const char *name;
    void (*take)(Draft *draft, const char *value);
} takers[] = {
    {"name", take_name},         {"id", take_id},
    {"uuid", take_uuid},         {"m", take_memory},
    {"machine", take_machine},   {"M", take_machine},
    {"numa", take_numa},         {"object", take_object},
    {"blockdev", take_blockdev}, {"chardev", take_chardev},
    {"device", take_device},     {"mon", take_monitor},
    {"qmp", take_qmp},           {"qmp-pretty", take_qmp},
    {"drive", take_drive},       {"hda", take_hda},
    {"hdb", take_hdb},           {"hdc", take_hdc},
    {"hdd", take_hdd},           {"cdrom", take_cdrom},
    {"incoming", take_incoming}, {"serial", take_serial},
    {"netdev", take_network},    {"nic", take_network},
    {"net", take_network},       {"mem-path", take_mem_path},
    {"smp", take_smp},           {"vga", take_vga},
    {"tpmdev", take_tpm},
};

static void
take_flag(Draft *draft, const char *name)
{
    if (g_str_equal(name, "S"))
        draft->argv->is_paused_at_start = true;
    else if (g_str_equal(name, "daemonize"))
        draft->argv->is_daemonized = true;
    else if (g_str_equal(name, "nodefaults"))
        draft->has_vga_option = true;
}

static void
take_all(Draft *draft, const char *const *argv)
{
    for (guint i = 1; i < ARGV_ARGUMENTS_MAX && argv[i]; i++) {
        const char *name = argv[i] + (g_str_has_prefix(argv[i], "--") ? 2 : 1);

        if (*argv[i] != '-') {
            take_hda(draft, argv[i]);
            continue;
        }
        if (g_strv_contains(flags, name)) {
            take_flag(draft, name);
            continue;
        }
        if (!argv[++i])
            return;
        for (guint j = 0; j < G_N_ELEMENTS(takers); j++) {
            if (g_str_equal(takers[j].name, name))
                takers[j].take(draft, argv[i]);
        }
    }
}

bool
argv_is_qemu(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *base = slash ? slash + 1 : program;
    /* What /proc/<pid>/exe adds after an upgrade. */
    gsize length = strcspn(base, " ");

    return g_str_has_prefix(base, "qemu-system-") ||
           (length == 3 && g_str_has_prefix(base, "kvm")) ||
           (length == 8 && g_str_has_prefix(base, "qemu-kvm"));
}

static void
monitor_free(gpointer data)
{
    ArgvMonitor *monitor = data;

    g_free(monitor->path);
    g_free(monitor->chardev);
    g_free(monitor);
}

static void
disk_free(gpointer data)
{
    ArgvDisk *disk = data;

    g_free(disk->id);
    g_free(disk->driver);
    g_free(disk->bus);
    g_free(disk->drive);
    g_free(disk->storage);
    g_free(disk->throttle_group);
    g_free(disk->aio);
    g_free(disk->werror);
    g_free(disk->rerror);
    g_free(disk->controller);
    g_strfreev(disk->limits);
    g_free(disk);
}

static void
options_free(gpointer options)
{
    g_hash_table_unref(options);
}

static GHashTable *
options_table_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, options_free);
}

Argv *
argv_parse(const char *const *argv)
{
    Argv *parsed = g_new0(Argv, 1);
    g_autoptr(GHashTable) nodes = options_table_new();
    g_autoptr(GHashTable) objects = options_table_new();
    g_autoptr(GHashTable) chardevs = options_table_new();
    g_autoptr(GHashTable) drives = options_table_new();
    g_autoptr(GHashTable) slots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) own_drives = g_ptr_array_new_with_free_func(options_free);
    g_autoptr(GPtrArray) devices = g_ptr_array_new_with_free_func(options_free);
    g_autoptr(GPtrArray) monitors = g_ptr_array_new_with_free_func(options_free);
    g_autoptr(GPtrArray) ram_backends = g_ptr_array_new_with_free_func(g_free);
    Draft draft = {
        .argv = parsed,
        .nodes = nodes,
        .objects = objects,
        .chardevs = chardevs,
        .drives = drives,
        .own_drives = own_drives,
        .devices = devices,
        .monitors = monitors,
        .ram_backends = ram_backends,
        .drive_slots = slots,
        .default_interface = "virtio",
    };

    parsed->monitors = g_ptr_array_new_with_free_func(monitor_free);
    parsed->disks = g_ptr_array_new_with_free_func(disk_free);
    parsed->scsi_hosts = g_ptr_array_new_with_free_func(g_free);
    parsed->taps = g_ptr_array_new_with_free_func(g_free);
    parsed->unwatched = g_ptr_array_new_with_free_func(g_free);
    if (!argv[0])
        return parsed;
    if (g_str_has_suffix(argv[0], "kvm") || g_str_has_suffix(argv[0], "qemu-system-x86_64") ||
        g_str_has_suffix(argv[0], "qemu-system-i386"))
        draft.default_interface = "ide";
    take_all(&draft, argv);
    argv_resolve(&draft, parsed);
    argv_add_hardware(&draft, argv[0], parsed);
    return parsed;
}

void
argv_free(Argv *argv)
{
    if (!argv)
        return;
    g_free(argv->name);
    g_free(argv->id);
    g_free(argv->uuid);
    g_free(argv->machine);
    g_ptr_array_unref(argv->monitors);
    g_ptr_array_unref(argv->disks);
    g_ptr_array_unref(argv->scsi_hosts);
    g_ptr_array_unref(argv->taps);
    g_ptr_array_unref(argv->unwatched);
    g_free(argv);
}
