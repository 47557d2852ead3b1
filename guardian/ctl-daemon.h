/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Questions to the daemon, each over a connection of its own. */

#include "host.h"

#include <json-glib/json-glib.h>

/* The daemon's control socket; *ret_fd is -1 where nobody listens. false with error set: it may not
 * be asked, or is too busy, which is no missing one. */
bool ctl_connect(const Host *host, int *ret_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sends one command, a line of JSON, over a fresh connection; the object it returns, all its texts
 * printable. NULL with error set: no such answer, or the daemon's own words why not. Takes fd. */
JsonNode *ctl_ask(int fd, const char *command, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Both: how far is what was begun? No daemon is an error here. */
JsonNode *ctl_ask_again(const Host *host, const char *command,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does the answer say that it is the last one? */
bool ctl_is_complete(JsonNode *answer);

/* A command's line: between begin and end its arguments are added. text need not be UTF-8. The new
 * string of end frees the builder. */
JsonBuilder *ctl_command_begin(const char *command) G_GNUC_WARN_UNUSED_RESULT;
void ctl_command_text(JsonBuilder *builder, const char *name, const char *text);
char *ctl_command_end(JsonBuilder *builder) G_GNUC_WARN_UNUSED_RESULT;
