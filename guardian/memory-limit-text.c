/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-limit-text.h"

#include "host.h"
#include "markup.h"
#include "units.h"

#include <string.h>

#define ROOT "memtune"
#define LIMIT "hard_limit"

typedef struct {
    GString *text;      /* of the open <hard_limit> */
    char *value, *unit; /* of the first one, which is what counts; NULL */
    guint depth;
    bool is_open; /* the first one */
} Reader;

static void
set_malformed(GError **error, const char *wrong)
{
    g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, wrong);
}

static void
on_start(GMarkupParseContext *context, const char *element, const char **names, const char **values,
         gpointer data, GError **error)
{
    Reader *reader = data;
    bool is_limit = strcmp(element, LIMIT) == 0;

    reader->depth++;
    if (reader->is_open) {
        set_malformed(error, "<" LIMIT "> holds an element");
    } else if (reader->depth == 1 && !is_limit && strcmp(element, ROOT) != 0) {
        set_malformed(error, "<" ROOT "> or <" LIMIT "> is not the outermost element");
    } else if (is_limit && reader->depth <= 2 && !reader->value) {
        reader->is_open = true;
        for (guint i = 0; names[i]; i++)
            if (strcmp(names[i], "unit") == 0 && !reader->unit)
                reader->unit = g_strdup(values[i]);
    }
}

static void
on_end(GMarkupParseContext *context, const char *element, gpointer data, GError **error)
{
    Reader *reader = data;

    reader->depth--;
    if (reader->is_open)
        reader->value = g_strdup(g_strstrip(reader->text->str));
    reader->is_open = false;
}

static void
on_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error)
{
    Reader *reader = data;

    if (reader->is_open)
        g_string_append_len(reader->text, text, (gssize)length);
}

static MemoryLimit *
value_parse(MemoryLimitForm form, const char *value, const char *unit, guint64 total_bytes,
            GError **error)
{
    g_autofree char *wrong = NULL;
    MemoryLimit *limit = memory_limit_parse(form, value, unit, total_bytes, &wrong);

    if (!limit)
        set_malformed(error, wrong);
    return limit;
}

static MemoryLimit *
xml_parse(const char *text, gsize length, GError **error)
{
    static const GMarkupParser parser = {
        .start_element = on_start, .end_element = on_end, .text = on_text};
    g_autoptr(GString) content = g_string_new(NULL);
    g_autoptr(GError) wrong = NULL;
    g_autofree char *printable = NULL;
    Reader reader = {.text = content};
    MemoryLimit *limit = NULL;

    if (!markup_read(&parser, &reader, text, length, &wrong))
        set_malformed(error, printable = units_printable(wrong->message, -1));
    else
        limit = reader.value
                    ? value_parse(MEMORY_LIMIT_LIBVIRT, reader.value, reader.unit, 0, error)
                    : memory_limit_absent(MEMORY_LIMIT_LIBVIRT);
    g_free(reader.value);
    g_free(reader.unit);
    return limit;
}

MemoryLimit *
memory_limit_text_parse(MemoryLimitForm form, const char *text, gsize length, guint64 total_bytes,
                        GError **error)
{
    g_autofree char *value = NULL;

    if (memchr(text, '\0', length) || !g_utf8_validate_len(text, length, NULL)) {
        set_malformed(error, "is not UTF-8 text");
        return NULL;
    }
    if (form == MEMORY_LIMIT_LIBVIRT)
        return xml_parse(text, length, error);
    value = g_strstrip(g_strndup(text, length));
    return value_parse(form, value, NULL, total_bytes, error);
}

char *
memory_limit_text_print(const MemoryLimit *limit)
{
    g_autofree char *value = memory_limit_print(limit->form, limit, NULL);

    if (limit->form != MEMORY_LIMIT_LIBVIRT)
        return g_steal_pointer(&value);
    return limit->is_limited ? g_strdup_printf("<" LIMIT " unit='KiB'>%s</" LIMIT ">", value)
                             : g_strdup("<" ROOT "/>");
}
