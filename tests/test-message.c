/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "message.h"

#include <string.h>

#define BYTES(text) text, sizeof(text) - 1

typedef struct {
    const char *line;
    gsize length;
} Line;

typedef struct {
    const char *line;
    MessageKind kind;
    const char *name, *text;
    const char *body; /* as compact JSON; NULL: none */
    bool has_id;
    gint64 id;
} Kind;

static const struct {
    const char *name;
    Kind facts;
} kinds[] = {
    {"the greeting",
     {.line = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}",
      .kind = MESSAGE_GREETING,
      .body = "{\"version\":{},\"capabilities\":[\"oob\"]}"}},
    {"a reply with an id",
     {.line = "{\"return\": {\"running\": true}, \"id\": 7}",
      .kind = MESSAGE_REPLY,
      .body = "{\"running\":true}",
      .has_id = true,
      .id = 7}},
    {"a reply without an id", {.line = "{\"return\": []}", .kind = MESSAGE_REPLY, .body = "[]"}},
    {"a foreign id is not ours",
     {.line = "{\"return\": 1, \"id\": \"7\"}", .kind = MESSAGE_REPLY, .body = "1"}},
    {"a fraction is no id",
     {.line = "{\"return\": 1, \"id\": 7.0}", .kind = MESSAGE_REPLY, .body = "1"}},
    {"an error",
     {.line = "{\"id\": -1, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}",
      .kind = MESSAGE_ERROR,
      .name = "GenericError",
      .text = "no",
      .body = "{\"class\":\"GenericError\",\"desc\":\"no\"}",
      .has_id = true,
      .id = -1}},
    {"an error that says nothing",
     {.line = "{\"error\": {\"class\": 5}}", .kind = MESSAGE_ERROR, .body = "{\"class\":5}"}},
    {"an event",
     {.line = "{\"timestamp\": {}, \"event\": \"STOP\", \"data\": {\"a\": 1}}",
      .kind = MESSAGE_EVENT,
      .name = "STOP",
      .body = "{\"a\":1}"}},
    {"an event without data",
     {.line = "{\"event\": \"STOP\"}", .kind = MESSAGE_EVENT, .name = "STOP"}},
    {"a request",
     {.line = "{\"execute\": \"status\", \"arguments\": {\"vm\": \"a\"}, \"id\": 1}",
      .kind = MESSAGE_REQUEST,
      .name = "status",
      .body = "{\"vm\":\"a\"}",
      .has_id = true,
      .id = 1}},
    {"blanks around the object are nothing",
     {.line = " \t{ \"event\" :\r\n\"STOP\" } \r\n", .kind = MESSAGE_EVENT, .name = "STOP"}},
    {"comment signs in a string are text",
     {.line = "{\"event\": \"/* // */\"}", .kind = MESSAGE_EVENT, .name = "/* // */"}},
    {"brackets in a string are text",
     {.line = "{\"event\": \"]}{[\"}", .kind = MESSAGE_EVENT, .name = "]}{["}},
    {"an escaped quote does not end the string",
     {.line = "{\"event\": \"a\\\"}b\"}", .kind = MESSAGE_EVENT, .name = "a\"}b"}},
    {"an escaped backslash before u0000 is text",
     {.line = "{\"event\": \"\\\\u0000\"}", .kind = MESSAGE_EVENT, .name = "\\u0000"}},
    {"UTF-8 and its escapes",
     {.line = "{\"event\": \"\xc3\xbc\\u00fc\\ud83d\\ude00\"}",
      .kind = MESSAGE_EVENT,
      .name = "\xc3\xbc\xc3\xbc\xf0\x9f\x98\x80"}},
    {"of a repeated key the last wins",
     {.line = "{\"event\": \"a\", \"event\": \"b\"}", .kind = MESSAGE_EVENT, .name = "b"}},
};

static void
is_read(void **state)
{
    const Kind *facts = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Message) message = message_parse(facts->line, strlen(facts->line), &error);

    assert_null(error);
    assert_non_null(message);
    assert_int_equal(message->kind, facts->kind);
    assert_int_equal(g_strcmp0(message->name, facts->name), 0);
    assert_int_equal(g_strcmp0(message->text, facts->text), 0);
    assert_int_equal(message->has_id, facts->has_id);
    assert_int_equal(message->id, facts->id);
    g_autofree char *body = message->body ? json_to_string(message->body, FALSE) : NULL;
    assert_int_equal(g_strcmp0(body, facts->body), 0);
}

