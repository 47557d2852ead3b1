/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lifts memory.high of a group that stands still (bands.h), where policy/lift.h allows: what the
 * hog's unit does when the kernel kills in it is asked of systemd, by a child. In observe the plan
 * is told, once, and nothing is written; what becomes of it stands in the band's text, too. */

#include "act.h"
#include "acting.h"
#include "bands.h"

#define ACT_KIND_HIGH "memory_high"

typedef struct Lifting Lifting;

/* Borrows all. vms: of Vm. */
Lifting *lifting_new(const Host *host, GMainContext *context, Acts *acts, Bands *bands,
                     const GPtrArray *vms, ActingSpeakFunc speak, gpointer data);
/* Lifting memory.high of the band's group was allowed and has failed, or is not tried any more:
 * why, printable; NULL: it was lifted. */
typedef void (*LiftingAlertFunc)(const char *label, const char *problem, gpointer data);
void lifting_set_alert_func(Lifting *lifting, LiftingAlertFunc alert, gpointer data);
/* Before its acts. */
void lifting_free(Lifting *lifting);
/* Such a group, with every reading; limits: the host's. */
void lifting_follow(Lifting *lifting, const Band *band, const Limits *limits);
/* The configuration was reloaded: everything is told anew. */
void lifting_reset(Lifting *lifting);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lifting, lifting_free)
