/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What reconcile.h wants to know of a disk and its VM. */

#include "reconciler.h"

#include "libvirt-domain.h"
#include "pve-look.h"

#include <string.h>

/* After a start, a pause or a suspicion: a stall that comes back within a minute is the same one.
 */
#define SETTLE_US (60 * G_USEC_PER_SEC)

static bool
is_shared(const Vm *vm, const ArgvDisk *disk)
{
    guint n = 0;

    for (guint i = 0; disk && disk->throttle_group && i < vm->argv->disks->len; i++)
        n += g_strcmp0(((const ArgvDisk *)vm->argv->disks->pdata[i])->throttle_group,
                       disk->throttle_group) == 0;
    return n > 1;
}

/* By a name that somebody gave to several disks. */
static bool
is_shared_in_domain(const Vm *vm, const DriftDisk *disk)
{
    const DomainXml *xml = libvirt_domain_xml(vm->domain, NULL);
    const char *group = disk->sides[DRIFT_LIVE] ? disk->sides[DRIFT_LIVE]->group : NULL;
    guint n = 0;

    for (guint i = 0; xml && group && i < xml->disks->len; i++) {
        char **pair = ((const DomainDisk *)xml->disks->pdata[i])->iotune;

        for (; pair && *pair; pair += 2)
            n += strcmp(pair[0], "group_name") == 0 && strcmp(pair[1], group) == 0;
    }
    return n > 1;
}

/* Why nobody can be told of a VM of libvirt, which would write its own value back over ours. */
static const char *
find_mute(const Vm *vm, const DriftDisk *disk)
{
    if (!vm->argv->is_libvirt)
        return NULL;
    if (!vm->domain)
        return "no libvirt daemon that answers has this VM";
    if (!disk->sides[DRIFT_LIVE])
        return "libvirt does not tell the disk's limits";
    return libvirt_daemon_may_write(libvirt_domain_daemon(vm->domain))
               ? NULL
               : "its libvirtd has no socket that may be written to";
}

static bool
is_pending(const Vm *vm, const char *name)
{
    const PveConf *conf = pve_look_conf(vm->pve);
    const PveSection *pending = conf ? pveconf_pending(conf) : NULL;

    return pending && pve_find(pending, name);
}

ReconcilePlan
reconciler_plan(const Vm *vm, const GPtrArray *vms, const DriftDisk *disk)
{
    const ArgvDisk *argv = vm_limited_disk(vm, disk->name);
    const PveConf *conf = pve_look_conf(vm->pve);
    bool is_group = g_strcmp0(disk->live_source, DRIFT_LIVE_GROUP) == 0;
    ReconcileFacts facts = {
        .is_suspect = act_is_suspect(vm, vms),
        .run =
            vm->has_sample && vm->sample.monitor == MONITOR_ANSWERED ? vm->sample.run : RUN_UNKNOWN,
        .calm_us = vm->calm_since_us > 0 ? vm->sample.now_us - vm->calm_since_us : 0,
        .settle_us = SETTLE_US,
        .lock = conf ? pve_value(pveconf_live(conf), "lock") : NULL,
        .is_pending = is_pending(vm, disk->name),
        .has_job = vm->has_jobs,
        .live_is_asked = disk->live_source && g_strcmp0(disk->live_source, DRIFT_LIVE_START) != 0,
        .can_write_live = argv && argv->drive && (is_group || !argv->is_group_object),
        .is_shared = vm->domain ? is_shared_in_domain(vm, disk) : is_shared(vm, argv),
        .has_keeper = vm->argv->is_libvirt,
        .mute = find_mute(vm, disk),
    };

    if (facts.can_write_live && !is_group) /* only a -drive has a limiter of its own */
        facts.can_write_live = argv->limits != NULL;
    return reconcile_disk(&disk->drift, &facts);
}
