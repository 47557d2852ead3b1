/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "message.h"
#include "pairs.h"

#include <string.h>

typedef struct {
    const char *name;
    const char *json;
    const char *pairs; /* "|" between them; NULL: refused */
    const char *wrong;
} Row;

static const Row rows[] = {
    {"numbers and strings are their text", "{\"bps\": 5, \"group\": \"a b\", \"low\": -7}",
     "bps|5|group|a b|low|-7", NULL},
    {"members keep their order", "{\"b\":1,\"a\":2,\"c\":3}", "b|1|a|2|c|3", NULL},
    {"a large integer is exact", "{\"a\":9007199254740993}", "a|9007199254740993", NULL},
    {"truth is a word", "{\"a\":true,\"b\":false}", "a|true|b|false", NULL},
    {"what has no text is JSON", "{\"a\":null,\"b\":[1, 2],\"c\":{\"d\":1},\"e\":1.5}",
     "a|null|b|[1,2]|c|{\"d\":1}|e|1.5", NULL},
    {"an integer past int64 is no number of ours", "{\"a\":18446744073709551615}", "a|-1", NULL},
    {"several lines are one object", "\n{\n  \"a\": 1\n}\n", "a|1", NULL},
    {"an empty object is empty", "{}", "", NULL},
    {"a whole answer is what it returns", "{\"return\":{\"a\":1},\"id\":2}", "a|1", NULL},
    {"a device is what is inserted", "{\"qdev\":\"v\",\"inserted\":{\"a\":1}}", "a|1", NULL},
    {"an empty drive is itself", "{\"qdev\":\"v\",\"removable\":true}", "qdev|v|removable|true",
     NULL},
    {"a list is refused", "[1]", NULL, "malformed line: not an object"},
    {"nothing is refused", " ", NULL, "malformed line: empty"},
    {"two objects are refused", "{} {}", NULL, "malformed line: more than one object"},
    {"half an object is refused", "{\"a\":1", NULL, "malformed line: unfinished object"},
    {"octal is refused", "{\"a\":010}", NULL, "malformed line: bad number"},
};

static void
check(void **state)
{
    const Row *row = *state;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) pairs = pairs_from_json(row->json, strlen(row->json), &error);
    g_autofree char *joined = pairs != NULL ? g_strjoinv("|", pairs) : NULL;

    if (row->pairs != NULL) {
        assert_non_null(joined);
        assert_string_equal(joined, row->pairs);
    } else {
        assert_null(pairs);
        assert_true(g_error_matches(error, QMP_ERROR, QMP_ERROR_MALFORMED));
        assert_string_equal(error->message, row->wrong);
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, check, &rows[i]);
    return cmocka_run_group_tests_name("pairs", tests, NULL, NULL);
}
