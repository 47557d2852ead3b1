/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "discover-source.h"

/* libvirt's mark is on the command line; what libvirt itself says of the VM, libvirt.h finds out.
 */
static bool
libvirt_claim(gpointer state, const Vm *vm)
{
    return vm->argv->is_libvirt;
}

static const Source source_libvirt = {.name = "libvirt", .claim = libvirt_claim};
static const Source source_bare = {.name = "bare"};

const Source *const sources[] = {&source_proxmox, &source_kubevirt, &source_libvirt, &source_bare};
const guint n_sources = G_N_ELEMENTS(sources);

void
source_choose_argv_monitor(Vm *vm)
{
    guint n = vm->argv->monitors->len;

    if (n == 0)
        return;
    vm->monitor_path = g_strdup(((const ArgvMonitor *)vm->argv->monitors->pdata[n - 1])->path);
    vm->monitor_root = HOST_PROC;
    vm->monitor_is_ours = n > 1 || vm->limits.monitor_own;
}

const Source *
source_of(const Vm *vm)
{
    for (guint i = 0; i < n_sources; i++)
        if (g_str_equal(sources[i]->name, vm->source))
            return sources[i];
    return &source_bare;
}
