/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "iotune.h"

#include "host.h"
#include "markup.h"

#include <string.h>

#define ROOT "iotune"

typedef struct {
    GPtrArray *pairs;
    GString *text; /* of the open child */
    guint depth;
    bool is_done; /* the root has ended */
} Reader;

static void
set_malformed(GError **error, const char *wrong)
{
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, "<" ROOT "> %s", wrong);
}

static void
on_start(GMarkupParseContext *context, const char *element, const char **names, const char **values,
         gpointer data, GError **error)
{
    Reader *reader = data;

    if (reader->is_done) {
        set_malformed(error, "is followed by another element");
    } else if (reader->depth == 0 && strcmp(element, ROOT) != 0) {
        set_malformed(error, "is not the outermost element");
    } else if (reader->depth > 1) {
        set_malformed(error, "holds an element in an element");
    } else if (*names != NULL) {
        set_malformed(error, "holds an attribute");
    } else {
        if (reader->depth == 1)
            g_ptr_array_add(reader->pairs, g_strdup(element));
        g_string_truncate(reader->text, 0);
        reader->depth++;
    }
}

static void
on_end(GMarkupParseContext *context, const char *element, gpointer data, GError **error)
{
    Reader *reader = data;

    if (--reader->depth == 1)
        g_ptr_array_add(reader->pairs, g_strdup(g_strstrip(reader->text->str)));
    reader->is_done = reader->depth == 0;
    g_string_truncate(reader->text, 0);
}

static void
on_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error)
{
    Reader *reader = data;

    for (gsize i = 0; reader->depth < 2 && i < length; i++) {
        if (!g_ascii_isspace(text[i])) {
            set_malformed(error, "has text between its elements");
            return;
        }
    }
    g_string_append_len(reader->text, text, (gssize)length);
}

char **
iotune_parse(const char *text, gsize length, GError **error)
{
    static const GMarkupParser parser = {
        .start_element = on_start, .end_element = on_end, .text = on_text};
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) content = g_string_new(NULL);
    Reader reader = {.pairs = pairs, .text = content};

    if (!markup_read(&parser, &reader, text, length, error))
        return NULL;
    g_ptr_array_add(pairs, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&pairs), FALSE);
}

char *
iotune_print(const char *const *pairs)
{
    GString *text = g_string_new("<" ROOT ">\n");

    for (; *pairs != NULL; pairs += 2) {
        g_autofree char *line =
            g_markup_printf_escaped("  <%s>%s</%s>\n", pairs[0], pairs[1], pairs[0]);

        g_string_append(text, line);
    }
    return g_string_free(g_string_append(text, "</" ROOT ">\n"), FALSE);
}
