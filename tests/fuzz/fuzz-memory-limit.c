/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "memory-limit-text.h"

#include <string.h>

/* Any bytes, the first one for the form ("0" to "6"): a limit, or a printable reason. What was read
 * is printed, and read again as equal; what is printed of that is the same text. */
int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    MemoryLimitForm form = size > 0 ? (data[0] - (guint)'0') % MEMORY_LIMIT_N_FORMS : 0;
    g_autoptr(GError) error = NULL, again_error = NULL;
    g_autoptr(MemoryLimit) limit = NULL, again = NULL;
    g_autofree char *text = NULL, *again_text = NULL;

    if (size == 0)
        return 0;
    limit = memory_limit_text_parse(form, (const char *)data + 1, size - 1, 64 << 20, &error);
    g_assert((limit == NULL) == (error != NULL));
    for (const char *p = error != NULL ? error->message : ""; *p != '\0'; p++)
        g_assert(!g_ascii_iscntrl(*p));
    if (limit == NULL)
        return 0;
    text = memory_limit_text_print(limit);
    again = memory_limit_text_parse(form, text, strlen(text), 0, &again_error);
    if (again == NULL)
        g_error("%s in: %s", again_error->message, text);
    again_text = memory_limit_text_print(again);
    if (!memory_limit_equal(limit, again) || strcmp(text, again_text) != 0)
        g_error("%s became %s", text, again_text);
    return 0;
}
