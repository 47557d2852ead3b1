/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One whole text of XML by GLib's reader, for libvirt's small documents. */

#include <glib.h>
#include <stdbool.h>

/* CDATA is text; data is the parser's. The error is MALFORMED, and its message not printable: it
 * quotes what GLib stumbled over. */
bool markup_read(const GMarkupParser *parser, gpointer data, const char *text, gsize length,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
