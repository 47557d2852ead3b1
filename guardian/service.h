/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the service manager is told by sd_notify(3): that we are ready, that a reload goes on, one
 * line of status that is kept current, and, while the ticks are on time, that we are alive. A loop
 * that hangs, or runs without ticking, is not: the manager's watchdog then ends and restarts it.
 * Where no manager listens nothing is said. */

#include "guardian.h"

typedef struct Service Service;

/* Borrows guardian. */
Service *service_new(const Guardian *guardian, GMainContext *context);
void service_free(Service *service);
/* The loop is about to run. */
void service_ready(Service *service);
/* Around a reload; has_failed is shown in the status until one succeeds. */
void service_reloading(Service *service);
void service_reloaded(Service *service, bool has_failed);
/* The loop has ended. */
void service_stopping(Service *service);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Service, service_free)
