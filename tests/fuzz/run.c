/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

/* Runs a fuzz driver over each file of a corpus folder, over each file's every beginning, so that a
 * small corpus covers the cut-off inputs too, and over as many broken copies of it, which are the
 * same in each run. */

#define SEED 1
/* A second for the slowest driver. */
#define BROKEN_COPIES 1000
#define BREAKS_MAX 8

/* A copy of that size: a sanitizer sees a read past its end. */
static void
feed(const void *bytes, gsize length)
{
    g_autofree guint8 *copy = g_malloc(MAX(length, 1));

    memcpy(copy, bytes, length);
    (void)LLVMFuzzerTestOneInput(copy, length);
}

static gsize
somewhere(GRand *random, gsize length)
{
    return length > 0 ? g_rand_int(random) % length : 0;
}

/* A length from there on, of at most that. */
static gsize
some_of(GRand *random, const GString *text, gsize at, gsize most)
{
    gsize wanted = 1 + somewhere(random, most);

    return MIN(text->len - at, wanted);
}

static void
repeat_part(GRand *random, GString *text, gsize at)
{
    gsize n = some_of(random, text, at, 64);
    g_autofree char *part = g_malloc(n + 1);

    memcpy(part, text->str + at, n);
    g_string_insert_len(text, (gssize)somewhere(random, text->len), part, (gssize)n);
}

/* One byte is another, is gone, or stands a part of the text a second time. */
static void
break_once(GRand *random, GString *text)
{
    static const char telling[] = "0-9,=:;[]{}<>\"'/\\ \n\t.x\xff\x80";
    gsize at = somewhere(random, text->len);

    switch (g_rand_int(random) % 4) {
    case 0:
        if (text->len > 0)
            text->str[at] = (char)g_rand_int(random);
        break;
    case 1:
        g_string_insert_c(text, (gssize)at, telling[somewhere(random, sizeof telling)]);
        break;
    case 2:
        g_string_erase(text, (gssize)at, (gssize)some_of(random, text, at, 16));
        break;
    default:
        repeat_part(random, text, at);
    }
}

static void
feed_broken(GRand *random, const char *bytes, gsize length)
{
    for (guint i = 0; i < BROKEN_COPIES; i++) {
        g_autoptr(GString) text = g_string_new_len(bytes, (gssize)length);

        for (guint n = 1 + g_rand_int(random) % BREAKS_MAX; n > 0; n--)
            break_once(random, text);
        feed(text->str, text->len);
    }
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int
main(int argc, char **argv)
{
    g_autoptr(GDir) folder = argc == 2 ? g_dir_open(argv[1], 0, NULL) : NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
    const char *name;

    while (folder && (name = g_dir_read_name(folder)))
        g_ptr_array_add(names, g_build_filename(argv[1], name, NULL));
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *bytes = NULL;
        gsize length = 0;

        if (!g_file_get_contents(names->pdata[i], &bytes, &length, NULL))
            return 1;
        for (gsize cut = 0; cut <= length; cut++)
            feed(bytes, cut);
        feed_broken(random, bytes, length);
    }
    printf("%u files\n", names->len);
    return names->len > 0 ? 0 : 1;
}
