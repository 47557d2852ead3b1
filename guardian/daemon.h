/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The life of vm-guardiand: who is told what the guardian finds (journal, alerts, acts, metrics,
 * service manager), from its start to SIGTERM. It decides nothing. */

#include "guardian.h"

/* Until SIGTERM or SIGINT; SIGHUP reloads the configuration. context is the guardian's, and not
 * GLib's default one: that is libvirt's (libvirt-watch.h). False when it could not begin, as beside
 * a daemon that runs. */
bool daemon_run(const Host *host, GMainContext *context, Guardian *guardian,
                GError **error) G_GNUC_WARN_UNUSED_RESULT;
