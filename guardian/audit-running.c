/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit-facts.h"

#include "cgroup-place.h"
#include "mountinfo.h"
#include "overhead.h"
#include "storage.h"
#include "sysfs.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MIB ((guint64)1 << 20)
/* QEMU's own terms of the KubeVirt formula: qemu 50, graphics 32, a vCPU 8, iothread 8; page tables
 * come on top. What a pod's helpers need is counted only where there are some. */
#define FLOOR_BYTES (98 * MIB)
#define PAGE_TABLE_SHARE 512

static AuditHost
host_of(const Vm *vm)
{
    static const struct {
        const char *source;
        AuditHost host;
    } hosts[] = {
        {"proxmox", AUDIT_PROXMOX}, {"libvirt", AUDIT_LIBVIRT}, {"kubevirt", AUDIT_KUBEVIRT}};

    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++)
        if (strcmp(vm->source, hosts[i].source) == 0)
            return hosts[i].host;
    return AUDIT_BARE;
}

static AuditAnswer
answer(bool is_yes)
{
    return is_yes ? AUDIT_YES : AUDIT_NO;
}

/* What it needs at least beside its guest's RAM; 0 unknown. */
static guint64
floor_of(AuditHost host, const Limits *limits, guint64 guest_ram_bytes)
{
    OverheadInput input = {.vcpus = 1,
                           .has_graphics = true,
                           .ratio_thousandths = 1000,
                           .configured_bytes = guest_ram_bytes,
                           .request_bytes = guest_ram_bytes,
                           .kubevirt_version = (gint32)limits->kubevirt_version};
    OverheadResult result;

    if (guest_ram_bytes == 0)
        return 0;
    if (host == AUDIT_KUBEVIRT && !overhead_kubevirt(&input, &result))
        return result.reserved_bytes;
    return FLOOR_BYTES + guest_ram_bytes / PAGE_TABLE_SHARE;
}

/* scsi-hd says nothing: its bus does. */
static AuditController
controller_of(const ArgvDisk *disk)
{
    const char *driver = disk->controller && g_str_has_prefix(disk->driver, "scsi-")
                             ? disk->controller
                             : disk->driver;

    if (g_str_has_prefix(driver, "virtio-"))
        return CONTROLLER_VIRTIO;
    if (g_str_has_prefix(driver, "lsi"))
        return CONTROLLER_LSI;
    return g_str_has_prefix(driver, "ide-") ? CONTROLLER_IDE : CONTROLLER_OTHER;
}

static AuditAio
aio_of(const char *word)
{
    if (!word)
        return AIO_THREADS; /* QEMU's default */
    return strcmp(word, "io_uring") == 0 ? AIO_URING
           : strcmp(word, "native") == 0 ? AIO_NATIVE
                                         : AIO_THREADS;
}

/* A thin volume lies on its pool's mapping, "LVM-...-tpool". */
static bool
lies_on_pool(const Host *host, const char *number)
{
    g_autofree char *path =
        g_strdup_printf("%s/dev/block/%s/slaves", host_root_path(host, HOST_SYS), number);
    g_autoptr(GDir) slaves = g_dir_open(path, 0, NULL);
    const char *name;

    while (slaves && (name = g_dir_read_name(slaves))) {
        g_autofree char *link = g_strconcat("class/block/", name, NULL);
        g_autofree char *uuid = sysfs_read(host, link, "dm/uuid");

        if (uuid && g_str_has_suffix(uuid, "pool"))
            return true;
    }
    return false;
}

static AuditPlace
place_of(const Host *host, const Vm *vm, const ArgvDisk *disk)
{
    const StorageFacts *facts = storage_facts(vm, disk);
    g_autofree char *number = NULL, *link = NULL, *uuid = NULL;

    if (!disk->storage)
        return PLACE_OTHER;
    if (g_str_has_prefix(disk->storage, "dev:/dev/rbd"))
        return PLACE_KRBD;
    if (g_str_has_prefix(disk->storage, "file:")) {
        g_autoptr(Mount) mount = mountinfo_of_path(host, disk->storage + strlen("file:"));

        return mount && (strcmp(mount->type, "cifs") == 0 || strcmp(mount->type, "smb3") == 0)
                   ? PLACE_CIFS
                   : PLACE_OTHER;
    }
    if (!facts || !facts->is_device)
        return PLACE_OTHER;
    number = g_strdup_printf("%u:%u", facts->today.major, facts->today.minor);
    link = g_strconcat("dev/block/", number, NULL);
    uuid = sysfs_read(host, link, "dm/uuid");
    return uuid && g_str_has_prefix(uuid, "LVM-") && !lies_on_pool(host, number) ? PLACE_THICK_LVM
                                                                                 : PLACE_OTHER;
}

