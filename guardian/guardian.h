/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The loop: discover -> sample -> judge -> act -> report. One Guardian watches the VMs of one host
 * on one main context; the daemon runs it for ever, the tool for two samples. */

#include "act-journal.h"
#include "capture.h"
#include "config.h"
#include "hook.h"
#include "host-watch.h"
#include "judge.h"
#include "reconciler.h"

typedef struct Guardian Guardian;
typedef struct Libvirt Libvirt;

/* Borrows host, takes config. */
Guardian *guardian_new(const Host *host, GMainContext *context, Config *config);
void guardian_free(Guardian *guardian);
void guardian_set_change_func(Guardian *guardian, GuardianChangeFunc func, gpointer data);
/* The forecast of a VM's memory has changed its level or its reason: vm->memory_watch->pressure. */
typedef void (*GuardianMemoryFunc)(const Vm *vm, gpointer data);
void guardian_set_memory_func(Guardian *guardian, GuardianMemoryFunc func, gpointer data);
/* The daemon alone: brings limits of disks to what the policy wants, where that is enforced. Before
 * guardian_start(). */
void guardian_reconcile(Guardian *guardian, ReconcilerTellFunc tell, gpointer data);
/* After each complete sample of a VM that still runs, when everything of it is judged. */
typedef void (*GuardianSampledFunc)(const Vm *vm, gpointer data);
void guardian_set_sampled_func(Guardian *guardian, GuardianSampledFunc func, gpointer data);
/* Look into every queue at every sample, as for a check in the middle of an incident. */
void guardian_want_all_evidence(Guardian *guardian);

/* Watches only the VM called so (name, id, uuid or pid), at the period of a suspect. */
void guardian_set_only(Guardian *guardian, const char *word);

/* Starts the loop on the context. */
void guardian_start(Guardian *guardian);
/* Without the loop: looks for VMs, and returns how many are watched. */
guint guardian_look_for_vms(Guardian *guardian);
/* Two samples far enough apart that a VM that writes once a second is seen to move. */
#define GUARDIAN_LOOK_APART_US (2 * G_USEC_PER_SEC)
/* Without the loop: discovers, takes two samples of every VM `apart_us` apart, and returns. */
void guardian_look_twice(Guardian *guardian, gint64 apart_us);
/* After it: waits until the pages of the VMs that word names are counted, at most so long. */
void guardian_await_count(Guardian *guardian, const char *word, gint64 at_most_us);
/* After either: does each VM still hold the block devices that its paths lead to? */
void guardian_look_at_devices(Guardian *guardian);
/* A hook said so at at_us (monotonic): looks at once, and expects silence where it was announced.
 * What waited too long for us only makes us look. */
void guardian_hear_hook(Guardian *guardian, const HookEvent *event, gint64 at_us);
/* Takes the configuration over for all VMs; those that it excludes are not watched any more. */
void guardian_reconfigure(Guardian *guardian, Config *config);

const GPtrArray *guardian_vms(const Guardian *guardian); /* of Vm, borrowed */
/* Of the host. */
const Limits *guardian_limits(const Guardian *guardian);
const Host *guardian_host(const Guardian *guardian);
const Config *guardian_config(const Guardian *guardian);
/* The host's memory, and groups that memory.high slows down. */
HostWatch *guardian_host_watch(const Guardian *guardian);
guint guardian_stuck_workers(const Guardian *guardian);
Captures *guardian_captures(const Guardian *guardian);
Libvirt *guardian_libvirt(const Guardian *guardian);
/* The daemon's: what was written to VMs, for reports; borrowed, NULL none. */
void guardian_set_acts(Guardian *guardian, const ActJournal *acts);
const ActJournal *guardian_acts(const Guardian *guardian);
/* Monotonic time of the newest tick; 0 before the first. */
gint64 guardian_ticked_us(const Guardian *guardian);
/* Monotonic time of the next one; -1 without the loop. */
gint64 guardian_due_us(const Guardian *guardian);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guardian, guardian_free)
