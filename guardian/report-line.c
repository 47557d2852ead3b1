/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-line.h"

/* What fits into a terminal of today and into a mail. */
#define LINE_COLUMNS 100
/* "unwatched", and what else explain has a word for. */
#define LINE_HEAD 9

void
line_say(Line *line, const char *format, ...)
{
    va_list arguments;

    if (line->text->len > 0)
        g_string_append(line->text, line->separator);
    va_start(arguments, format);
    g_string_append_vprintf(line->text, format, arguments);
    va_end(arguments);
}

/* Writes the line, broken at blanks, and frees it. Nothing said, nothing written. */
void
line_end(Line *line, GString *text, const char *head)
{
    g_auto(GStrv) words = g_strsplit(line->text->str, " ", -1);
    glong column = 0;

    for (guint i = 0; line->text->len > 0 && words[i]; i++) {
        glong length = g_utf8_strlen(words[i], -1);

        if (column == 0 || column + 1 + length > LINE_COLUMNS) {
            g_string_append_printf(text, "%s%-*s", column > 0 ? "\n" : "", LINE_HEAD,
                                   column > 0 ? "" : head);
            column = LINE_HEAD;
        } else {
            g_string_append_c(text, ' ');
            column++;
        }
        g_string_append(text, words[i]);
        column += length;
    }
    if (column > 0)
        g_string_append_c(text, '\n');
    g_string_free(line->text, TRUE);
}

Line
line_begin(const char *separator)
{
    return (Line){.text = g_string_new(NULL), .separator = separator};
}
