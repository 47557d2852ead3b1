/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* In-flight evidence of virtio disks: which device carries a disk, how many requests its queues
 * hold. */

#include "sample-private.h"

#include "arguments.h"
#include "query.h"

#include <string.h>

/* virtio-scsi: queue 0 is control, 1 events; requests begin at 2 (virtio 1.2, 5.6.2). */
#define SCSI_FIRST_REQUEST_QUEUE 2
/* QEMU makes one queue a vCPU by default; more than this many would hold a monitor for too long. */
#define QUEUES_MAX 64

typedef struct {
    bool is_partial; /* the device has more queues than may be asked */
    guint asked, answered;
    guint32 inflight;
    guint64 used_idx;
} QueueTotal;

static bool
device_is(const VirtioDevice *device, const char *name)
{
    return g_strcmp0(device->name, name) == 0;
}

/* The HBA of a SCSI disk is the stem of its bus: "scsi0.0" sits on "scsi0". */
static bool
device_carries_bus(const VirtioDevice *device, const char *bus)
{
    const char *dot = bus ? strrchr(bus, '.') : NULL;
    g_autofree char *path = NULL;

    if (!dot)
        return false;
    path = g_strdup_printf("/machine/peripheral/%.*s/virtio-backend", (int)(dot - bus), bus);
    return g_strcmp0(device->path, path) == 0;
}

/* A disk of libvirt is known by its alias, any other by the path of its device. */
static bool
device_is_disk(const Vm *vm, const VirtioDevice *device, const DiskSample *disk)
{
    g_autofree char *path =
        vm->domain ? g_strdup_printf("/machine/peripheral/%s/virtio-backend", disk->id) : NULL;

    return g_strcmp0(device->path, path ? path : disk->id) == 0;
}

static guint
count_devices(const Vm *vm, const char *name)
{
    guint n = 0;

    for (guint i = 0; i < vm->virtio->len; i++)
        n += device_is(&g_array_index(vm->virtio, VirtioDevice, i), name);
    return n;
}

static bool
device_carries(const Vm *vm, const VirtioDevice *device, const DiskSample *disk)
{
    const ArgvDisk *argv;

    if (device_is(device, "virtio-blk"))
        return device_is_disk(vm, device, disk);
    if (!device_is(device, "virtio-scsi"))
        return false;
    argv = vm_argv_disk(vm, vm->domain ? disk->id : disk->label);
    if (!argv || !argv->driver || !g_str_has_prefix(argv->driver, "scsi-"))
        return false;
    return device_carries_bus(device, argv->bus) ||
           (!argv->bus && count_devices(vm, "virtio-scsi") == 1);
}

/* Index of the virtio device below the disk; -1: not a virtio disk, or not known. */
static int
find_device(const Vm *vm, const DiskSample *disk)
{
    for (guint i = 0; vm->virtio && i < vm->virtio->len; i++)
        if (device_carries(vm, &g_array_index(vm->virtio, VirtioDevice, i), disk))
            return (int)i;
    return -1;
}

static void
take_list(Sampling *sampling, JsonNode *result, guint index)
{
    g_autoptr(GArray) list = result ? qmp_parse_virtio_list(result) : NULL;
    Vm *vm = sampling->vm;

    vm->has_no_virtio_query = !result;
    if (!list)
        return;
    vm->virtio = vm_virtio_array_new();
    for (guint i = 0; i < list->len; i++) {
        const QmpVirtio *entry = &g_array_index(list, QmpVirtio, i);
        VirtioDevice device = {.path = g_strdup(entry->path), .name = g_strdup(entry->name)};

        g_array_append_val(vm->virtio, device);
    }
}

void
sample_ask_list(Sampling *sampling)
{
    Vm *vm = sampling->vm;

    if (vm->has_no_virtio_query || !sample_anyone_wants_evidence(sampling))
        return;
    if (vm->client)
        qmp_client_set_class(vm->client, QMP_CLASS_SUSPECT);
    if (!vm->virtio)
        sampling_ask(sampling, QMP_VIRTIO_LIST, NULL, take_list, 0);
}

