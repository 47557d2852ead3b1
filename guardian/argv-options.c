/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The two spellings of an option.
 *
 *   list:    element { "," element }
 *   element: key "=" value | flag           a first flag is the value of the implied key
 *   value:   text, in which ",," is one comma
 *   flag:    "server" is server=on, "nowait" is wait=off
 *
 * or one JSON object. The last of two equal keys wins, as in QEMU. JSON of a hostile user can be
 * nested until json-glib's recursion overflows the stack, so depth and size are checked first. */

#include "argv-options.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* A -blockdev of libvirt has about 300 bytes; long lists of hosts stay far below. */
#define TEXT_BYTES_MAX (64 * 1024)
/* Block nodes nest about 6 deep in practice. */
#define DEPTH_MAX 64
/* Longer than any name of QEMU's; bounds what nested keys add up to. */
#define KEY_BYTES_MAX 256

static Options *
options_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* One value up to a single comma; moves *cursor behind that comma. */
static char *
element_take(const char **cursor)
{
    GString *value = g_string_new(NULL);
    const char *c = *cursor;

    for (; *c != '\0' && (*c != ',' || c[1] == ','); c++) {
        g_string_append_c(value, *c);
        c += *c == ',';
    }
    *cursor = c + (*c == ',');
    return g_string_free(value, FALSE);
}

static Options *
list_parse(const char *text, const char *implied)
{
    Options *options = options_new();
    const char *cursor = text;

    while (*cursor != '\0') {
        g_autofree char *element = element_take(&cursor);
        char *equals = strchr(element, '=');

        if (equals)
            g_hash_table_replace(options, g_strndup(element, (gsize)(equals - element)),
                                 g_strdup(equals + 1));
        else if (implied)
            g_hash_table_replace(options, g_strdup(implied), g_strdup(element));
        else if (g_str_has_prefix(element, "no"))
            g_hash_table_replace(options, g_strdup(element + 2), g_strdup("off"));
        else
            g_hash_table_replace(options, g_strdup(element), g_strdup("on"));
        implied = NULL;
    }
    return options;
}

/* Whether json-glib can be trusted with the text. */
static bool
json_is_tame(const char *text, gsize length)
{
    guint depth = 0;
    bool in_string = false;

    if (!g_utf8_validate_len(text, length, NULL))
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"')
            in_string = !in_string;
        else if (in_string && *c == '\\' && c[1] != '\0')
            c++;
        else if (!in_string && (*c == '{' || *c == '['))
            depth++;
        else if (!in_string && (*c == '}' || *c == ']') && depth > 0)
            depth--;
        if (depth > DEPTH_MAX)
            return false;
    }
    return true;
}

static char *
value_text(JsonNode *node)
{
    switch (json_node_get_value_type(node)) {
    case G_TYPE_STRING:
        return json_node_dup_string(node);
    case G_TYPE_BOOLEAN:
        return g_strdup(json_node_get_boolean(node) ? "on" : "off");
    case G_TYPE_INT64:
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    default:
        return NULL;
    }
}

static void
flatten(Options *options, const char *key, JsonNode *node)
{
    if (strlen(key) > KEY_BYTES_MAX)
        return;
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        JsonObjectIter iter;
        const char *name;
        JsonNode *child;

        json_object_iter_init(&iter, json_node_get_object(node));
        while (json_object_iter_next(&iter, &name, &child)) {
            g_autofree char *below = g_strconcat(key, *key ? "." : "", name, NULL);

            flatten(options, below, child);
        }
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *array = json_node_get_array(node);

        for (guint i = 0; i < json_array_get_length(array); i++) {
            g_autofree char *below = g_strdup_printf("%s.%u", key, i);

            flatten(options, below, json_array_get_element(array, i));
        }
    } else {
        char *text = JSON_NODE_HOLDS_VALUE(node) ? value_text(node) : NULL;

        if (text)
            g_hash_table_replace(options, g_strdup(key), text);
    }
}

static Options *
json_parse(const char *text, gsize length)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    Options *options = options_new();
    JsonNode *root;

    if (!json_is_tame(text, length) ||
        !json_parser_load_from_data(parser, text, (gssize)length, NULL))
        return options;
    root = json_parser_get_root(parser);
    if (root && JSON_NODE_HOLDS_OBJECT(root))
        flatten(options, "", root);
    return options;
}

Options *
options_parse(const char *text, const char *implied)
{
    gsize length = strlen(text);

    if (length > TEXT_BYTES_MAX)
        return options_new();
    return *text == '{' ? json_parse(text, length) : list_parse(text, implied);
}

static const char *get_va(Options *options, const char *format, va_list arguments)
    G_GNUC_PRINTF(2, 0);

static const char *
get_va(Options *options, const char *format, va_list arguments)
{
    g_autofree char *key = g_strdup_vprintf(format, arguments);

    return g_hash_table_lookup(options, key);
}

const char *
options_get(Options *options, const char *format, ...)
{
    va_list arguments;
    const char *value;

    va_start(arguments, format);
    value = get_va(options, format, arguments);
    va_end(arguments);
    return value;
}

bool
options_is_on(Options *options, const char *key)
{
    const char *value = g_hash_table_lookup(options, key);

    return value && (g_str_equal(value, "on") || g_str_equal(value, "yes") ||
                     g_str_equal(value, "true") || g_str_equal(value, "y"));
}

guint64
options_get_u64(Options *options, const char *format, ...)
{
    va_list arguments;
    const char *text;
    guint64 value;

    va_start(arguments, format);
    text = get_va(options, format, arguments);
    va_end(arguments);
    return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &value, NULL) ? value : 0;
}
