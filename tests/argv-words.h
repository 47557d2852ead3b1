/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Command lines, recorded or written where they are used. Include t.h first. */

#include "argv.h"

/* A command line of tests/data/argv, an argument a line. */
static inline Argv *
parse_file(const char *name)
{
    g_autofree char *path = g_strdup_printf(
        "%s/argv/%s.txt", g_getenv("TEST_DATA") ? g_getenv("TEST_DATA") : "data", name);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GError *error = NULL;

    if (!g_file_get_contents(path, &text, NULL, &error))
        fail_msg("%s", error->message);
    g_strchomp(text);
    lines = g_strsplit(text, "\n", -1);
    return argv_parse((const char *const *)lines);
}

/* The words after the program; a new Argv. */
#define parse(...) argv_parse((const char *const[]){"qemu-system-x86_64", __VA_ARGS__, NULL})

static inline void
assert_text(const char *actual, const char *expected)
{
    if (g_strcmp0(actual, expected) != 0)
        fail_msg("\"%s\" instead of \"%s\"", actual ? actual : "(none)",
                 expected ? expected : "(none)");
}
