/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pairs.h"

#include "message.h"

static void
add_member(JsonObject *object, const char *name, JsonNode *node, gpointer data)
{
    GPtrArray *pairs = data;
    bool is_string = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;

    g_ptr_array_add(pairs, g_strdup(name));
    g_ptr_array_add(pairs, is_string ? json_node_dup_string(node) : json_to_string(node, FALSE));
}

char **
pairs_from_object(JsonObject *object)
{
    GPtrArray *pairs = g_ptr_array_new();

    json_object_foreach_member(object, add_member, pairs);
    g_ptr_array_add(pairs, NULL);
    return (char **)g_ptr_array_free(pairs, FALSE);
}

char **
pairs_from_json(const char *text, gsize length, GError **error)
{
    static const char *const wrappers[] = {"return", "inserted"};
    g_autoptr(JsonNode) root = message_parse_object(text, length, error);
    JsonObject *object = root ? json_node_get_object(root) : NULL;

    for (guint i = 0; object && i < G_N_ELEMENTS(wrappers); i++) {
        JsonObject *inner = message_get_object(object, wrappers[i]);

        object = inner ? inner : object;
    }
    return object ? pairs_from_object(object) : NULL;
}
