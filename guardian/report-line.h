/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line of a report that is told in pieces: broken at blanks when it grows too long, with its
 * head before the first row. */

#include <glib.h>

typedef struct {
    GString *text;
    const char *separator; /* between two pieces */
} Line;

/* line_end() frees it. */
Line line_begin(const char *separator);
void line_say(Line *line, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Appends it to text; nothing said, nothing written. */
void line_end(Line *line, GString *text, const char *head);
