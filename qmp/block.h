/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* query-block's answer: which device, and what stands under `inserted`, limits among it. The same
 * promises as query.h. */

#include <glib.h>
#include <json-glib/json-glib.h>

typedef struct {
    char *device, *qdev; /* NULL when absent or empty */
    char **inserted;     /* names and values in turn, see pairs.h; NULL: an empty drive */
} QmpBlock;

/* Freed with g_array_unref (a clear function is set); NULL for another shape. */
GArray *qmp_parse_block(JsonNode *result);
