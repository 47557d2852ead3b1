/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the next start of a VM of libvirt brings: the definition that libvirtd keeps below
 * /etc/libvirt/qemu. No question to libvirtd, which may hang. */

#include "audit-facts.h"
#include "domain-limits.h"

#include "units.h"

#include <string.h>

/* QEMU's own, where libvirt says nothing. */
#define WERROR_DEFAULT "enospc"

static AuditAnswer
answer(bool is_yes)
{
    return is_yes ? AUDIT_YES : AUDIT_NO;
}

/* "vda" is 0, "vdaa" is 26; -1 for what is no such name. */
static gint
target_number(const char *target)
{
    gint number = 0;

    if (!target || strlen(target) < 3 || strlen(target) > 5)
        return -1;
    for (const char *p = target + 2; *p; p++) {
        if (!g_ascii_islower(*p))
            return -1;
        number = number * 26 + (*p - 'a' + 1);
    }
    return number - 1;
}

/* The name that libvirt will give it in QEMU, as what runs is called; a new string. */
static char *
alias_of(const DomainDisk *disk)
{
    bool is_scsi = g_strcmp0(disk->bus, "scsi") == 0;
    gint number = target_number(disk->target);

    if (disk->alias) /* the owner's own, "ua-..." */
        return g_strdup(disk->alias);
    if (g_strcmp0(disk->bus, "virtio") == 0 && number >= 0)
        return g_strdup_printf("virtio-disk%d", number);
    if (is_scsi && disk->controller.is_known)
        return g_strdup_printf("scsi%u-0-%u-%u", (guint)disk->controller.value,
                               (guint)disk->address_target.value, (guint)disk->unit.value);
    if (disk->bus && disk->controller.is_known)
        return g_strdup_printf("%s%u-0-%u", disk->bus, (guint)disk->controller.value,
                               (guint)disk->unit.value);
    return g_strdup(disk->target ? disk->target : "?");
}

static AuditController
controller_of(const DomainDisk *disk, const DomainController *controller)
{
    const char *bus = disk->bus ? disk->bus : "", *model = controller ? controller->model : NULL;

    if (strcmp(bus, "virtio") == 0)
        return CONTROLLER_VIRTIO;
    if (strcmp(bus, "ide") == 0 || strcmp(bus, "sata") == 0)
        return CONTROLLER_IDE;
    if (strcmp(bus, "scsi") != 0)
        return *bus ? CONTROLLER_OTHER : CONTROLLER_UNKNOWN;
    if (!model)
        return CONTROLLER_UNKNOWN;
    if (g_str_has_prefix(model, "virtio"))
        return CONTROLLER_VIRTIO;
    return strcmp(model, "lsilogic") == 0 ? CONTROLLER_LSI : CONTROLLER_OTHER;
}

static AuditAio
aio_of(const char *word)
{
    if (!word || strcmp(word, "threads") == 0) /* QEMU's default */
        return AIO_THREADS;
    if (strcmp(word, "native") == 0)
        return AIO_NATIVE;
    return strcmp(word, "io_uring") == 0 ? AIO_URING : AIO_UNKNOWN;
}

/* "--write-bytes-sec-max 120000000": twice each rate, for virsh blkdeviotune; a new string. */
static char *
burst_options(const Throttle *limits)
{
    Throttle burst = *limits;
    g_auto(GStrv) pairs = NULL;
    GString *options = g_string_new(NULL);

    for (guint i = 0; i < THROTTLE_N_LIMITS; i++)
        burst.fields[THROTTLE_FIELD(i, THROTTLE_MAX)] =
            2 * burst.fields[THROTTLE_FIELD(i, THROTTLE_RATE)];
    pairs = throttle_libvirt_change(&burst, &limits, 1);
    for (char **pair = pairs; *pair; pair += 2)
        if (strcmp(pair[1], "0") != 0)
            g_string_append_printf(options, "%s--%s %s", options->len > 0 ? " " : "",
                                   g_strdelimit(pair[0], "_", '-'), pair[1]);
    return g_string_free(options, FALSE);
}

