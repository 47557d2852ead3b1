/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

/* Runs a fuzz driver over each file of a corpus folder, and over each file's every beginning, so
 * that a small corpus covers the cut-off inputs too. */
int
main(int argc, char **argv)
{
    g_autoptr(GDir) folder = argc == 2 ? g_dir_open(argv[1], 0, NULL) : NULL;
    const char *name;
    guint n_files = 0;

    while (folder && (name = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(argv[1], name, NULL);
        g_autofree char *bytes = NULL;
        gsize length = 0;
        if (!g_file_get_contents(path, &bytes, &length, NULL))
            return 1;
        for (gsize cut = 0; cut <= length; cut++) {
            /* A copy of that size: a sanitizer sees a read past its end. */
            g_autofree guint8 *beginning = g_malloc(MAX(cut, 1));
            memcpy(beginning, bytes, cut);
            (void)LLVMFuzzerTestOneInput(beginning, cut);
        }
        n_files++;
    }
    printf("%u files\n", n_files);
    return n_files > 0 ? 0 : 1;
}
