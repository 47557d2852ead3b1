/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "config-file.h"

#include <string.h>

/* Any bytes are a configuration file: what is wrong with it is said in lines that may be printed.
 */
int
LLVMFuzzerTestOneInput(const guint8 *bytes, gsize length)
{
    for (guint is_override = 0; is_override < 2; is_override++) {
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = g_malloc(length + 1);
        g_autoptr(ConfigFile) file = NULL;

        memcpy(text, bytes, length);
        text[length] = '\0';
        file = config_file_parse("file", text, length, is_override, errors);
        g_assert(errors->len <= CONFIG_ERRORS_MAX + 1);
        for (guint i = 0; i < errors->len; i++)
            for (const char *p = errors->pdata[i]; *p != '\0'; p++)
                g_assert(!g_ascii_iscntrl(*p));
    }
    return 0;
}
