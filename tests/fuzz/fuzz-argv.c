/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "argv.h"

#include <string.h>

/* Any words, one behind each NUL, are a command line. */
int
LLVMFuzzerTestOneInput(const guint8 *bytes, gsize length)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(Argv) argv = NULL;

    for (gsize at = 0; at < length;) {
        char *word = g_strndup((const char *)bytes + at, length - at);

        at += strlen(word) + 1;
        g_ptr_array_add(words, word);
    }
    g_ptr_array_add(words, NULL);
    argv = argv_parse((const char *const *)words->pdata);
    g_assert(argv && argv->disks);
    for (guint i = 0; i < argv->disks->len; i++) {
        const ArgvDisk *disk = argv->disks->pdata[i];

        g_assert(!disk->limits || g_strv_length(disk->limits) % 2 == 0);
    }
    return 0;
}
