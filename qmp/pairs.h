/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A JSON object as names and values in turn, ended by NULL (g_strfreev), for code that knows no
 * JSON. Text that does not come from a monitor passes the same gate as what does. */

#include <glib.h>
#include <json-glib/json-glib.h>

/* Integers as decimals, strings as they are, true and false. What has no such text (null, a
 * fraction, a list, an object) stands for itself in JSON, so that no reader of a number takes it.
 */
char **pairs_from_object(JsonObject *object);
/* Of a monitor's whole answer or of a block device, as people paste them: what is in its `return`,
 * and in there in its `inserted`. NULL with QMP_ERROR_MALFORMED. */
char **pairs_from_json(const char *text, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
