/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "throttle-form.h"

typedef struct {
    const char *name;
    const char *text;
    guint64 bytes;
    const char *wrong; /* NULL: the text is taken */
} MebiRow;

static const MebiRow mebi_rows[] = {
    {"60 MiB are 62914560 bytes", "60", 62914560, NULL},
    {"60.0 is 60", "60.0", 62914560, NULL},
    {"60. is 60", "60.", 62914560, NULL},
    {"+60 is 60", "+60", 62914560, NULL},
    {"0060 is 60", "0060", 62914560, NULL},
    {"6e1 is 60", "6e1", 62914560, NULL},
    {"6000E-2 is 60", "6000E-2", 62914560, NULL},
    {"a fraction is cut to whole bytes", "0.1", 104857, NULL},
    {"a fraction needs no zero before it", ".5", 524288, NULL},
    {"60.1 is what Proxmox makes of it", "60.1", 63019417, NULL},
    {"33.333333 is what Proxmox makes of it", "33.333333", 34952532, NULL},
    {"a byte is 2^-20 MiB", "0.00000095367431640625", 1, NULL},
    {"less than a byte is none", "0.00000095", 0, NULL},
    {"a tiny number is none", "1e-999999999999", 0, NULL},
    {"many digits count", "0.99999999999999999999999999", 1048575, NULL},
    {"zero is none", "0", 0, NULL},
    {"the largest is 63 bits", "8796093022207.9999999", G_MAXINT64, NULL},
    {"64 bits are too large", "8796093022208", 0, "is too large"},
    {"a huge exponent is too large", "1e999999999999", 0, "is too large"},
    {"nothing is refused", "", 0, "is empty"},
    {"a negative number is refused", "-5", 0, "is negative"},
    {"a word is refused", "abc", 0, "is not a number"},
    {"a point is no number", ".", 0, "is not a number"},
    {"a sign is no number", "+", 0, "is not a number"},
    {"two points are refused", "1.2.3", 0, "is not a number"},
    {"an exponent needs digits", "1e", 0, "is not a number"},
    {"an exponent needs more than a sign", "1e+", 0, "is not a number"},
    {"a unit is refused", "60M", 0, "is not a number"},
    {"hexadecimal is refused", "0x10", 0, "is not a number"},
    {"a blank is refused", " 60", 0, "is not a number"},
    {"infinity is refused", "inf", 0, "is not a number"},
    {"a comma is refused", "0,5", 0, "is not a number"},
};

static void
check_mebi(void **state)
{
    const MebiRow *row = *state;
    guint64 bytes = 77;
    const char *wrong = number_parse_scaled(row->text, MEBI_SHIFT, &bytes);

    if (row->wrong != NULL)
        assert_string_equal(wrong, row->wrong);
    else
        assert_null(wrong);
    /* An error leaves it untouched. */
    assert_true(bytes == (row->wrong != NULL ? 77 : row->bytes));
}

static void
an_integer_is_digits(void **state)
{
    static const struct {
        const char *text, *wrong;
        guint64 value;
    } rows[] = {
        {"7", NULL, 7},
        {"007", NULL, 7},
        {"+7", NULL, 7},
        {"010", NULL, 10},
        {"9223372036854775807", NULL, G_MAXINT64},
        {"9223372036854775808", "is too large", 0},
        {"99999999999999999999", "is too large", 0},
        {"", "is empty", 0},
        {"+", "is not a number", 0},
        {"-1", "is negative", 0},
        {"1.0", "is not a whole number", 0},
        {"1e3", "is not a number", 0},
        {" 1", "is not a number", 0},
        {"1 ", "is not a number", 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        guint64 value = 0;
        const char *wrong = number_parse(rows[i].text, &value);

        if (g_strcmp0(wrong, rows[i].wrong) != 0 || value != rows[i].value)
            fail_msg("\"%s\": %s", rows[i].text, wrong != NULL ? wrong : "taken");
    }
}

static void
too_many_digits_are_refused(void **state)
{
    g_autofree char *digits = g_strnfill(401, '0');
    g_autofree char *number = g_strconcat("0.", digits, NULL);
    guint64 bytes;

    assert_string_equal(number_parse_scaled(number, MEBI_SHIFT, &bytes), "has too many digits");
}

/* As the head of throttle-number.c says: nine places, below 8 GiB/s. */
static void
nine_places_are_cut_as_a_double_is(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20240611);

    for (guint i = 0; i < 100000; i++) {
        int places = g_rand_int_range(random, 1, 10);
        guint64 ten = 1, bytes = 0;

        for (int place = 0; place < places; place++)
            ten *= 10;
        g_autofree char *text =
            g_strdup_printf("%d.%0*d", g_rand_int_range(random, 0, 8192), places,
                            g_rand_int_range(random, 0, (gint32)MIN(ten, G_MAXINT32)));

        assert_null(number_parse_scaled(text, MEBI_SHIFT, &bytes));
        if (bytes != (guint64)(g_ascii_strtod(text, NULL) * 1024 * 1024))
            fail_msg("%s is %" G_GUINT64_FORMAT, text, bytes);
    }
}

static void
what_is_printed_reads_as_the_same_bytes(void **state)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20240612);

    for (guint i = 0; i < 100000; i++) {
        guint64 bytes = ((guint64)g_rand_int(random) << 32 | g_rand_int(random)) >>
                        g_rand_int_range(random, 14, 64);
        g_autofree char *text = number_format_mebi(bytes);
        guint64 read = 0;

        assert_null(number_parse_scaled(text, MEBI_SHIFT, &read));
        if (read != bytes || (guint64)(g_ascii_strtod(text, NULL) * 1024 * 1024) != bytes)
            fail_msg("%" G_GUINT64_FORMAT " became %s", bytes, text);
    }
}

static void
what_is_printed_is_short(void **state)
{
    static const struct {
        guint64 bytes;
        const char *text;
    } rows[] = {
        {0, "0"},         {1, "0.000001"},         {524288, "0.5"},   {1048575, "0.9999991"},
        {62914560, "60"}, {62914561, "60.000001"}, {63019417, "60.1"}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = number_format_mebi(rows[i].bytes);

        assert_string_equal(text, rows[i].text);
    }
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(an_integer_is_digits),
        cmocka_unit_test(too_many_digits_are_refused),
        cmocka_unit_test(nine_places_are_cut_as_a_double_is),
        cmocka_unit_test(what_is_printed_reads_as_the_same_bytes),
        cmocka_unit_test(what_is_printed_is_short),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(mebi_rows) + G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(mebi_rows); i++)
        tests[n++] = t_row(mebi_rows[i].name, check_mebi, &mebi_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        tests[n++] = others[i];
    return cmocka_run_group_tests_name("throttle numbers", tests, NULL, NULL);
}
