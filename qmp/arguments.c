/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arguments.h"

#include <string.h>

/* json-glib 1.6 prints U+001F raw, which no JSON parser takes: escaped here. */
static void
append_string(GString *json, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_c(json, '"');
    for (const char *p = valid; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(json, '\\');
        if ((guchar)*p < 0x20)
            g_string_append_printf(json, "\\u%04x", (guint)*p);
        else
            g_string_append_c(json, *p);
    }
    g_string_append_c(json, '"');
}

/* Without blanks: QEMU pays for each byte it reads. */
static GString *
begin_path(const char *path)
{
    GString *json = g_string_new("{\"path\":");

    append_string(json, path);
    return json;
}

char *
qmp_arguments_path(const char *path)
{
    return g_string_free(g_string_append_c(begin_path(path), '}'), FALSE);
}

char *
qmp_arguments_path_property(const char *path, const char *property)
{
    GString *json = g_string_append(begin_path(path), ",\"property\":");

    append_string(json, property);
    return g_string_free(g_string_append_c(json, '}'), FALSE);
}

char *
qmp_arguments_path_queue(const char *path, guint queue)
{
    GString *json = begin_path(path);

    g_string_append_printf(json, ",\"queue\":%u}", queue);
    return g_string_free(json, FALSE);
}

#define CANARY_BEGIN "{\"command-line\":\"qemu-io "
#define CANARY_END " \\\"aio_read 0 512\\\"\"}"
#define CANARY_DEVICE "-d "

static bool
is_plain_id(const char *id, gsize length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-._/[]";

    return length > 0 && *id != '-' && strspn(id, allowed) == length;
}

char *
qmp_arguments_canary(const char *id, bool is_qdev)
{
    if (!is_plain_id(id, strlen(id)))
        return NULL;
    return g_strconcat(CANARY_BEGIN, is_qdev ? CANARY_DEVICE : "", id, CANARY_END, NULL);
}

bool
qmp_arguments_are_canary(const char *arguments)
{
    const char *id;
    gsize length;

    if (!arguments || !g_str_has_prefix(arguments, CANARY_BEGIN) ||
        !g_str_has_suffix(arguments, CANARY_END))
        return false;
    id = arguments + strlen(CANARY_BEGIN);
    if (g_str_has_prefix(id, CANARY_DEVICE))
        id += strlen(CANARY_DEVICE);
    if (strlen(id) < strlen(CANARY_END))
        return false;
    length = strlen(id) - strlen(CANARY_END);
    return length > 0 && is_plain_id(id, length);
}