static const struct {
    const char *name;
    Line line;
} hostile[] = {
    {"an empty line", {BYTES("")}},
    {"blanks alone", {BYTES(" \t ")}},
    {"garbage", {BYTES("\177ELF\002\001")}},
    {"an object of no kind", {BYTES("{}")}},
    {"an array", {BYTES("[{\"return\": 1}]")}},
    {"a string", {BYTES("\"return\"")}},
    {"a number", {BYTES("1")}},
    {"two objects", {BYTES("{\"return\": 1} {\"return\": 2}")}},
    {"an object and a bracket", {BYTES("{\"return\": 1}]")}},
    {"an unfinished object", {BYTES("{\"return\": 1")}},
    {"an unfinished string", {BYTES("{\"return\": \"a}")}},
    {"brackets that do not match", {BYTES("{\"return\": [1}]")}},
    {"a closing bracket first", {BYTES("}{\"return\": 1}")}},
    {"a raw NUL in a string", {BYTES("{\"return\": \"a\0b\"}")}},
    {"a raw NUL between tokens", {BYTES("{\"return\":\0 1}")}},
    {"a raw NUL after the object", {BYTES("{\"return\": 1}\0")}},
    {"an escaped NUL", {BYTES("{\"return\": \"a\\u0000b\"}")}},
    {"an escaped NUL in a key", {BYTES("{\"return\": 1, \"a\\u0000\": 1}")}},
    {"an unknown escape", {BYTES("{\"return\": \"\\x41\"}")}},
    {"an escape cut short", {BYTES("{\"return\": \"\\u12")}},
    {"a backslash at the end", {BYTES("{\"return\": \"\\")}},
    {"a raw NUL as an escape", {BYTES("{\"return\": \"\\\0\"}")}},
    {"the second half of a surrogate pair", {BYTES("{\"return\": \"\\ude00a\"}")}},
    {"a first half and another character", {BYTES("{\"return\": \"\\ud83d\\u0041\"}")}},
    {"two second halves", {BYTES("{\"return\": \"\\ude00\\ude00\"}")}},
    {"two first halves", {BYTES("{\"return\": \"\\ud83d\\ud83d\"}")}},
    {"the first half of a surrogate pair", {BYTES("{\"return\": \"\\ud800\"}")}},
    {"a control byte in a string", {BYTES("{\"return\": \"a\nb\"}")}},
    {"bad UTF-8 in a string", {BYTES("{\"return\": \"\xff\xfe\"}")}},
    {"an overlong slash", {BYTES("{\"return\": \"\xc0\xaf\"}")}},
    {"UTF-8 cut short", {BYTES("{\"return\": \"\xe2\x82\"}")}},
    {"UTF-8 between tokens", {BYTES("{\"return\":\xc2\xa0 1}")}},
    {"a block comment", {BYTES("{\"return\": /* 1 */ 2}")}},
    {"a line comment", {BYTES("{\"return\": 1} // done")}},
    {"a hash comment", {BYTES("{\"return\": 1} # done")}},
    {"an assignment", {BYTES("var x = {\"return\": 1};")}},
    {"single quotes", {BYTES("{'return': 1}")}},
    {"a key without quotes", {BYTES("{return: 1}")}},
    {"a trailing comma in an object", {BYTES("{\"return\": 1,}")}},
    {"a trailing comma in an array", {BYTES("{\"return\": [1,]}")}},
    {"a missing colon", {BYTES("{\"return\" 1}")}},
    {"a missing comma", {BYTES("{\"return\": 1 \"id\": 1}")}},
    {"infinity in letters", {BYTES("{\"return\": inf}")}},
    {"not a number in letters", {BYTES("{\"return\": nan}")}},
    {"a word in capitals", {BYTES("{\"return\": True}")}},
    {"an octal number", {BYTES("{\"return\": 010}")}},
    {"a hexadecimal number", {BYTES("{\"return\": 0x10}")}},
    {"a dollar number", {BYTES("{\"return\": $10}")}},
    {"a plus sign", {BYTES("{\"return\": +1}")}},
    {"a lone minus", {BYTES("{\"return\": -}")}},
    {"a minus and a blank", {BYTES("{\"return\": - 1}")}},
    {"a point without digits", {BYTES("{\"return\": 1.}")}},
    {"an exponent without digits", {BYTES("{\"return\": 1e+}")}},
    {"a number json-glib would turn positive", {BYTES("{\"return\": -9223372036854775809}")}},
    {"a number far below int64", {BYTES("{\"return\": -99999999999999999999999}")}},
    {"a greeting that is a word", {BYTES("{\"QMP\": \"hello\"}")}},
    {"an error that is a word", {BYTES("{\"error\": \"no\"}")}},
    {"an event that is a number", {BYTES("{\"event\": 5}")}},
    {"a command that is an object", {BYTES("{\"execute\": {}}")}},
};