static void
add_disk(const Host *host, const Vm *vm, AuditVm *facts, const ArgvDisk *disk)
{
    const char *name = disk->id ? disk->id : disk->drive;
    const StorageFacts *storage = storage_facts(vm, disk);
    AuditDisk *audit;

    if (!disk->driver || g_str_has_suffix(disk->driver, "-cd") ||
        g_str_equal(disk->driver, "floppy"))
        return;
    audit = audit_vm_add_disk(facts, units_printable(name ? name : "?", -1));
    audit->controller = controller_of(disk);
    audit->has_iothread = answer(disk->n_iothreads > 0);
    audit->has_several_iothreads = answer(disk->n_iothreads > 1);
    audit->aio = aio_of(disk->aio);
    audit->is_direct = answer(disk->is_direct);
    audit->ignores_flush = answer(disk->ignores_flush);
    audit->werror = g_strdup(disk->werror);
    audit->rerror = g_strdup(disk->rerror);
    audit->place = place_of(host, vm, disk);
    audit->has_limit = answer(disk->has_limit);
    audit->has_burst = answer(disk->has_burst);
    if (storage && storage->is_device && storage->has_held)
        audit->is_stale = answer(storage->held.major != storage->today.major ||
                                 storage->held.minor != storage->today.minor);
}

/* "pc-i440fx-9.2+pve1" -> 9; a type without a version is today's. */
static guint
machine_major(const char *machine)
{
    const char *dash = machine ? strrchr(machine, '-') : NULL;

    return dash ? audit_version(dash + 1) / 10000 : 0;
}

static char *
group_read(const Vm *vm, const char *name)
{
    const CgroupPath *path = vm->cgroup ? cgroup_path(vm->cgroup) : NULL;
    char text[64];

    if (!path || path->is_root || !path->is_v2 ||
        !group_file_read(cgroup_mount_fd(vm->cgroup), path->path + strspn(path->path, "/"), name,
                         text, sizeof text))
        return NULL;
    return g_strdup(text);
}

static void
add_group(AuditVm *facts, const Vm *vm)
{
    g_autofree char *high = group_read(vm, "memory.high");
    g_autofree char *group = group_read(vm, "memory.oom.group");

    if (high)
        facts->has_high = answer(strcmp(g_strstrip(high), "max") != 0);
    if (group)
        facts->kills_whole_group = answer(strcmp(g_strstrip(group), "1") == 0);
}

static void
add_score(AuditVm *facts, const Vm *vm)
{
    auto_fd fd = host_open_beneath(proc_dir_fd(vm->proc), "oom_score_adj", O_RDONLY);
    g_autofree char *text = fd < 0 ? NULL : host_read_fd(fd, "oom_score_adj", 64, NULL, NULL);
    gint64 score;

    if (!text || !g_ascii_string_to_signed(g_strstrip(text), 10, -1000, 1000, &score, NULL))
        return;
    facts->has_oom_score_adj = true;
    facts->oom_score_adj = (gint32)score;
}

/* The lowest one of its group and all above it; 0 none, or unknown. The one with the least left may
 * be a high one that other VMs share. */
static guint64
lowest_limit(const Vm *vm)
{
    guint64 lowest = vm->memory.has_limit ? vm->memory.limit_bytes : 0;

    for (guint i = 0; vm->group_limits && i < vm->group_limits->len; i++) {
        guint64 limit = g_array_index(vm->group_limits, CgroupLimit, i).limit_bytes;

        if (limit > 0 && (lowest == 0 || limit < lowest))
            lowest = limit;
    }
    return lowest;
}

AuditVm *
audit_facts_running(const Host *host, const Vm *vm)
{
    const Argv *argv = vm->argv;
    AuditVm *facts = audit_vm_new(host_of(vm));

    if (vm->is_nameless) /* its command line could not be read: nothing is known */
        return facts;
    for (guint i = 0; i < argv->disks->len; i++)
        add_disk(host, vm, facts, argv->disks->pdata[i]);
    facts->qemu_version = audit_version(vm->qemu_version);
    facts->machine_major = machine_major(argv->machine);
    facts->has_own_monitor = answer(vm->monitor_path && vm->monitor_is_ours);
    facts->guest_ram_bytes = vm->memory.has_guest_ram ? vm->memory.guest_ram_bytes
                             : argv->has_memory       ? argv->memory_bytes
                                                      : 0;
    facts->limit_bytes = lowest_limit(vm);
    facts->floor_bytes = floor_of(facts->host, &vm->limits, facts->guest_ram_bytes);
    facts->has_balloon = answer(argv->has_balloon);
    facts->balloon_reports = answer(argv->balloon_reports);
    facts->mixes_hugepages =
        answer(argv->n_huge_backends > 0 && argv->n_huge_backends < argv->n_backends);
    facts->has_watchdog = answer(argv->has_watchdog);
    facts->has_serial = answer(argv->has_serial);
    facts->has_panic_device = answer(argv->has_panic_device);
    add_group(facts, vm);
    facts->swaps_at_a_limit = audit_facts_swap(host, vm);
    add_score(facts, vm);
    return facts;
}
