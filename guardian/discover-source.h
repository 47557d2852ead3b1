/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whose VM is it? Each source is a row of one table; the first row that claims a process has it,
 * and the last one, bare, claims every process. A row looks at what its host software left behind
 * (pid files, cgroups, command lines) and blocks on nothing. What a source says of a VM later, by
 * calls that take time, is no matter of discovery. */

#include "vm.h"

typedef struct {
    const char *name; /* Vm.source: "proxmox", "bare", ... */
    /* All may be NULL. state is what begin() gave, NULL without it. */
    gpointer (*begin)(const Host *host);
    void (*end)(gpointer state);
    void (*look)(gpointer state); /* once a scan, before any claim */
    /* Is that process this source's? vm->is_nameless: its command line could not be read, argv is
     * empty. Asked again in every scan of VMs that a later row has. NULL: yes. */
    bool (*claim)(gpointer state, const Vm *vm);
    /* Another process on whose command line stands what its host calls the VM; it is read in a
     * worker. The caller frees it; NULL: none. */
    Proc *(*witness)(gpointer state, const Vm *vm);
    /* Puts down how its host calls a VM that was claimed: id, name. witness: the words of that
     * command line, NULL when there is none or it cannot be read. */
    void (*name_vm)(gpointer state, Vm *vm, const char *const *witness);
    /* Sets monitor_path, monitor_root and monitor_is_ours, which are empty; also after a reload.
     * NULL: source_choose_argv_monitor(). */
    void (*choose_monitor)(Vm *vm);
} Source;

extern const Source source_proxmox, source_kubevirt;

/* By precedence; ends with bare. */
extern const Source *const sources[];
extern const guint n_sources;

/* With two monitors on the command line the last one is ours: the first is the one that everybody
 * finds first. */
void source_choose_argv_monitor(Vm *vm);
/* Of vm->source; never NULL. */
const Source *source_of(const Vm *vm);
