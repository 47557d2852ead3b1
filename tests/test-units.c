/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "units.h"

#include <string.h>

#include "t.h"

#define UNTOUCHED 4711

/* A row of a parser: the text and what comes out, or the sentence that refuses it. */
typedef struct {
    const char *name;
    const char *text;
    gint64 value;
    const char *wrong;
} ParseRow;

static const ParseRow size_rows[] = {
    {"a size without a unit is bytes", "12345", 12345, NULL},
    {"zero is a size", "0", 0, NULL},
    {"K is 1024", "3K", 3072, NULL},
    {"Ki is K", "3Ki", 3072, NULL},
    {"KiB is K", "3KiB", 3072, NULL},
    {"M is 1024 K", "1948M", 1948 * (gint64)UNITS_MIB, NULL},
    {"Mi is M", "1948Mi", 1948 * (gint64)UNITS_MIB, NULL},
    {"MiB is M", "1948MiB", 1948 * (gint64)UNITS_MIB, NULL},
    {"G is 1024 M", "2G", G_GINT64_CONSTANT(2147483648), NULL},
    {"Gi is G", "2Gi", G_GINT64_CONSTANT(2147483648), NULL},
    {"GiB is G", "2GiB", G_GINT64_CONSTANT(2147483648), NULL},
    {"T is 1024 G", "1T", G_GINT64_CONSTANT(1099511627776), NULL},
    {"Ti is T", "1Ti", G_GINT64_CONSTANT(1099511627776), NULL},
    {"TiB is T", "1TiB", G_GINT64_CONSTANT(1099511627776), NULL},
    {"leading zeros are decimal", "010K", 10240, NULL},
    {"10GB is refused", "10GB", 0, "has an unknown unit: use K, M, G or T"},
    {"a lower-case unit is refused", "10g", 0, "has an unknown unit: use K, M, G or T"},
    {"a unit is not cut short", "10Gib", 0, "has an unknown unit: use K, M, G or T"},
    {"a space before the unit is refused", "10 G", 0, "has an unknown unit: use K, M, G or T"},
    {"a trailing newline is refused", "10G\n", 0, "has an unknown unit: use K, M, G or T"},
    {"a duration is no size", "10s", 0, "has an unknown unit: use K, M, G or T"},
    {"a negative size is refused", "-5", 0, "is negative"},
    {"a word is no size", "abc", 0, "is not a number"},
    {"a plus sign is refused", "+5", 0, "is not a number"},
    {"a unit alone is no size", "K", 0, "is not a number"},
    {"an empty size is refused", "", 0, "is empty"},
    {"a missing size is refused", NULL, 0, "is empty"},
    {"a fraction is no size", "1.5G", 0, "is not a whole number"},
    {"a decimal comma is no size", "1,5G", 0, "is not a whole number"},
    {"a leading space is refused", " 5", 0, "begins with a space"},
    {"hexadecimal is refused", "0x10", 0, "is hexadecimal: write a decimal number"},
    {"2^64 is refused", "18446744073709551616", 0, "is too large"},
    {"2^64 by unit is refused", "16777216T", 0, "is too large"},
    {"fifty digits are refused", "99999999999999999999999999999999999999999999999999", 0,
     "is too large"},
};

static const ParseRow duration_rows[] = {
    {"a duration without a unit is seconds", "90", 90 * G_USEC_PER_SEC, NULL},
    {"ms are milliseconds", "1500ms", 1500000, NULL},
    {"s are seconds", "2s", 2 * G_USEC_PER_SEC, NULL},
    {"m are minutes", "2m", 120 * G_USEC_PER_SEC, NULL},
    {"h are hours", "2h", 7200 * (gint64)G_USEC_PER_SEC, NULL},
    {"d are days", "2d", 172800 * (gint64)G_USEC_PER_SEC, NULL},
    {"zero is a duration", "0", 0, NULL},
    {"microseconds are refused", "5us", 0, "has an unknown unit: use ms, s, m, h or d"},
    {"a word for a unit is refused", "5min", 0, "has an unknown unit: use ms, s, m, h or d"},
    {"M is no minute", "5M", 0, "has an unknown unit: use ms, s, m, h or d"},
    {"a negative duration is refused", "-1s", 0, "is negative"},
    {"a fraction is no duration", "1.5s", 0, "is not a whole number"},
    {"an empty duration is refused", "", 0, "is empty"},
    {"2^63 us are refused", "9223372036855s", 0, "is too large"},
    {"2^64 us by unit are refused", "999999999999d", 0, "is too large"},
};

