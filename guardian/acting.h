/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's hand: after each sample, is there something to be done for this VM, may it be done,
 * and what became of it: raising the memory limits of a VM that is doomed, and making the kernel
 * choose its victims as [memory] asks for. In observe the plan is told once, and nothing is
 * written. */

#include "act.h"
#include "guardian.h"

typedef struct Acting Acting;

/* line: one sentence, printable, begins with the VM's name. is_bad: somebody should look. */
typedef void (*ActingSpeakFunc)(const char *line, bool is_bad, gpointer data);

/* What was to be done for this VM was tried and did not work out, or will not be tried any more:
 * why, printable. NULL: it is over, or never was; told again after a restart. kind: as in
 * ActRecord. */
typedef void (*ActingAlertFunc)(const Vm *vm, const char *kind, const char *problem, gpointer data);

/* Borrows host; loads the journal, and again every minute: the tool and others write to it, too. */
Acting *acting_new(const Host *host, GMainContext *context, ActingSpeakFunc speak, gpointer data);
void acting_set_alert_func(Acting *acting, ActingAlertFunc alert, gpointer data);
void acting_free(Acting *acting);
/* One newly sampled VM of vms (of Vm); host_limits: the host's settings. */
void acting_follow(Acting *acting, const Vm *vm, const GPtrArray *vms, const Limits *host_limits);
/* The configuration was reloaded: breakers close, and everything is told anew. */
void acting_reset(Acting *acting);
/* Of the writes, for other acts on the same VMs. */
Acts *acting_acts(Acting *acting);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Acting, acting_free)
