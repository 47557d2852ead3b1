/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "message.h"

#include <string.h>

/* What passes the gate is one object, prints as UTF-8 on one line, and is read the same again. */
int
LLVMFuzzerTestOneInput(const guint8 *bytes, gsize length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Message) message = message_parse((const char *)bytes, length, &error);
    guint64 id = 0;

    g_assert((message == NULL) == (error != NULL));
    if (!message)
        return 0;
    g_assert(JSON_NODE_HOLDS_OBJECT(message->root));
    bool has_u64_id = message_get_u64(json_node_get_object(message->root), "id", &id);
    g_assert(has_u64_id == (message->has_id && message->id >= 0));
    g_assert(!has_u64_id || id == (guint64)message->id);
    g_autofree char *line = json_to_string(message->root, FALSE);
    g_assert(g_utf8_validate(line, -1, NULL) && !strchr(line, '\n'));
    return 0;
}
