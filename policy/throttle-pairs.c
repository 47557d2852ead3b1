/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"

GPtrArray *
pairs_new(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

void
pairs_add(GPtrArray *pairs, const char *name, const char *value)
{
    g_ptr_array_add(pairs, g_strdup(name));
    g_ptr_array_add(pairs, g_strdup(value));
}

void
pairs_add_number(GPtrArray *pairs, const char *name, guint64 value)
{
    g_ptr_array_add(pairs, g_strdup(name));
    g_ptr_array_add(pairs, g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

void
pairs_add_all(GPtrArray *pairs, char **others)
{
    for (; *others != NULL; others += 2)
        pairs_add(pairs, others[0], others[1]);
}

char **
pairs_end(GPtrArray *pairs)
{
    g_ptr_array_add(pairs, NULL);
    return (char **)g_ptr_array_free(pairs, FALSE);
}
