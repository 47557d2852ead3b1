/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the next start of a Proxmox VM brings. What waits under [PENDING] replaces what is live. */

#include "audit-facts.h"

#include "units.h"

#include <string.h>

/* Proxmox refuses a larger one. */
#define CONFIGURATION_BYTES_MAX (512 * 1024)

static AuditAnswer
answer(bool is_yes)
{
    return is_yes ? AUDIT_YES : AUDIT_NO;
}

/* What the next start takes; NULL: nothing. "delete" of a pending section removes keys. */
static const PveEntry *
next_entry(const PveConf *conf, const char *key)
{
    const PveSection *pending = pveconf_pending(conf);
    const PveEntry *entry = pending ? pve_find(pending, key) : NULL;
    const char *deleted = pending ? pve_value(pending, "delete") : NULL;
    g_auto(GStrv) words = g_strsplit_set(deleted ? deleted : "", ",; ", -1);

    if (entry)
        return entry;
    for (guint i = 0; words[i]; i++) /* "force_x" asks for more than a deletion */
        if (strcmp(words[i], key) == 0 ||
            (g_str_has_prefix(words[i], "!") && strcmp(words[i] + 1, key) == 0))
            return NULL;
    return pve_find(pveconf_live(conf), key);
}

static const char *
next_value(const PveConf *conf, const char *key)
{
    const PveEntry *entry = next_entry(conf, key);

    return entry ? entry->value : NULL;
}

/* Of a drive's pairs; NULL absent. */
static const char *
pair_of(char **pairs, const char *name)
{
    for (guint i = 0; pairs && pairs[i] && pairs[i + 1]; i += 2)
        if (strcmp(pairs[i], name) == 0)
            return pairs[i + 1];
    return NULL;
}

static AuditController
controller_of(const PveConf *conf, const char *key)
{
    const char *hardware = next_value(conf, "scsihw");

    if (g_str_has_prefix(key, "virtio"))
        return CONTROLLER_VIRTIO;
    if (g_str_has_prefix(key, "ide") || g_str_has_prefix(key, "sata"))
        return CONTROLLER_IDE;
    if (!hardware || g_str_has_prefix(hardware, "lsi")) /* Proxmox' default */
        return CONTROLLER_LSI;
    return g_str_has_prefix(hardware, "virtio") ? CONTROLLER_VIRTIO : CONTROLLER_OTHER;
}

/* A scsi disk has one only where each has a controller of its own. */
static AuditAnswer
iothread_of(const PveConf *conf, const char *key, char **pairs)
{
    const char *wanted = pair_of(pairs, "iothread");
    bool is_on = wanted && strcmp(wanted, "0") != 0 && strcmp(wanted, "off") != 0 &&
                 strcmp(wanted, "no") != 0;
    bool is_single = g_strcmp0(next_value(conf, "scsihw"), "virtio-scsi-single") == 0;

    return answer(is_on && (is_single || !g_str_has_prefix(key, "scsi")));
}

/* What Proxmox writes without a word for it depends on the storage. */
static AuditAio
aio_of(const char *word)
{
    static const struct {
        const char *word;
        AuditAio aio;
    } words[] = {{"io_uring", AIO_URING}, {"native", AIO_NATIVE}, {"threads", AIO_THREADS}};

    for (guint i = 0; word && i < G_N_ELEMENTS(words); i++)
        if (strcmp(word, words[i].word) == 0)
            return words[i].aio;
    return AIO_UNKNOWN;
}

void
audit_facts_limits(AuditDisk *disk, const Throttle *throttle)
{
    disk->has_limit = disk->has_burst = AUDIT_NO;
    disk->limit_fault = throttle_find_fault(throttle);
    for (guint limit = 0; limit < THROTTLE_N_LIMITS; limit++) {
        if (throttle->fields[THROTTLE_FIELD(limit, THROTTLE_RATE)] > 0)
            disk->has_limit = AUDIT_YES;
        if (throttle->fields[THROTTLE_FIELD(limit, THROTTLE_MAX)] > 0)
            disk->has_burst = AUDIT_YES;
    }
}

/* bps= is read as 0 MB/s: Proxmox' own mistake, kept since 2016. */
static bool
has_mute_bps(const char *value)
{
    g_autofree char *wrong = NULL;
    g_auto(GStrv) pairs = throttle_split_drive(value, &wrong);

    return pair_of(pairs, "bps") || pair_of(pairs, "bps_rd") || pair_of(pairs, "bps_wr");
}

