/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Brings the limits of the configuration and of QEMU to what the policy wants, where that is
 * enforced: one disk at a time, through the engine of acts, and never when nothing differs. In
 * observe it only tells what it would do. A configuration of Proxmox that differs is written by
 * `qm set`, which brings QEMU along. */

#include "act.h"
#include "drift-look.h"
#include "reconcile.h"

typedef struct Reconciler Reconciler;

/* One line for the journal: what was written, before and after, or why it went wrong; printable.
 * is_alert: somebody should look. */
typedef void (*ReconcilerTellFunc)(const Vm *vm, const char *line, bool is_alert, gpointer data);

/* Borrows host and vms (of Vm). */
Reconciler *reconciler_new(const Host *host, GMainContext *context, const GPtrArray *vms);
void reconciler_free(Reconciler *reconciler);
/* Before its end, while the VMs are there: what waits for them ends. NULL: nothing does. */
void reconciler_forget(Reconciler *reconciler);
void reconciler_set_tell_func(Reconciler *reconciler, ReconcilerTellFunc func, gpointer data);
/* After every sample that was judged. */
void reconciler_consider(Reconciler *reconciler, Vm *vm);
/* Is an act on that VM under way? */
bool reconciler_is_busy(const Reconciler *reconciler, const Vm *vm);
/* Somebody has looked, and reloaded the configuration. */
void reconciler_reset(Reconciler *reconciler);

/* What is to be done about that disk now. vms: all of the host, for suspects on the same storage.
 */
ReconcilePlan reconciler_plan(const Vm *vm, const GPtrArray *vms, const DriftDisk *disk);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reconciler, reconciler_free)