static const ParseRow version_rows[] = {
    {"a version has two numbers", "1.5", 1005, NULL},
    {"the patch level is dropped", "1.5.2", 1005, NULL},
    {"a v is dropped", "v1.2.3", 1002, NULL},
    {"1.10 is newer than 1.9", "1.10", 1010, NULL},
    {"0.36 is a version", "0.36", 36, NULL},
    {"main is a version", "main", UNITS_VERSION_MAIN, NULL},
    {"1 is no version", "1", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"1. is no version", "1.", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"1.2. is no version", "1.2.", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"four numbers are no version", "1.2.3.4", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"a release candidate is no version", "1.6.0-rc.1", 0,
     "is not a version: write 1.2, v1.2.3 or main"},
    {"1.05 is not 1.5", "1.05", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"a word is no version", "master", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"main has no v", "vmain", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"a negative version is refused", "-1.2", 0, "is not a version: write 1.2, v1.2.3 or main"},
    {"an empty version is refused", "", 0, "is empty"},
    {"a minor of four digits is not a major", "0.1005", 0, "has a version number too large"},
    {"a huge major is refused", "2147483.0", 0, "has a version number too large"},
};

static const ParseRow ratio_rows[] = {
    {"a ratio has decimals", "1.5", 1500, NULL},
    {"a ratio may be whole", "2", 2000, NULL},
    {"three decimals are kept", "1.005", 1005, NULL},
    {"zero is a ratio", "0", 0, NULL},
    {"four decimals are refused", "1.0005", 0, "has more than three decimals"},
    {"a ratio has digits before the point", ".5", 0, "is not a number"},
    {"a ratio has digits behind the point", "1.", 0, "is not a decimal number such as 1.5"},
    {"a percentage is no ratio", "150%", 0, "is not a decimal number such as 1.5"},
    {"a decimal comma is no ratio", "1,5", 0, "is not a decimal number such as 1.5"},
    {"an exponent is no ratio", "1e3", 0, "is not a decimal number such as 1.5"},
    {"a negative ratio is refused", "-1", 0, "is negative"},
    {"an empty ratio is refused", "", 0, "is empty"},
    {"a huge ratio is refused", "9223372036854775", 0, "is too large"},
};

static void
check_row(const ParseRow *row, const char *wrong, gint64 value)
{
    if (row->wrong == NULL) {
        assert_null(wrong);
        assert_int_equal(value, row->value);
    } else {
        assert_non_null(wrong);
        assert_string_equal(wrong, row->wrong);
        assert_int_equal(value, UNTOUCHED);
    }
}

static void
run_size(void **state)
{
    const ParseRow *row = *state;
    guint64 bytes = UNTOUCHED;
    const char *wrong = units_parse_size(row->text, &bytes);

    check_row(row, wrong, (gint64)bytes);
}

static void
run_duration(void **state)
{
    const ParseRow *row = *state;
    gint64 us = UNTOUCHED;
    const char *wrong = units_parse_duration(row->text, &us);

    check_row(row, wrong, us);
}

static void
run_version(void **state)
{
    const ParseRow *row = *state;
    gint32 version = UNTOUCHED;
    const char *wrong = units_parse_version(row->text, &version);

    check_row(row, wrong, version);
}

static void
run_ratio(void **state)
{
    const ParseRow *row = *state;
    gint64 thousandths = UNTOUCHED;
    const char *wrong = units_parse_ratio(row->text, &thousandths);

    check_row(row, wrong, thousandths);
}

static void
the_largest_size_is_a_size(void **state)
{
    guint64 bytes = 0;

    assert_null(units_parse_size("18446744073709551615", &bytes));
    assert_true(bytes == G_MAXUINT64);
    assert_null(units_parse_size("16777215T", &bytes));
    assert_true(bytes == G_MAXUINT64 - 1024 * UNITS_GIB + 1);
}

static void
assert_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    g_free(text);
}

static void
a_size_is_printed_exactly(void **state)
{
    assert_text(units_format_size(0), "0");
    assert_text(units_format_size(12345), "12345");
    assert_text(units_format_size(3 * UNITS_KIB), "3Ki");
    assert_text(units_format_size(1948 * UNITS_MIB), "1948Mi");
    assert_text(units_format_size(2 * UNITS_GIB), "2Gi");
    assert_text(units_format_size(4096 * UNITS_GIB), "4Ti");
    assert_text(units_format_size(2 * UNITS_GIB + 1), "2147483649");
    assert_text(units_format_size(G_MAXUINT64), "18446744073709551615");
}

