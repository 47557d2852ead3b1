/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every test's prelude: cmocka's include order, and skips that fail where they must not happen. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <glib.h>

/* A test that cannot run here says why and ends; with MUST_WORK=1 (CI) it fails instead.
 * cmocka 1.1.5 prints `not ok # SKIP` for skip() in TAP, so a skipped test is a plain return after
 * the message. */
#define t_skip_unless(condition, why)                                                              \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            if (g_strcmp0(g_getenv("MUST_WORK"), "1") == 0)                                        \
                fail_msg("must work here, but: %s", (why));                                        \
            print_message("# skipped: %s\n", (why));                                               \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Names a table's row: {"name", run, NULL, NULL, &row}. */
#define t_row(row_name, run, row)                                                                  \
    (struct CMUnitTest)                                                                            \
    {                                                                                              \
        .name = (row_name), .test_func = (run), .initial_state = (void *)(row)                     \
    }
