/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overhead.h"
#include "units.h"

#include "t.h"

#define PAGE 4096
#define UNTOUCHED 4711

typedef struct {
    const char *name;
    guint64 configured_bytes;
    guint64 reserved_mib;
} TableRow;

static const TableRow table_rows[] = {
    {"the table reserves 256 MiB of 1 GiB", UNITS_GIB, 256},
    {"the table reserves 256 MiB of 512 MiB", 512 * UNITS_MIB, 256},
    {"the table reserves 256 MiB below 2 GiB", 2 * UNITS_GIB - PAGE, 256},
    {"the table reserves 384 MiB of 2 GiB", 2 * UNITS_GIB, 384},
    {"the table reserves 384 MiB of 4 GiB", 4 * UNITS_GIB, 384},
    {"the table reserves 384 MiB below 5 GiB", 5 * UNITS_GIB - PAGE, 384},
    {"the table reserves 512 MiB of 5 GiB", 5 * UNITS_GIB, 512},
    {"the table reserves 512 MiB below 10 GiB", 10 * UNITS_GIB - PAGE, 512},
    {"the table reserves 1 GiB of 10 GiB", 10 * UNITS_GIB, 1024},
    {"the table reserves 1 GiB of 1 TiB", 1024 * UNITS_GIB, 1024},
};

static void
run_table(void **state)
{
    const TableRow *row = *state;
    OverheadInput input = {.configured_bytes = row->configured_bytes};
    OverheadResult result;

    assert_null(overhead_table(&input, &result));
    assert_int_equal(result.n_terms, 1);
    assert_int_equal(result.terms[0].bytes, row->reserved_mib * UNITS_MIB);
    assert_int_equal(result.reserved_bytes, row->reserved_mib * UNITS_MIB);
    assert_int_equal(result.guest_bytes, row->configured_bytes - result.reserved_bytes);
    assert_int_equal(result.limit_bytes, row->configured_bytes);
    assert_int_equal(result.pod_limit_bytes, row->configured_bytes);
}

static void
the_tables_limit_is_in_whole_pages(void **state)
{
    OverheadInput input = {.configured_bytes = UNITS_GIB + PAGE - 1};
    OverheadResult result;

    assert_null(overhead_table(&input, &result));
    assert_int_equal(result.limit_bytes, UNITS_GIB);
    assert_int_equal(result.pod_limit_bytes, UNITS_GIB);
    assert_int_equal(result.guest_bytes, UNITS_GIB + PAGE - 1 - 256 * UNITS_MIB);
}

static void
the_table_leaves_the_guest_something(void **state)
{
    OverheadInput input = {.configured_bytes = 256 * UNITS_MIB};
    OverheadResult result = {.n_terms = UNTOUCHED};

    assert_non_null(overhead_table(&input, &result));
    input.configured_bytes = 0;
    assert_non_null(overhead_table(&input, &result));
    input.configured_bytes = G_MAXUINT64;
    assert_non_null(overhead_table(&input, &result));
    assert_int_equal(result.n_terms, UNTOUCHED);
    input.configured_bytes = 256 * UNITS_MIB + 1;
    assert_null(overhead_table(&input, &result));
    assert_int_equal(result.guest_bytes, 1);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(the_tables_limit_is_in_whole_pages),
        cmocka_unit_test(the_table_leaves_the_guest_something),
    };

    for (guint i = 0; i < G_N_ELEMENTS(table_rows); i++)
        g_array_append_vals(tests, &t_row(table_rows[i].name, run_table, &table_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("overhead-table", (const struct CMUnitTest *)tests->data,
                                   tests->len, NULL, NULL);
}
