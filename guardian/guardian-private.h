/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the loop (guardian.c), the set of its VMs (guardian-vms.c) and the look without a loop
 * (guardian-once.c) share; for nobody else. */

#include "discover.h"
#include "guardian.h"
#include "habits.h"
#include "incoming.h"
#include "libvirt.h"
#include "worker.h"

struct Guardian {
    const Host *host;
    GMainContext *context;
    Config *config;
    Limits limits; /* of the host */
    Workers *workers;
    Children *children;
    Captures *captures;
    Reconciler *reconciler;
    Discovery *discovery;
    Libvirt *libvirt;
    GPtrArray *vms; /* of Vm, owned */
    char *only;     /* NULL: all */
    GSource *tick;
    bool is_looping, wants_all_evidence;
    guint samples_open;
    HostWatch *host_watch;
    gint64 next_discovery_us, discovered_us, ticked_us;
    Incoming *incoming;
    Habits *habits;
    const ActJournal *acts; /* borrowed; NULL */
    GuardianChangeFunc changed;
    GuardianMemoryFunc memory_changed;
    gpointer memory_data;
    GuardianSampledFunc sampled;
    gpointer sampled_data;
    gpointer changed_data;
};

/* Begins a sample of the VM; may end at once, and may remove the VM. */
void guardian_sample(Guardian *guardian, Vm *vm, gint64 now);
/* Reads its memory and nothing else. */
void guardian_read_memory(Guardian *guardian, Vm *vm, gint64 now);
/* Nothing is forecast of this VM any more. */
void guardian_end_forecast(Guardian *guardian, Vm *vm);

/* What discovery calls: a VM (owned) was found; which VM is this living process? */
bool guardian_found(Vm *vm, gpointer data);
const Vm *guardian_find(pid_t pid, gpointer data);
/* Its owner has said something new. The VM may be gone afterwards, until the next reload. */
void guardian_hear_owner(Guardian *guardian, guint index);
