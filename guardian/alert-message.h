/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* News as the executables of alert.d get it: one JSON object on stdin, and its most wanted parts as
 * environment variables for shells. The environment is this and nothing of the daemon's own. */

#include "alerting.h"

typedef struct {
    gatomicrefcount references;
    char *json;
    gsize length;
    char **environment;
} AlertMessage;

/* `step` of a message that `guardianctl alert test` sends. */
#define ALERT_STEP_TEST "test"

AlertMessage *alert_message_new(const AlertingNews *news, gint64 realtime_us);
AlertMessage *alert_message_ref(AlertMessage *message);
void alert_message_unref(AlertMessage *message);
/* The words that run the executable: itself, or systemd-run where it is to leave the daemon's
 * sandbox. g_strfreev. */
char **alert_message_argv(const AlertMessage *message, const char *path, bool leaves_sandbox,
                          gint64 deadline_us);
/* A file in memory at its start, close-on-exec; -1 with errno set. */
int alert_message_open(const AlertMessage *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AlertMessage, alert_message_unref)
