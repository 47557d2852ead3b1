/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds VMs: every process that is QEMU by its executable (by its name where that may not be seen),
 * has a machine, and is inside the scope. Whose it is and on which monitor it is asked, the sources
 * say (discover-source.h). Command lines are read in workers: that read can block for ever, and a
 * VM whose command line cannot be read is nameless until it can. */

#include "config.h"
#include "vm.h"
#include "worker.h"

typedef struct Discovery Discovery;

/* A VM, given away; discovery_configure() is the owner's turn. It may be one that find() gives, of
 * which more is known now. false: it is not wanted, and not told of again. */
typedef bool (*DiscoverFoundFunc)(Vm *vm, gpointer data);
/* The known VM that is the living process with this number, NULL for none. Asked for each process
 * of the host in every scan: it must be quick. */
typedef const Vm *(*DiscoverFindFunc)(pid_t pid, gpointer data);

typedef struct {
    DiscoverFoundFunc found;
    DiscoverFindFunc find;
    gpointer data;
} DiscoverFuncs;

Discovery *discovery_new(const Host *host, Workers *workers, const DiscoverFuncs *funcs);
/* After its workers. */
void discovery_free(Discovery *discovery);
/* Looks through /proc once. What is found arrives through found() later. */
void discovery_scan(Discovery *discovery);
/* The configuration has changed: what was not wanted may be. */
void discovery_reconsider(Discovery *discovery);
/* The VM is not wanted, and not told of again while its process lives, or until reconsidered. */
void discovery_ignore(Discovery *discovery, const Vm *vm);
/* Command lines that are being read, or wait for a worker. */
guint discovery_pending(const Discovery *discovery);
/* Sets limits, monitor and its ownership of a VM from the configuration; also after a reload.
 * false: the VM is outside of the scope. */
bool discovery_configure(Vm *vm, const Config *config) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Discovery, discovery_free)
