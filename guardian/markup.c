/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "markup.h"

#include "host.h"

bool
markup_read(const GMarkupParser *parser, gpointer data, const char *text, gsize length,
            GError **error)
{
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(parser, G_MARKUP_TREAT_CDATA_AS_TEXT, data, NULL);
    g_autoptr(GError) wrong = NULL;

    if (g_markup_parse_context_parse(context, text, (gssize)length, &wrong) &&
        g_markup_parse_context_end_parse(context, &wrong))
        return true;
    g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, wrong->message);
    return false;
}
