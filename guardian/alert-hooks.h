/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* alert.d: every executable in it is run for every piece of news, as a child with a deadline. What
 * hangs, forks, floods or fails is ended with all that it started, told once, and holds up neither
 * the loop nor the others. The directory is looked through anew for each piece of news, in a child
 * as well: the host's own disk may be the dead one. */

#include "alerting.h"
#include <json-glib/json-glib.h>

#define ALERT_HOOKS_DIRECTORY "alert.d"
/* Running at once. */
#define ALERT_HOOKS_MAX 16
/* Waiting; with one executable that always hangs for 30 s the last is told 8 minutes later. What is
 * more is dropped and counted: it is in the journal. */
#define ALERT_HOOKS_QUEUE_MAX 256

typedef struct AlertHooks AlertHooks;

/* What an administrator should know: who failed, who is not run. Once for each executable until it
 * changes. */
typedef void (*AlertHooksTellFunc)(const char *line, gpointer data);

AlertHooks *alert_hooks_new(const Host *host, GMainContext *context, AlertHooksTellFunc tell,
                            gpointer data);
/* Kills what runs. */
void alert_hooks_free(AlertHooks *hooks);
void alert_hooks_set_deadline(AlertHooks *hooks, gint64 deadline_us);
/* The daemon is a service of systemd: what is run leaves its sandbox, where the system's bus is
 * there to ask for that. */
void alert_hooks_leave_sandbox(AlertHooks *hooks);
void alert_hooks_run(AlertHooks *hooks, const AlertingNews *news);

/* Runs all with a test message, and keeps their results until the next test. */
void alert_hooks_test(AlertHooks *hooks);
/* alert_results_json() of them so far. Transfer full. */
JsonNode *alert_hooks_test_results(const AlertHooks *hooks);

typedef struct {
    guint running, waiting;
    guint64 run, failed, dropped; /* since the start */
} AlertHooksCount;

AlertHooksCount alert_hooks_count(const AlertHooks *hooks);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AlertHooks, alert_hooks_free)