static void
add_drive(AuditVm *facts, const PveConf *conf, const PveEntry *entry)
{
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) throttle = pve_drive_parse(entry, &wrong);
    const char *cache, *media = throttle ? pair_of(throttle->others, "media") : NULL;
    AuditDisk *disk;

    if (g_strcmp0(media, "cdrom") == 0)
        return;
    disk = audit_vm_add_disk(facts, units_printable(entry->key, -1));
    disk->controller = controller_of(conf, entry->key);
    disk->has_mute_bps = has_mute_bps(entry->value);
    if (!throttle) {
        disk->limit_fault = g_steal_pointer(&wrong);
        return;
    }
    cache = pair_of(throttle->others, "cache");
    disk->has_iothread = iothread_of(conf, entry->key, throttle->others);
    disk->has_several_iothreads = AUDIT_NO;
    disk->aio = aio_of(pair_of(throttle->others, "aio"));
    disk->is_direct =
        answer(!cache || strcmp(cache, "none") == 0 || strcmp(cache, "directsync") == 0);
    disk->ignores_flush = answer(g_strcmp0(cache, "unsafe") == 0);
    disk->werror = g_strdup(pair_of(throttle->others, "werror"));
    disk->rerror = g_strdup(pair_of(throttle->others, "rerror"));
    audit_facts_limits(disk, throttle);
}

/* Each drive that the next start has, once. */
static void
add_drives(AuditVm *facts, const PveConf *conf)
{
    const PveSection *const sections[] = {pveconf_live(conf), pveconf_pending(conf)};

    for (guint i = 0; i < G_N_ELEMENTS(sections); i++)
        for (guint j = 0; sections[i] && j < sections[i]->entries->len; j++) {
            const PveEntry *entry = sections[i]->entries->pdata[j];
            const PveEntry *next = next_entry(conf, entry->key);

            if (!pve_is_limited_drive(entry->key) || next != entry)
                continue;
            add_drive(facts, conf, entry);
        }
}

AuditVm *
audit_facts_pve(const PveConf *conf)
{
    const char *machine = next_value(conf, "machine"), *args = next_value(conf, "args");
    const char *balloon = next_value(conf, "balloon"), *memory = next_value(conf, "memory");
    g_auto(GStrv) machine_words = g_strsplit(machine ? machine : "", ",", -1);
    const char *dash = machine_words[0] ? strrchr(machine_words[0], '-') : NULL;
    guint64 mebibytes = 0;
    AuditVm *facts = audit_vm_new(AUDIT_PROXMOX);

    add_drives(facts, conf);
    if (memory && g_ascii_string_to_unsigned(memory, 10, 1, G_MAXUINT64 >> 20, &mebibytes, NULL))
        facts->guest_ram_bytes = mebibytes << 20;
    facts->machine_major = dash ? audit_version(dash + 1) / 10000 : 0;
    facts->has_own_monitor = answer(args && strstr(args, "-qmp"));
    facts->has_balloon = answer(!balloon || strcmp(balloon, "0") != 0);
    facts->has_watchdog = answer(next_entry(conf, "watchdog") != NULL);
    facts->has_serial = answer(next_entry(conf, "serial0") != NULL);
    facts->has_panic_device = answer(args && strstr(args, "pvpanic"));
    return facts;
}

AuditVm *
audit_facts_configured(const Host *host, const Vm *vm, char **ret_problem)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL, *text = NULL;
    g_autoptr(PveConf) conf = NULL;
    gsize length = 0;

    *ret_problem = NULL;
    if (strcmp(vm->source, "libvirt") == 0)
        return audit_facts_defined(host, vm, ret_problem);
    if (strcmp(vm->source, "proxmox") != 0 || !vm->id)
        return NULL;
    path = g_strdup_printf("pve/qemu-server/%s.conf", vm->id);
    text = host_read(host, HOST_ETC, path, CONFIGURATION_BYTES_MAX, &length, &error);
    if (!text) {
        *ret_problem = units_printable(error->message, -1);
        return NULL;
    }
    conf = pveconf_parse(text, length);
    if (conf->problems->len > 0)
        *ret_problem = g_strdup_printf("%s: %s", path, (const char *)conf->problems->pdata[0]);
    return audit_facts_pve(conf);
}
