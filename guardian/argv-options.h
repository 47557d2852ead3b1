/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One option's value as a flat table of text: "a=b,c.d=e" and {"a":"b","c":{"d":"e"}} are the same.
 * Elements of an array are named by their number ("server.0.host"), booleans are "on" and "off". */

#include <glib.h>
#include <stdbool.h>

typedef GHashTable Options; /* char * -> char *; g_hash_table_unref */

/* implied: the key of a first element without "=" (or NULL). Never NULL: what does not parse is
 * empty. */
Options *options_parse(const char *text, const char *implied);
/* Borrowed; NULL when absent. The formatted key may be longer than any option has. */
const char *options_get(Options *options, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool options_is_on(Options *options, const char *key);
/* A plain decimal number; 0 when absent or something else. */
guint64 options_get_u64(Options *options, const char *format, ...) G_GNUC_PRINTF(2, 3);
