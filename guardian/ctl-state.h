/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where the reading verbs get the state from: the daemon when it answers, else two samples of our
 * own. */

#include "ctl.h"

/* {"schema": 1, "vms": [...]}; NULL with error set when neither way works. */
JsonNode *ctl_state(const CtlOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What the daemon says; NULL where none answers. */
JsonNode *ctl_daemon_state(const Host *host);
/* The VM of the state that is called so, borrowed; NULL with error set: none, or more than one. */
JsonObject *ctl_state_find_vm(JsonObject *state, const char *word, GError **error);
