/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

#include "capture.h"
#include "drift-look.h"
#include "libvirt-domain.h"
#include "limits-request.h"
#include "memory-watch.h"
#include "neighbour.h"
#include "network.h"
#include "pve-look.h"
#include "storage.h"
#include "unit-look.h"
#include "unit-policy.h"
#include "units.h"

#include <string.h>

static void
virtio_device_clear(gpointer data)
{
    VirtioDevice *device = data;

    g_free(device->path);
    g_free(device->name);
}

GArray *
vm_virtio_array_new(void)
{
    GArray *array = g_array_new(FALSE, TRUE, sizeof(VirtioDevice));

    g_array_set_clear_func(array, virtio_device_clear);
    return array;
}

/* NULL stays NULL. */
static char *
printable(const char *raw)
{
    return raw ? units_printable(raw, -1) : NULL;
}

Vm *
vm_new(Proc *proc, Argv *argv, const char *source)
{
    Vm *vm = g_new0(Vm, 1);
    char pid[32];

    g_snprintf(pid, sizeof pid, "pid-%d", (int)proc_pid(proc));
    vm->proc = proc;
    vm->argv = argv;
    vm->source = source;
    vm->raw_name = g_strdup(argv->name ? argv->name : argv->id ? argv->id : pid);
    vm->name = *vm->raw_name ? printable(vm->raw_name) : g_strdup(pid);
    vm->id = printable(argv->id);
    vm->uuid = printable(argv->uuid);
    vm->throttles = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    vm->storages = storage_table_new();
    vm->recorder = recorder_new(vm->raw_name);
    vm->canaries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    vm->motions = neighbours_table_new();
    vm->memory_watch = memory_watch_new();
    vm->pve = pve_look_new();
    vm->drift = drift_look_new();
    vm->units = unit_look_new();
    vm->unit_policy = unit_policy_new();
    track_init(&vm->track);
    return vm;
}

void
vm_rename(Vm *vm, const char *raw_name)
{
    g_assert(!vm->has_sample && *raw_name);
    g_free(vm->raw_name);
    g_free(vm->name);
    vm->raw_name = g_strdup(raw_name);
    vm->name = printable(raw_name);
    recorder_free(vm->recorder);
    vm->recorder = recorder_new(raw_name);
}

void
vm_free(Vm *vm)
{
    if (!vm)
        return;
    libvirt_domain_free(vm->domain);
    storage_forget(vm);
    network_forget(vm);
    network_free(vm->network);
    capture_forget_vm(vm);
    memory_watch_free(vm->memory_watch);
    limits_request_forget(vm);
    pve_look_forget(vm);
    pve_look_free(vm->pve);
    drift_look_forget(vm);
    drift_look_free(vm->drift);
    unit_look_forget(vm);
    unit_look_free(vm->units);
    unit_policy_forget(vm);
    unit_policy_free(vm->unit_policy);
    qmp_client_free(vm->client);
    recorder_free(vm->recorder);
    track_clear(&vm->track);
    sample_clear(&vm->sample);
    limits_clear(&vm->limits);
    g_hash_table_unref(vm->throttles);
    g_hash_table_unref(vm->storages);
    g_hash_table_unref(vm->canaries);
    g_hash_table_unref(vm->motions);
    g_clear_pointer(&vm->virtio, g_array_unref);
    cgroup_free(vm->cgroup);
    argv_free(vm->argv);
    proc_free(vm->proc);
    g_free(vm->raw_name);
    g_free(vm->name);
    g_free(vm->id);
    g_free(vm->uuid);
    g_free(vm->space);
    g_free(vm->tags);
    g_clear_pointer(&vm->owner, g_ptr_array_unref);
    g_free(vm->monitor_path);
    g_free(vm->client_error);
    g_free(vm->passthrough_problem);
    g_free(vm->qemu_version);
    g_free(vm->bundle);
    g_free(vm->limit_path);
    g_free(vm->kill_path);
    g_clear_pointer(&vm->group_limits, g_array_unref);
    g_clear_pointer(&vm->kill_order, g_array_unref);
    g_free(vm->group_path);
    g_free(vm->reconcile_problem);
    g_free(vm);
}

bool
vm_open_cgroup(Vm *vm, const Host *host)
{
    Cgroup *cgroup = cgroup_open(host, vm->proc, NULL);

    if (!cgroup)
        return false;
    cgroup_free(vm->cgroup);
    vm->cgroup = cgroup;
    g_free(vm->group_path);
    vm->group_path = units_printable_path(cgroup_path(cgroup)->path);
    return true;
}

bool
vm_matches(const Vm *vm, const char *word)
{
    char pid[32];

    g_snprintf(pid, sizeof pid, "%d", (int)proc_pid(vm->proc));
    return strcmp(word, vm->raw_name) == 0 || strcmp(word, vm->name) == 0 ||
           g_strcmp0(word, vm->id) == 0 || (vm->uuid && g_ascii_strcasecmp(word, vm->uuid) == 0) ||
           strcmp(word, pid) == 0;
}

const ArgvDisk *
vm_argv_disk(const Vm *vm, const char *word)
{
    for (guint i = 0; word && i < vm->argv->disks->len; i++) {
        const ArgvDisk *disk = vm->argv->disks->pdata[i];

        if (g_strcmp0(disk->id, word) == 0 || g_strcmp0(disk->drive, word) == 0)
            return disk;
    }
    return NULL;
}

const ArgvDisk *
vm_limited_disk(const Vm *vm, const char *name)
{
    g_autofree char *drive = g_strconcat("drive-", name, NULL);
    const ArgvDisk *disk = vm_argv_disk(vm, name);

    return disk ? disk : vm_argv_disk(vm, drive);
}