static void
add_limits(AuditDisk *audit, const DomainDisk *disk)
{
    g_autofree char *wrong = NULL;
    g_autoptr(Throttle) throttle = domain_disk_limits(disk, &wrong);

    if (!throttle) {
        audit->limit_fault = g_steal_pointer(&wrong);
        return;
    }
    audit_facts_limits(audit, throttle);
    audit->burst = burst_options(throttle);
}

static void
add_disk(AuditVm *facts, const DomainXml *xml, const DomainDisk *disk)
{
    const DomainController *controller = domain_xml_controller(xml, disk);
    const char *cache = disk->cache ? disk->cache : "";
    g_autofree char *alias = alias_of(disk);
    AuditDisk *audit = audit_vm_add_disk(facts, units_printable(alias, -1));

    audit->controller = controller_of(disk, controller);
    audit->has_iothread = answer(disk->iothread.is_known || disk->n_iothreads > 0 ||
                                 (controller && controller->iothread.is_known));
    audit->has_several_iothreads = answer(disk->n_iothreads > 1);
    audit->aio = aio_of(disk->io);
    audit->is_direct = answer(strcmp(cache, "none") == 0 || strcmp(cache, "directsync") == 0);
    audit->ignores_flush = answer(strcmp(cache, "unsafe") == 0);
    audit->werror = g_strdup(disk->error_policy ? disk->error_policy : WERROR_DEFAULT);
    audit->rerror = g_strdup(disk->rerror_policy  ? disk->rerror_policy
                             : disk->error_policy ? disk->error_policy
                                                  : "report");
    audit->word = disk->target ? units_printable(disk->target, -1) : NULL;
    add_limits(audit, disk);
}

AuditVm *
audit_facts_domain(const DomainXml *xml)
{
    AuditVm *facts = audit_vm_new(AUDIT_LIBVIRT);
    const char *dash = xml->machine ? strrchr(xml->machine, '-') : NULL;

    for (guint i = 0; i < xml->disks->len; i++) {
        const DomainDisk *disk = xml->disks->pdata[i];

        if (!disk->device || strcmp(disk->device, "disk") == 0 || strcmp(disk->device, "lun") == 0)
            add_disk(facts, xml, disk);
    }
    if (xml->memory_bytes.is_known)
        facts->guest_ram_bytes = xml->memory_bytes.value;
    facts->machine_major = dash ? audit_version(dash + 1) / 10000 : 0;
    facts->has_balloon = answer(g_strcmp0(xml->balloon_model, "none") != 0);
    facts->balloon_reports = answer(g_strcmp0(xml->balloon_reporting, "on") == 0);
    facts->has_watchdog = answer(xml->n_watchdogs > 0);
    facts->has_serial = answer(xml->n_serials > 0);
    facts->has_panic_device = answer(xml->n_panic_devices > 0);
    return facts;
}

AuditVm *
audit_facts_defined(const Host *host, const Vm *vm, char **ret_problem)
{
    g_autofree char *path = g_strdup_printf("libvirt/qemu/%s.xml", vm->name);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autoptr(DomainXml) xml = NULL;
    gsize length = 0;

    if (strchr(vm->name, '/'))
        return NULL;
    text = host_read(host, HOST_ETC, path, DOMAIN_XML_BYTES_MAX, &length, &error);
    if (g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE)) /* transient, or a session's */
        return NULL;
    xml = text ? domain_xml_parse(text, length, &error) : NULL;
    if (!xml)
        *ret_problem = units_printable(error->message, -1);
    /* one of that name in another libvirtd */
    if (!xml || !xml->uuid || !vm->uuid || g_ascii_strcasecmp(xml->uuid, vm->uuid) != 0)
        return NULL;
    return audit_facts_domain(xml);
}
