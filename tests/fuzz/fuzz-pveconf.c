/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "pveconf.h"

#include <string.h>

/* Any bytes: a configuration with printable problems. What is printed of it is read without a
 * problem, and printed the same again. */
int
LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(PveConf) conf = pveconf_parse((const char *)data, size);
    g_autofree char *text = pveconf_print(conf);
    g_autoptr(PveConf) again = pveconf_parse(text, strlen(text));
    g_autofree char *again_text = pveconf_print(again);

    for (guint i = 0; i < conf->problems->len; i++)
        for (const char *p = conf->problems->pdata[i]; *p != '\0'; p++)
            g_assert(!g_ascii_iscntrl(*p));
    if (again->problems->len > 0)
        g_error("%s in:\n%s", (char *)again->problems->pdata[0], text);
    if (strcmp(text, again_text) != 0)
        g_error("%s became\n%s", text, again_text);
    return 0;
}
