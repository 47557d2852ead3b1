/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds VMs: every process that is QEMU by its name or executable and inside the scope. One that
 * Proxmox lists in /run/qemu-server is Proxmox' and is asked on Proxmox' monitor; any other is bare
 * and is asked on a monitor out of its command line. Command lines are read in workers: that read
 * can block for ever. */

#include "config.h"
#include "vm.h"
#include "worker.h"

typedef struct Discovery Discovery;

/* A new VM, given away; limits and monitor are set, cgroup is open. */
typedef void (*DiscoverFoundFunc)(Vm *vm, gpointer data);
/* Is this process (pid and start time) a known VM already? */
typedef bool (*DiscoverKnownFunc)(pid_t pid, guint64 start_ticks, const char *proxmox_id,
                                  gpointer data);

typedef struct {
    DiscoverFoundFunc found;
    DiscoverKnownFunc is_known;
    gpointer data;
} DiscoverFuncs;

Discovery *discovery_new(const Host *host, Workers *workers, const DiscoverFuncs *funcs);
void discovery_free(Discovery *discovery);
/* Looks through /proc once. What is found arrives through found(), now or later. */
void discovery_scan(Discovery *discovery, const Config *config);
/* Command lines that are still being read. */
guint discovery_pending(const Discovery *discovery);
/* Sets limits, monitor and its ownership of a VM from the configuration; also after a reload. */
void discovery_configure(Vm *vm, const Config *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Discovery, discovery_free)