/* A copy of that size, so that a sanitizer sees a read past its end. */
static void
is_malformed(void **state)
{
    const Line *line = *state;
    g_autofree char *bytes = g_malloc(MAX(line->length, 1));
    g_autoptr(GError) error = NULL;

    memcpy(bytes, line->line, line->length);
    assert_null(message_parse(bytes, line->length, &error));
    assert_true(g_error_matches(error, QMP_ERROR, QMP_ERROR_MALFORMED));
}

static GString *
repeat(const char *head, const char *piece, guint count, const char *tail)
{
    GString *line = g_string_new(head);

    for (guint i = 0; i < count; i++)
        g_string_append(line, piece);
    g_string_append(line, tail);
    return line;
}

/* The line is malformed by this limit, or (NULL) well. */
static void
assert_limit(GString *line, const char *limit)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Message) message = message_parse(line->str, line->len, &error);

    if (!limit) {
        assert_null(error);
        assert_non_null(message);
        return;
    }
    assert_null(message);
    assert_true(g_error_matches(error, QMP_ERROR, QMP_ERROR_MALFORMED));
    assert_non_null(strstr(error->message, limit));
}

static void
nesting(void **state)
{
    /* The object itself is the first level. */
    for (guint depth = MESSAGE_DEPTH_MAX - 1; depth <= MESSAGE_DEPTH_MAX; depth++) {
        g_autofree char *close = g_strnfill(depth, ']');
        g_autofree char *tail = g_strconcat(close, "}", NULL);
        g_autoptr(GString) line = repeat("{\"return\":", "[", depth, tail);
        assert_limit(line, depth < MESSAGE_DEPTH_MAX ? NULL : "too deep");
    }
    g_autoptr(GString) brackets = repeat("{\"return\":", "[", 1000000, "");
    g_autoptr(GString) braces = repeat("{\"return\":", "{\"a\":", 1000000, "");
    g_autoptr(GString) text = repeat("{\"return\":\"", "[", 1000000, "\"}");
    assert_limit(brackets, "too deep");
    assert_limit(braces, "too deep");
    assert_limit(text, NULL);
}

static void
many_values(void **state)
{
    /* What stands around: an object (4), the key, the array, and the last value. */
    const guint rest = 4 + 1 + 1 + 1;
    g_autoptr(GString) most = repeat("{\"return\":[", "1,", MESSAGE_VALUES_MAX - rest, "1]}");
    g_autoptr(GString) past = repeat("{\"return\":[", "1,", MESSAGE_VALUES_MAX - rest + 1, "1]}");
    g_autoptr(GString) objects = repeat("{\"return\":[", "{},", MESSAGE_VALUES_MAX / 4, "1]}");
    g_autoptr(GString) strings = repeat("{\"return\":[", "\"\",", MESSAGE_VALUES_MAX, "1]}");

    assert_limit(most, NULL);
    assert_limit(past, "too many values");
    assert_limit(objects, "too many values");
    assert_limit(strings, "too many values");
}

static void
many_members(void **state)
{
    g_autoptr(GString) most = repeat("{\"return\":1", ",\"a\":1", MESSAGE_MEMBERS_MAX - 1, "}");
    g_autoptr(GString) past = repeat("{\"return\":1", ",\"a\":1", MESSAGE_MEMBERS_MAX, "}");
    g_autoptr(GString) shared =
        repeat("{\"return\":[", "{\"a\":1},", MESSAGE_MEMBERS_MAX + 1, "1],\"id\":1}");

    assert_limit(most, NULL);
    assert_limit(past, "too many members");
    assert_limit(shared, NULL);
}

/* json-glib 1.6 would see it too, but promises nothing. */
static void
bad_utf8(void **state)
{
    g_autoptr(GString) line = g_string_new("{\"return\":\"\xff\"}");

    assert_limit(line, "not UTF-8");
}

