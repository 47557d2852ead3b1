/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libvirt's <iotune> element and its children as names and values in turn, ended by NULL
 * (g_strfreev). Knows no name of a child. */

#include <glib.h>

/* The element alone, with blanks and comments around it. NULL with GUARDIAN_ERROR_MALFORMED. */
char **iotune_parse(const char *text, gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One child a line, with a newline at the end; a new string. */
char *iotune_print(const char *const *pairs);
