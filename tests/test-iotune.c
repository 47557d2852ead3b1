/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "host.h"
#include "iotune.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *xml;
    const char *pairs; /* "|" between them; NULL: refused */
    const char *wrong; /* the end of the message */
} Row;

static const Row rows[] = {
    {"children are pairs",
     "<iotune>\n  <total_bytes_sec>5</total_bytes_sec>\n  <group_name>a</group_name>\n</iotune>\n",
     "total_bytes_sec|5|group_name|a", NULL},
    {"entities are what they stand for",
     "<iotune><group_name>&lt;a&amp;&#98;</group_name></iotune>", "group_name|<a&b", NULL},
    {"CDATA is text", "<iotune><group_name><![CDATA[<a>]]></group_name></iotune>", "group_name|<a>",
     NULL},
    {"blanks around a value do not count", "<iotune><a> 5\n</a></iotune>", "a|5", NULL},
    {"blanks and comments around elements do not count",
     "<?xml version='1.0'?><!-- x -->\n <iotune> <!-- y --> <a>5</a> </iotune> <!-- z -->", "a|5",
     NULL},
    {"a child may be empty", "<iotune><a/><b></b></iotune>", "a||b|", NULL},
    {"no child is no pair", "<iotune/>", "", NULL},
    {"another root is refused", "<disk><iotune/></disk>", NULL, "is not the outermost element"},
    {"a second root is refused", "<iotune/><iotune/>", NULL, "is followed by another element"},
    {"an element in a child is refused", "<iotune><a><b/></a></iotune>", NULL,
     "holds an element in an element"},
    {"an attribute is refused", "<iotune><a unit='MiB'>5</a></iotune>", NULL, "holds an attribute"},
    {"text between the children is refused", "<iotune>5<a>5</a></iotune>", NULL,
     "has text between its elements"},
    {"text behind the element is refused", "<iotune/>5", NULL, NULL},
    {"an open element is refused", "<iotune><a>5</a>", NULL, NULL},
    {"crossed tags are refused", "<iotune><a>5</iotune></a>", NULL, NULL},
    {"an entity of its own is refused", "<!DOCTYPE x [<!ENTITY e 'y'>]><iotune><a>&e;</a></iotune>",
     NULL, NULL},
    {"a NUL by number is refused", "<iotune><a>&#0;</a></iotune>", NULL, NULL},
    {"nothing is refused", "", NULL, NULL},
};

static void
check(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) pairs = iotune_parse(row->xml, strlen(row->xml), &error);
    g_autofree char *joined = pairs != NULL ? g_strjoinv("|", pairs) : NULL;

    if (row->pairs != NULL) {
        assert_non_null(joined);
        assert_string_equal(joined, row->pairs);
        return;
    }
    assert_null(pairs);
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED));
    if (row->wrong != NULL && !g_str_has_suffix(error->message, row->wrong))
        fail_msg("%s", error->message);
}

static void
what_is_printed_is_read_again(void **state)
{
    static const char *const pairs[] = {"total_bytes_sec", "5", "group_name", "<a&'\"b>", NULL};
    g_autofree char *xml = iotune_print(pairs);
    g_auto(GStrv) read = iotune_parse(xml, strlen(xml), NULL);

    assert_string_equal(xml, "<iotune>\n"
                             "  <total_bytes_sec>5</total_bytes_sec>\n"
                             "  <group_name>&lt;a&amp;&apos;&quot;b&gt;</group_name>\n"
                             "</iotune>\n");
    assert_true(g_strv_equal((const char *const *)read, pairs));
}

static void
ten_thousand_open_elements_are_refused_at_the_third(void **state)
{
    GString *xml = g_string_new("<iotune>");
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < 10000; i++)
        g_string_append(xml, "<a>");
    assert_null(iotune_parse(xml->str, xml->len, &error));
    assert_true(g_str_has_suffix(error->message, "holds an element in an element"));
    g_string_free(xml, TRUE);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 2];
    guint n = 0;

    for (; n < G_N_ELEMENTS(rows); n++)
        tests[n] = t_row(rows[n].name, check, &rows[n]);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_printed_is_read_again);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test(ten_thousand_open_elements_are_refused_at_the_third);
    return cmocka_run_group_tests_name("iotune", tests, NULL, NULL);
}