/* Marks the devices below the disks that want evidence. */
static void
mark_devices(Sampling *sampling)
{
    const Vm *vm = sampling->vm;

    if (!vm->virtio || !sample_anyone_wants_evidence(sampling))
        return;
    sampling->queues = g_array_sized_new(FALSE, TRUE, sizeof(QueueTotal), vm->virtio->len);
    g_array_set_size(sampling->queues, vm->virtio->len);
    for (guint i = 0; i < sampling->sample.n_disks; i++) {
        const DiskSample *disk = &sampling->sample.disks[i];
        int device = find_device(vm, disk);

        if (device >= 0 && sample_disk_wants_evidence(sampling, disk))
            g_array_index(sampling->queues, QueueTotal, device).asked = 1;
    }
}

static void
take_size(Sampling *sampling, JsonNode *result, guint index)
{
    VirtioDevice *device = &g_array_index(sampling->vm->virtio, VirtioDevice, index);
    guint n;

    if (result && qmp_parse_virtio_status(result, &n)) {
        device->has_queues = true;
        device->n_queues = n;
    }
}

void
sample_ask_sizes(Sampling *sampling)
{
    mark_devices(sampling);
    for (guint i = 0; sampling->queues && i < sampling->queues->len; i++) {
        const VirtioDevice *device = &g_array_index(sampling->vm->virtio, VirtioDevice, i);
        g_autofree char *arguments = NULL;

        if (!g_array_index(sampling->queues, QueueTotal, i).asked || device->has_queues)
            continue;
        arguments = qmp_arguments_path(device->path);
        sampling_ask(sampling, QMP_VIRTIO_STATUS, arguments, take_size, i);
    }
}

static void
take_queue(Sampling *sampling, JsonNode *result, guint index)
{
    QueueTotal *total = &g_array_index(sampling->queues, QueueTotal, index);
    QmpQueueStatus status;

    if (!result || !qmp_parse_queue_status(result, &status))
        return;
    total->answered++;
    total->inflight += status.inuse;
    total->used_idx += status.used_idx;
}

void
sample_ask_queues(Sampling *sampling)
{
    for (guint i = 0; sampling->queues && i < sampling->queues->len; i++) {
        const VirtioDevice *device = &g_array_index(sampling->vm->virtio, VirtioDevice, i);
        QueueTotal *total = &g_array_index(sampling->queues, QueueTotal, i);
        guint first = device_is(device, "virtio-scsi") ? SCSI_FIRST_REQUEST_QUEUE : 0;

        if (!total->asked || !device->has_queues)
            continue;
        total->asked = 0;
        total->is_partial = device->n_queues > QUEUES_MAX;
        for (guint queue = first; queue < MIN(device->n_queues, QUEUES_MAX); queue++) {
            g_autofree char *arguments = qmp_arguments_path_queue(device->path, queue);

            total->asked++;
            sampling_ask(sampling, QMP_VIRTIO_QUEUE_STATUS, arguments, take_queue, i);
        }
    }
}

void
sample_queues_apply(Sampling *sampling)
{
    const Vm *vm = sampling->vm;
    g_autofree guint *carried = NULL;

    if (!sampling->queues || !vm->virtio || sampling->sample.monitor != MONITOR_ANSWERED)
        return;
    carried = g_new0(guint, vm->virtio->len);
    for (guint i = 0; i < sampling->sample.n_disks; i++) {
        int device = find_device(vm, &sampling->sample.disks[i]);

        if (device >= 0)
            carried[device]++;
    }
    for (guint i = 0; i < sampling->sample.n_disks; i++) {
        DiskSample *disk = &sampling->sample.disks[i];
        int device = find_device(vm, disk);
        const QueueTotal *total;

        if (device < 0)
            continue;
        total = &g_array_index(sampling->queues, QueueTotal, device);
        if (total->answered == 0 || total->answered != total->asked)
            continue;
        if (total->is_partial && total->inflight == 0)
            continue; /* a request may be in a queue that was not asked */
        disk->has_queue = true;
        disk->queue_inflight = total->inflight;
        disk->queue_used_idx = total->used_idx;
        disk->queue_is_shared = carried[device] > 1;
    }
}

void
sample_queues_free(Sampling *sampling)
{
    g_clear_pointer(&sampling->queues, g_array_unref);
}
