/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "block.h"

#include "message.h"
#include "pairs.h"

/* As for query-blockstats. */
#define BLOCKS_MAX 1024

static void
block_clear(gpointer data)
{
    QmpBlock *block = data;

    g_free(block->device);
    g_free(block->qdev);
    g_strfreev(block->inserted);
}

static char *
dup_given(JsonObject *object, const char *member)
{
    const char *text = message_get_string(object, member);

    return text && *text ? g_strdup(text) : NULL;
}

GArray *
qmp_parse_block(JsonNode *result)
{
    GArray *blocks;
    JsonArray *list;

    if (!result || !JSON_NODE_HOLDS_ARRAY(result))
        return NULL;
    list = json_node_get_array(result);
    blocks = g_array_new(FALSE, TRUE, sizeof(QmpBlock));
    g_array_set_clear_func(blocks, block_clear);
    for (guint i = 0; i < json_array_get_length(list) && blocks->len < BLOCKS_MAX; i++) {
        JsonNode *node = json_array_get_element(list, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        JsonObject *inserted = object ? message_get_object(object, "inserted") : NULL;
        QmpBlock block = {0};

        if (!object)
            continue;
        block.device = dup_given(object, "device");
        block.qdev = dup_given(object, "qdev");
        block.inserted = inserted ? pairs_from_object(inserted) : NULL;
        g_array_append_val(blocks, block);
    }
    return blocks;
}