typedef struct {
    const char *json;
    bool is_number;
    guint64 value;
} Number;

static const struct {
    const char *name;
    Number facts;
} numbers[] = {
    {"zero is a number", {.json = "0", .is_number = true, .value = 0}},
    {"the largest int64 is a number",
     {.json = "9223372036854775807", .is_number = true, .value = G_MAXINT64}},
    {"past int64 is missing", {.json = "9223372036854775808"}},
    {"the largest u64 is missing, not -1", {.json = "18446744073709551615"}},
    {"past u64 is missing", {.json = "18446744073709551617"}},
    {"twenty-three digits are missing", {.json = "99999999999999999999999"}},
    {"a negative number is missing", {.json = "-1"}},
    {"the lowest int64 is missing", {.json = "-9223372036854775808"}},
    {"infinity by exponent is missing", {.json = "1e999"}},
    {"a fraction is missing", {.json = "1.5"}},
    {"a whole double is missing", {.json = "1e3"}},
    {"a string is missing", {.json = "\"5\""}},
    {"a boolean is missing", {.json = "true"}},
    {"null is missing", {.json = "null"}},
    {"an object is missing", {.json = "{\"a\":5}"}},
    {"an array is missing", {.json = "[5]"}},
};

static Message *
reply_with(const char *json)
{
    g_autofree char *line = g_strdup_printf("{\"return\":{\"n\":%s,\"innocent\":42}}", json);
    g_autoptr(GError) error = NULL;
    Message *message = message_parse(line, strlen(line), &error);

    assert_null(error);
    return message;
}

static void
reads_number(void **state)
{
    const Number *facts = *state;
    g_autoptr(Message) message = reply_with(facts->json);
    JsonObject *object = json_node_get_object(message->body);
    guint64 value = 77;

    assert_int_equal(message_get_u64(object, "n", &value), facts->is_number);
    assert_int_equal(value, facts->is_number ? facts->value : 77);
    assert_true(message_get_u64(object, "innocent", &value));
    assert_int_equal(value, 42);
    assert_false(message_get_u64(object, "absent", &value));
    assert_int_equal(value, 42);
}

static void
other_types(void **state)
{
    static const char *const values[] = {"true", "\"x\"", "{}", "[]", "null", "5", "0.5"};

    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autoptr(Message) message = reply_with(values[i]);
        JsonObject *object = json_node_get_object(message->body);
        bool is_true = false;

        assert_int_equal(message_get_bool(object, "n", &is_true), i == 0);
        assert_int_equal(is_true, i == 0);
        assert_int_equal(message_get_string(object, "n") != NULL, i == 1);
        assert_int_equal(message_get_object(object, "n") != NULL, i == 2);
        assert_int_equal(message_get_array(object, "n") != NULL, i == 3);
    }
}

static void
nothing_in_nothing(void **state)
{
    guint64 value = 77;
    bool is_true = true;

    assert_false(message_get_u64(NULL, "n", &value));
    assert_false(message_get_bool(NULL, "n", &is_true));
    assert_null(message_get_string(NULL, "n"));
    assert_null(message_get_object(NULL, "n"));
    assert_null(message_get_array(NULL, "n"));
    assert_int_equal(value, 77);
    assert_true(is_true);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"nesting ends at 1024 levels, outside of strings", nesting, NULL, NULL, NULL},
        {"the values of a line are counted", many_values, NULL, NULL, NULL},
        {"the members of one object are counted", many_members, NULL, NULL, NULL},
        {"bad UTF-8 is seen before the parser", bad_utf8, NULL, NULL, NULL},
        {"a reader takes its own type only", other_types, NULL, NULL, NULL},
        {"nothing is in no object", nothing_in_nothing, NULL, NULL, NULL},
    };
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        g_array_append_val(all, t_row(kinds[i].name, is_read, &kinds[i].facts));
    for (guint i = 0; i < G_N_ELEMENTS(hostile); i++)
        g_array_append_val(all, t_row(hostile[i].name, is_malformed, &hostile[i].line));
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        g_array_append_val(all, t_row(numbers[i].name, reads_number, &numbers[i].facts));
    g_array_append_vals(all, tests, G_N_ELEMENTS(tests));
    return _cmocka_run_group_tests("message", (struct CMUnitTest *)(gpointer)all->data, all->len,
                                   NULL, NULL);
}
