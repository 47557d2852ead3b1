/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drift-look.h"

#include "block.h"
#include "config-disk.h"
#include "domain-limits.h"
#include "libvirt-domain.h"
#include "pve-look.h"
#include "sample.h"
#include "units.h"

#include <string.h>

/* A clock that was set, or a file that is written by the start itself, is no change after it. */
#define START_SLACK_US (10 * G_USEC_PER_SEC)

static void
disk_free(gpointer data)
{
    DriftDisk *disk = data;

    g_free(disk->name);
    for (guint i = 0; i < DRIFT_N_SIDES; i++)
        throttle_free(disk->sides[i]);
    g_ptr_array_unref(disk->notes);
    g_free(disk);
}

static void G_GNUC_PRINTF(2, 3) note(DriftDisk *disk, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(disk->notes, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

/* Takes throttle. */
static void
disk_set(DriftDisk *disk, DriftSide side, Throttle *throttle)
{
    disk->sides[side] = throttle;
    disk->drift.sides[side] = throttle;
    for (guint i = 0; throttle && i < throttle->notes->len; i++)
        note(disk, "%s: %s", drift_side_name(side), (const char *)throttle->notes->pdata[i]);
}

/* What a person calls it: as in samples. */
static const char *
short_name(const char *name)
{
    return g_str_has_prefix(name, "drive-") ? name + strlen("drive-") : name;
}

static void
take_policy(const Vm *vm, DriftDisk *disk, const char *name)
{
    const GPtrArray *policies = drift_look_policies(vm->drift);

    for (guint i = 0; policies && i < policies->len; i++) {
        const ConfigDisk *policy = policies->pdata[i];
        g_autoptr(ConfigDisk) copy = NULL;

        if (strcmp(policy->name, name) != 0)
            continue;
        copy = config_disk_copy(policy);
        if (copy)
            disk_set(disk, DRIFT_POLICY, g_steal_pointer(&copy->limits));
        return;
    }
}

static void
take_configuration(const Vm *vm, DriftDisk *disk, const char *name)
{
    const PveConf *conf = pve_look_conf(vm->pve);
    const PveEntry *entry = conf ? pve_find(pveconf_live(conf), name) : NULL;
    const PveSection *pending = conf ? pveconf_pending(conf) : NULL;
    g_autofree char *wrong = NULL;
    Throttle *throttle;

    if (entry) {
        throttle = pve_drive_parse(entry, &wrong);
        if (throttle)
            disk_set(disk, DRIFT_CONFIGURATION, throttle);
        else
            note(disk, "configuration: line %u: %s", entry->line, wrong);
    }
    if (pending && pve_find(pending, name))
        note(disk, "configuration: a change is pending until the next start, see [PENDING]");
}

static Throttle *
throttle_of_pairs(char **pairs, DriftDisk *disk, const char *source)
{
    g_autofree char *wrong = NULL;
    Throttle *throttle = throttle_parse(THROTTLE_QEMU, (const char *const *)pairs, &wrong);

    if (!throttle)
        note(disk, "live: %s: %s", source, wrong);
    return throttle;
}

static bool
take_iotune(DriftDisk *disk, DriftSide side, const DomainDisk *known)
{
    g_autofree char *wrong = NULL;
    Throttle *throttle = domain_disk_limits(known, &wrong);

    if (throttle)
        disk_set(disk, side, throttle);
    else
        note(disk, "%s: iotune: %s", drift_side_name(side), wrong);
    return throttle != NULL;
}

/* libvirt knows both: what QEMU was told last, and what the next start brings. */
static void
take_domain(const Vm *vm, DriftDisk *disk, const char *name)
{
    const DomainXml *persistent = libvirt_domain_persistent(vm->domain);
    gint64 read_us;
    const DomainXml *xml = libvirt_domain_xml(vm->domain, &read_us);
    const DomainDisk *later = persistent ? domain_xml_disk(persistent, name) : NULL;
    const DomainDisk *now = domain_xml_disk(xml, name);

    if (!persistent)
        note(disk, "configuration: none, the domain is transient");
    else if (later)
        (void)take_iotune(disk, DRIFT_CONFIGURATION, later);
    else
        note(disk, "configuration: the next start has no such disk");
    if (!now || !take_iotune(disk, DRIFT_LIVE, now))
        return;
    disk->live_source = DRIFT_LIVE_LIBVIRT;
    disk->live_us = vm->sample_realtime_us - (vm->sample.now_us - read_us);
}

static bool
take_group(const Vm *vm, DriftDisk *disk, const char *name, const ArgvDisk *argv)
{
    g_autofree char *of_drive = g_strconcat("throttle-drive-", name, NULL);
    char **pairs = drift_look_group(vm->drift, argv && argv->is_group_object ? argv->throttle_group
                                                                             : of_drive);
    Throttle *throttle = pairs ? throttle_of_pairs(pairs, disk, DRIFT_LIVE_GROUP) : NULL;

    if (!throttle)
        return false;
    disk_set(disk, DRIFT_LIVE, throttle);
    disk->live_source = DRIFT_LIVE_GROUP;
    disk->live_us = drift_look_groups_us(vm->drift);
    return true;
}

/* "/machine/peripheral/virtio0/virtio-backend" is virtio0. */
static bool
block_is(const QmpBlock *block, const char *name, const ArgvDisk *argv)
{
    g_autofree char *label = sample_disk_label(block->qdev, block->device, NULL);

    return strcmp(label, name) == 0 ||
           (block->device && (strcmp(short_name(block->device), name) == 0 ||
                              (argv && g_strcmp0(block->device, argv->drive) == 0)));
}

static bool
is_throttle_filter(char **inserted)
{
    for (; *inserted; inserted += 2)
        if (strcmp(inserted[0], "drv") == 0)
            return strcmp(inserted[1], "throttle") == 0;
    return false;
}

static bool
take_block(const Vm *vm, DriftDisk *disk, const char *name, const ArgvDisk *argv)
{
    gint64 asked_us;
    const GArray *blocks = drift_look_blocks(vm->drift, &asked_us);

    for (guint i = 0; blocks && i < blocks->len; i++) {
        const QmpBlock *block = &g_array_index(blocks, QmpBlock, i);
        Throttle *throttle;

        if (!block_is(block, name, argv))
            continue;
        if (!block->inserted || is_throttle_filter(block->inserted))
            return false;
        throttle = throttle_of_pairs(block->inserted, disk, DRIFT_LIVE_BLOCK);
        if (!throttle)
            return false;
        if (g_strcmp0(throttle->group, block->device) == 0)
            g_clear_pointer(&throttle->group, g_free); /* QEMU's name for none */
        disk_set(disk, DRIFT_LIVE, throttle);
        disk->live_source = DRIFT_LIVE_BLOCK;
        disk->live_us = asked_us;
        return true;
    }
    return false;
}

/* Was the configuration written after the VM's start? Then QEMU was probably told, too. */
static bool
is_written_since_start(const Vm *vm, gint64 realtime_us)
{
    gint64 written_us = pve_look_written_us(vm->pve);

    return written_us != 0 && (!vm->has_sample || vm->sample.age_us < 0 ||
                               written_us > realtime_us - vm->sample.age_us + START_SLACK_US);
}

static void
take_start(const Vm *vm, DriftDisk *disk, const ArgvDisk *argv, gint64 realtime_us)
{
    Throttle *throttle;

    if (!argv || !argv->limits)
        return;
    if (is_written_since_start(vm, realtime_us)) {
        note(disk, "live: not known, because the configuration was written after the start: "
                   "`guardianctl drift VM` asks QEMU");
        return;
    }
    throttle = throttle_of_pairs(argv->limits, disk, DRIFT_LIVE_START);
    if (!throttle)
        return;
    if (!argv->is_group_object) {
        throttle->is_group_object = false;
        throttle->group = g_strdup(argv->throttle_group);
    }
    disk_set(disk, DRIFT_LIVE, throttle);
    disk->live_source = DRIFT_LIVE_START;
}

static bool
is_of_libvirt(const Vm *vm)
{
    return vm->domain && libvirt_domain_xml(vm->domain, NULL);
}

static DriftDisk *
disk_new(const Vm *vm, const char *name, gint64 realtime_us)
{
    DriftDisk *disk = g_new0(DriftDisk, 1);
    const ArgvDisk *argv = vm_limited_disk(vm, name);

    disk->name = units_printable(name, -1);
    disk->notes = g_ptr_array_new_with_free_func(g_free);
    take_policy(vm, disk, name);
    if (is_of_libvirt(vm)) {
        take_domain(vm, disk, name);
        return disk;
    }
    take_configuration(vm, disk, name);
    if (!take_group(vm, disk, name, argv) && !take_block(vm, disk, name, argv))
        take_start(vm, disk, argv, realtime_us);
    return disk;
}

static void
names_add(GPtrArray *names, const char *name)
{
    if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
        g_ptr_array_add(names, g_strdup(name));
}

static int
names_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
is_cdrom(const PveEntry *entry)
{
    return strstr(entry->value, "media=cdrom") != NULL;
}

static void
names_add_domain(GPtrArray *names, const DomainXml *xml)
{
    for (guint i = 0; xml && i < xml->disks->len; i++) {
        const DomainDisk *disk = xml->disks->pdata[i];

        if (disk->target && (!disk->device || strcmp(disk->device, "disk") == 0 ||
                             strcmp(disk->device, "lun") == 0))
            names_add(names, disk->target);
    }
}

static void
names_add_argv(GPtrArray *names, const Argv *argv)
{
    for (guint i = 0; i < argv->disks->len; i++) {
        const ArgvDisk *disk = argv->disks->pdata[i];
        const char *name = disk->id ? disk->id : disk->drive ? short_name(disk->drive) : NULL;
        bool is_cd = disk->driver && g_str_has_suffix(disk->driver, "-cd");

        if (name && !is_cd && !g_str_has_prefix(name, "efidisk"))
            names_add(names, name);
    }
}

/* Of every disk that any side speaks of; a CD drive only when the policy does. */
static GPtrArray *
disk_names(const Vm *vm)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const GPtrArray *policies = drift_look_policies(vm->drift);
    const PveConf *conf = pve_look_conf(vm->pve);
    const PveSection *live = conf ? pveconf_live(conf) : NULL;

    for (guint i = 0; policies && i < policies->len; i++)
        names_add(names, ((const ConfigDisk *)policies->pdata[i])->name);
    for (guint i = 0; live && i < live->entries->len; i++) {
        const PveEntry *entry = live->entries->pdata[i];

        if (pve_is_limited_drive(entry->key) && !is_cdrom(entry))
            names_add(names, entry->key);
    }
    if (is_of_libvirt(vm)) { /* whose command line has other names for the same disks */
        names_add_domain(names, libvirt_domain_xml(vm->domain, NULL));
        names_add_domain(names, libvirt_domain_persistent(vm->domain));
    } else {
        names_add_argv(names, vm->argv);
    }
    g_ptr_array_sort(names, names_compare);
    return names;
}

GPtrArray *
drift_look_disks(const Vm *vm, gint64 realtime_us)
{
    g_autoptr(GPtrArray) names = disk_names(vm);
    GPtrArray *disks = g_ptr_array_new_with_free_func(disk_free);

    for (guint i = 0; i < names->len; i++)
        g_ptr_array_add(disks, disk_new(vm, names->pdata[i], realtime_us));
    return disks;
}