static void
a_printed_size_parses_back(void **state)
{
    const guint64 sizes[] = {
        0, 1, 1023, 1024, 1025, UNITS_MIB, 292 * UNITS_MIB, 5000 * UNITS_GIB, G_MAXUINT64 - 1023};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *text = units_format_size(sizes[i]);
        guint64 bytes = UNTOUCHED;

        assert_null(units_parse_size(text, &bytes));
        assert_true(bytes == sizes[i]);
    }
}

static void
a_short_size_keeps_its_column(void **state)
{
    assert_text(units_format_size_short(0), "0B");
    assert_text(units_format_size_short(1023), "1023B");
    assert_text(units_format_size_short(1024), "1.0K");
    assert_text(units_format_size_short(812 * UNITS_KIB), "812K");
    assert_text(units_format_size_short(1948 * UNITS_MIB), "1.9G");
    assert_text(units_format_size_short(35 * UNITS_MIB), "35M");
    assert_text(units_format_size_short(10 * UNITS_MIB - 1), "10M");
    assert_text(units_format_size_short(UNITS_MIB - UNITS_KIB / 2 - 1), "1023K");
    assert_text(units_format_size_short(UNITS_MIB - UNITS_KIB / 2), "1.0M");
    assert_text(units_format_size_short(300 * 1024 * UNITS_GIB), "300T");
    assert_text(units_format_size_short(G_MAXUINT64), "16E");
}

static void
a_duration_is_printed_in_its_largest_whole_unit(void **state)
{
    assert_text(units_format_duration(0), "0s");
    assert_text(units_format_duration(2 * G_USEC_PER_SEC), "2s");
    assert_text(units_format_duration(1500000), "1500ms");
    assert_text(units_format_duration(90 * G_USEC_PER_SEC), "90s");
    assert_text(units_format_duration(120 * G_USEC_PER_SEC), "2m");
    assert_text(units_format_duration(86400 * (gint64)G_USEC_PER_SEC), "1d");
    assert_text(units_format_duration(-2 * G_USEC_PER_SEC), "-2s");
    assert_text(units_format_duration(G_MININT64), "-9223372036854775ms");
}

static void
an_age_is_short(void **state)
{
    const gint64 minute_us = 60 * G_USEC_PER_SEC;

    assert_text(units_format_age(-5), "0s");
    assert_text(units_format_age(minute_us - 1), "59s");
    assert_text(units_format_age(19 * minute_us + 1), "19m");
    assert_text(units_format_age(60 * minute_us - 1), "59m");
    assert_text(units_format_age(125 * minute_us), "2h05m");
    assert_text(units_format_age(24 * 60 * minute_us - 1), "23h59m");
    assert_text(units_format_age((3 * 24 + 4) * 60 * minute_us), "3d04h");
    assert_text(units_format_age(G_MAXINT64), "106751991d04h");
}

static void
a_version_is_printed_as_written(void **state)
{
    assert_text(units_format_version(1005), "1.5");
    assert_text(units_format_version(1010), "1.10");
    assert_text(units_format_version(36), "0.36");
    assert_text(units_format_version(UNITS_VERSION_MAIN), "main");
}

typedef struct {
    const char *name;
    const char *raw;
    const char *printable;
} PrintableRow;

static const PrintableRow printable_rows[] = {
    {"no name prints as nothing", NULL, ""},
    {"a plain name is left alone", "web-01 (prod)", "web-01 (prod)"},
    {"quotes are left to the output's own quoting", "a\"b'c", "a\"b'c"},
    {"other scripts are left alone", "caf\303\251 \350\231\232\346\223\254",
     "caf\303\251 \350\231\232\346\223\254"},
    {"a newline is escaped", "a\nb", "a\\x0ab"},
    {"a terminal's escape sequence is escaped", "\033[31mred", "\\x1b[31mred"},
    {"DEL is escaped", "a\177", "a\\x7f"},
    {"a C1 control is escaped", "a\302\233m", "a\\xc2\\x9bm"},
    {"a backslash is escaped, so that escapes cannot be forged", "\\x0a", "\\x5cx0a"},
    {"a bidi override is escaped", "a\342\200\256b", "a\\xe2\\x80\\xaeb"},
    {"a bidi isolate is escaped", "\342\201\246", "\\xe2\\x81\\xa6"},
    {"a zero-width space is escaped", "\342\200\213", "\\xe2\\x80\\x8b"},
    {"a right-to-left mark is escaped", "\342\200\217", "\\xe2\\x80\\x8f"},
    {"a byte order mark is escaped", "\357\273\277", "\\xef\\xbb\\xbf"},
    {"a line separator is escaped", "\342\200\250", "\\xe2\\x80\\xa8"},
    {"a paragraph separator is escaped", "\342\200\251", "\\xe2\\x80\\xa9"},
    {"a private character is escaped", "\356\200\200", "\\xee\\x80\\x80"},
    {"an unassigned character is escaped", "\363\240\200\200", "\\xf3\\xa0\\x80\\x80"},
    {"a stray byte is escaped alone", "a\377b", "a\\xffb"},
    {"an overlong NUL is escaped", "\300\200", "\\xc0\\x80"},
    {"a surrogate is escaped", "\355\240\200", "\\xed\\xa0\\x80"},
    {"a cut character is escaped", "a\303", "a\\xc3"},
    {"what follows a broken character is kept", "\342\200a", "\\xe2\\x80a"},
};

