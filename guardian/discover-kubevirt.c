/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* KubeVirt and Harvester: QEMU runs in the compute container of a pod, beside the virt-launcher
 * that started it, whose command line says which VirtualMachineInstance it is:
 *
 *   virt-launcher-monitor --name <name> --uid <uid> --namespace <namespace> ...
 *
 * (pkg/virt-controller/services/template.go; virt-launcher is given the same words.) Where that
 * cannot be read, libvirt's name of the domain does, <namespace>_<name>: a namespace has no "_".
 * A QEMU in a pod without virt-launcher (Kata Containers) is not KubeVirt's. The monitor is
 * virtqemud's; nothing is asked on it here. */

#include "discover-source.h"

#include "kubevirt.h"
#include "roles.h"
#include "units.h"

#include <string.h>

typedef struct {
    const Host *host;
} Kubevirt;

static gpointer
kubevirt_begin(const Host *host)
{
    Kubevirt *kubevirt = g_new0(Kubevirt, 1);

    kubevirt->host = host;
    return kubevirt;
}

static pid_t
find_launcher(const Kubevirt *kubevirt, const Vm *vm)
{
    const GroupPlace *place = vm->cgroup ? cgroup_group_place(vm->cgroup) : NULL;
    g_autofree char *container = NULL;
    pid_t pid;

    if (!place || place->container_length == 0)
        return 0;
    container = g_strndup(cgroup_path(vm->cgroup)->path, place->container_length);
    pid = roles_find(kubevirt->host, vm->cgroup, container, ROLE_VIRT_LAUNCHER_MONITOR);
    return pid ? pid : roles_find(kubevirt->host, vm->cgroup, container, ROLE_VIRT_LAUNCHER);
}

static bool
kubevirt_claim(gpointer state, const Vm *vm)
{
    return find_launcher(state, vm) != 0;
}

static Proc *
kubevirt_witness(gpointer state, const Vm *vm)
{
    const Kubevirt *kubevirt = state;
    pid_t pid = find_launcher(kubevirt, vm);

    return pid ? proc_open(kubevirt->host, pid, NULL) : NULL;
}

static void
kubevirt_name_vm(gpointer state, Vm *vm, const char *const *witness)
{
    KubevirtName name = {0};
    g_autofree char *full = NULL;

    if (!kubevirt_parse_launcher(witness, &name) && !kubevirt_parse_domain(vm->argv->name, &name))
        return;
    full = g_strdup_printf("%s/%s", name.space, name.name);
    vm_rename(vm, full);
    vm->space = g_strdup(name.space);
    if (name.uid) {
        g_free(vm->id);
        vm->id = units_printable(name.uid, -1);
    }
    kubevirt_name_clear(&name);
}

const Source source_kubevirt = {.name = "kubevirt",
                                .begin = kubevirt_begin,
                                .end = g_free,
                                .claim = kubevirt_claim,
                                .witness = kubevirt_witness,
                                .name_vm = kubevirt_name_vm};
