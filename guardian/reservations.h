/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was measured of each VM's memory (policy/reservation.h), kept over a restart of the daemon
 * in vm-guardian/reservations.json of HOST_RUN: by uuid, id or name, so that a VM that is started
 * anew goes on with it; and over the host's boot in vm-guardian/learned of HOST_VAR. */

#include "child.h"
#include "vm.h"

typedef struct Reservations Reservations;

/* A daemon that is killed forgets so much of it: the peaks of ten minutes each, mostly none. */
#define RESERVATIONS_SAVE_US (300 * (gint64)G_USEC_PER_SEC)

/* Borrows host; reads what was saved. What is not of that shape is passed over. */
Reservations *reservations_new(const Host *host);
void reservations_free(Reservations *reservations);
/* A VM at any time after its first sample: gets back what is kept of it, once, and later gives what
 * was learned. */
void reservations_follow(Reservations *reservations, const Vm *vm);
/* By whom it is written to the disk, too, when it is due; borrowed, NULL nobody any more. */
void reservations_set_children(Reservations *reservations, Children *children);
/* At the end of the daemon: over its restart and the host's boot. A dead disk holds it for
 * seconds. */
void reservations_save_last(Reservations *reservations);
/* Saves where that is due. */
void reservations_save_due(Reservations *reservations);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reservations, reservations_free)
