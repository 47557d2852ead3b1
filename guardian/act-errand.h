/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's plans for single VMs, one of a kind at a time: what is told of them, once, what was
 * tried and did not work out, and when it is worth looking again. */

#include "acting.h"

typedef struct Errands Errands;

/* How a kind of plan is told. */
typedef struct {
    const char *kind;   /* as in ActRecord */
    const char *done;   /* "memory limits raised" */
    const char *failed; /* "memory limits not raised" */
    const char *held;   /* it has no leave: "memory limits are too small, and not raised" */
    bool is_urgent;     /* also what only has to wait is worth a look */
} ErrandWords;

/* Borrows all. */
Errands *errands_new(const Host *host, Acts *acts, ActingSpeakFunc speak, gpointer data);
void errands_set_alert_func(Errands *errands, ActingAlertFunc alert, gpointer data);
/* After the acts. */
void errands_free(Errands *errands);
/* Everything is told anew. */
void errands_reset(Errands *errands);

/* Is it time to look whether this kind of plan is to be made for the VM? Asked with every sample;
 * then not again for retry_us, and never while a plan for the VM is under way. */
bool errands_is_due(Errands *errands, const Vm *vm, const char *kind, gint64 retry_us);
/* A line of that VM and kind, unless it was the last one; vm NULL: of the journal. */
void errands_tell(Errands *errands, const Vm *vm, const char *kind, const char *line, bool is_bad);
/* What is alerted, each change once; problem NULL: nothing, any more. */
void errands_settle(Errands *errands, const Vm *vm, const char *kind, const char *problem);
/* Carries out the plan (taken; at least one step) and tells what became of it; vms: of Vm. words
 * stay. */
void errands_begin(Errands *errands, const Vm *vm, const GPtrArray *vms, const ErrandWords *words,
                   const ActTerms *terms, GPtrArray *steps);
/* What the plan would do, told where nothing is written. */
void errands_observe(Errands *errands, const Vm *vm, const char *kind, const GPtrArray *steps);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Errands, errands_free)
