/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "fuzz.h"

#include "throttle-text.h"

#include <string.h>

/* Any bytes: limits, or a printable reason. What was read is printed, and read again as equal; what
 * is printed of that is the same text. */
static inline int
fuzz_throttle(ThrottleForm form, const guint8 *data, gsize size)
{
    g_autoptr(GError) error = NULL, again_error = NULL;
    g_autoptr(Throttle) throttle = throttle_text_parse(form, (const char *)data, size, &error);
    g_autoptr(Throttle) again = NULL;
    g_autofree char *text = NULL, *again_text = NULL;

    g_assert((throttle == NULL) == (error != NULL));
    if (error != NULL)
        for (const char *p = error->message; *p != '\0'; p++)
            g_assert(!g_ascii_iscntrl(*p));
    if (throttle == NULL)
        return 0;
    text = throttle_text_print(throttle);
    again = throttle_text_parse(form, text, strlen(text), &again_error);
    if (again == NULL)
        g_error("%s in:\n%s", again_error->message, text);
    again_text = throttle_text_print(again);
    if (!throttle_equal(throttle, again) || strcmp(text, again_text) != 0)
        g_error("%s became\n%s", text, again_text);
    return 0;
}