static void
run_printable(void **state)
{
    const PrintableRow *row = *state;

    assert_text(units_printable(row->raw, -1), row->printable);
}

static void
a_backslash_in_a_path_stays_one(void **state)
{
    g_autofree char *long_name = g_strnfill(200, 'a');
    g_autofree char *long_path = g_strdup_printf("/%s\\x2d%s", long_name, long_name);

    assert_text(units_printable_path("/machine-qemu\\x2d1.scope"), "/machine-qemu\\x2d1.scope");
    assert_text(units_printable_path("/a\\\033[2J\n\342\200\256"),
                "/a\\\\x1b[2J\\x0a\\xe2\\x80\\xae");
    assert_text(units_printable_path(long_path), long_path);
    assert_text(units_printable_path(NULL), "");
}

static void
a_name_may_hold_a_nul(void **state)
{
    assert_text(units_printable("a\0b", 3), "a\\x00b");
    assert_text(units_printable("abc", 2), "ab");
    assert_text(units_printable("\303\251", 1), "\\xc3");
    assert_text(units_printable("abc", 0), "");
}

/* n letters, then the tail. */
static char *
printable_after(guint n_letters, const char *tail)
{
    g_autofree char *letters = g_strnfill(n_letters, 'a');
    g_autofree char *raw = g_strconcat(letters, tail, NULL);

    return units_printable(raw, -1);
}

static void
a_long_name_is_cut_between_characters(void **state)
{
    const struct {
        guint n_letters;
        const char *tail;
        gsize length;
    } rows[] = {
        {255, "", 255},         {300, "", 255},         {253, "\303\251", 255},
        {254, "\303\251", 254}, {251, "\n", 255},       {252, "\n", 252},
        {247, "\302\233", 255}, {248, "\302\233", 248}, {252, "\nb", 252},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = printable_after(rows[i].n_letters, rows[i].tail);

        assert_int_equal(strlen(text), rows[i].length);
        assert_true(g_utf8_validate(text, -1, NULL));
    }
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    const struct CMUnitTest singles[] = {
        cmocka_unit_test(the_largest_size_is_a_size),
        cmocka_unit_test(a_size_is_printed_exactly),
        cmocka_unit_test(a_printed_size_parses_back),
        cmocka_unit_test(a_short_size_keeps_its_column),
        cmocka_unit_test(a_duration_is_printed_in_its_largest_whole_unit),
        cmocka_unit_test(an_age_is_short),
        cmocka_unit_test(a_version_is_printed_as_written),
        cmocka_unit_test(a_name_may_hold_a_nul),
        cmocka_unit_test(a_backslash_in_a_path_stays_one),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
    };

    for (guint i = 0; i < G_N_ELEMENTS(size_rows); i++)
        g_array_append_vals(tests, &t_row(size_rows[i].name, run_size, &size_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(duration_rows); i++)
        g_array_append_vals(tests, &t_row(duration_rows[i].name, run_duration, &duration_rows[i]),
                            1);
    for (guint i = 0; i < G_N_ELEMENTS(version_rows); i++)
        g_array_append_vals(tests, &t_row(version_rows[i].name, run_version, &version_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(ratio_rows); i++)
        g_array_append_vals(tests, &t_row(ratio_rows[i].name, run_ratio, &ratio_rows[i]), 1);
    for (guint i = 0; i < G_N_ELEMENTS(printable_rows); i++)
        g_array_append_vals(tests,
                            &t_row(printable_rows[i].name, run_printable, &printable_rows[i]), 1);
    g_array_append_vals(tests, singles, G_N_ELEMENTS(singles));
    return _cmocka_run_group_tests("units", (const struct CMUnitTest *)tests->data, tests->len,
                                   NULL, NULL);
}
