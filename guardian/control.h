/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guardian's own monitor: a unix socket below run that speaks the QMP wire format. Everybody
 * who may open it may read (mode 0660, group vm-guardian where that group exists); commands that
 * change something are for root, or for the user the daemon itself runs as. */

#include "alerting.h"
#include "guardian.h"

#define CONTROL_SOCKET "vm-guardian/control.sock"

typedef struct Control Control;

/* Called for "reload"; false with error set: the old configuration stays. */
typedef bool (*ControlReloadFunc)(gpointer data, GError **error);

/* NULL with error set; BUSY when another guardian answers on that socket already. */
Control *control_new(Guardian *guardian, GMainContext *context, ControlReloadFunc reload,
                     gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Also removes the socket. */
void control_free(Control *control);
/* Borrowed; before the loop runs. */
void control_set_alerting(Control *control, Alerting *alerting);
/* Tells every client what is told of an alert: event ALERT. */
void control_send_alert(Control *control, const AlertingNews *news);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Control, control_free)
