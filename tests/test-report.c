/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "message.h"
#include "report.h"

#include <string.h>
#include <unistd.h>

#define LINE_COLUMNS 80
#define LONG_NAME                                                                                  \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
    "nnnn"                                                                                         \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
    "nnnn"                                                                                         \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

/* Is there a byte in it that a terminal would obey, or a character that turns a line around? */
static void
assert_harmless(const char *text)
{
    assert_true(g_utf8_validate(text, -1, NULL));
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        GUnicodeType type = g_unichar_type(c);

        if (c != '\n' && (type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT ||
                          type == G_UNICODE_LINE_SEPARATOR))
            fail_msg("U+%04X in: %s", c, text);
    }
}

static guint
columns_of(const char *line)
{
    guint columns = 0;

    for (; *line; line = g_utf8_next_char(line)) {
        gunichar c = g_utf8_get_char(line);

        columns += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return columns;
}

static void
assert_fits_a_console(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++)
        if (columns_of(lines[i]) > LINE_COLUMNS)
            fail_msg("%u columns: %s", columns_of(lines[i]), lines[i]);
}

static JsonNode *
parse(const char *json)
{
    g_autoptr(GError) error = NULL;
    JsonNode *node = json_from_string(json, &error);

    if (!node)
        fail_msg("%s: %s", error ? error->message : "empty", json);
    return node;
}

/* Names a VM chose, as they come out of /proc, all at once. */
typedef struct {
    const char *raw, *printable;
    pid_t pid;
} NameRow;

static const NameRow names[] = {
    {"plain", "plain", 100},
    {"two\nlines", "two\\x0alines", 101},
    {"\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m", 102},
    {"\"quoted\" 'and' more", "\"quoted\" 'and' more", 103},
    {"$(reboot)", "$(reboot)", 104},
    {"\xff\xfe", "\\xff\\xfe", 105},
    {"abc\xe2\x80\xae"
     "fdp.exe",
     "abc\\xe2\\x80\\xaefdp.exe", 106},
    {"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad"
     "\x97\xe6\xbc\xa2\xe5\xad\x97",
     "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad"
     "\x97\xe6\xbc\xa2\xe5\xad\x97",
     107},
    {"\xc2\x9b"
     "31m",
     "\\xc2\\x9b31m", 108},
    {LONG_NAME, LONG_NAME, 109},
    {"twin", "twin", 110},
    {"twin", "twin", 111},
    {"back\\slash", "back\\x5cslash", 112},
};

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    JsonNode *state;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autoptr(GError) error = NULL;
    Config *config;

    *state = fixture;
    fixture->tree = tree_new();
    tree_file(fixture->tree, "config/guardian.conf", "[guardian]\nmode = enforce\n");
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *name = g_strconcat("guest=", names[i].raw, NULL);
        const char *const words[] = {"/usr/bin/kvm", "-name", name, "-uuid", names[i].raw, NULL};

        fake_host_process(fixture->tree, names[i].pid, 1, "kvm", words);
    }
    config = config_load(fixture->host, &error);
    assert_non_null(config);
    fixture->guardian = guardian_new(fixture->host, fixture->context, config);
    guardian_look_twice(fixture->guardian, 0);
    fixture->state = report_state(fixture->guardian, true);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    json_node_unref(fixture->state);
    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static JsonObject *
find_vm(const Fixture *fixture, pid_t pid)
{
    JsonArray *vms = json_object_get_array_member(json_node_get_object(fixture->state), "vms");

    for (guint i = 0; i < json_array_get_length(vms); i++) {
        JsonObject *vm = json_array_get_object_element(vms, i);

        if (json_object_get_int_member(vm, "pid") == pid)
            return vm;
    }
    fail_msg("no VM has pid %d", (int)pid);
    return NULL;
}

static void
json_parses_back_whatever_the_names_are(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = json_to_string(fixture->state, TRUE);
    g_autoptr(JsonNode) back = parse(text);

    assert_harmless(text);
    assert_true(json_node_equal(fixture->state, back));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        assert_string_equal(json_object_get_string_member(find_vm(fixture, names[i].pid), "name"),
                            names[i].printable);
}

static void
what_is_unknown_is_null(void **state)
{
    static const char *const memory_members[] = {
        "limit_bytes",    "limit_group",       "guest_ram_bytes", "overhead_low_bytes",
        "headroom_bytes", "group_usage_bytes", "group",           "reservation_bytes"};
    static const char *const vm_members[] = {"id", "run", "qemu_version", "disks"};
    Fixture *fixture = *state;
    JsonObject *vm = find_vm(fixture, 100);
    JsonObject *memory = json_object_get_object_member(vm, "memory");
    g_autofree char *text = report_status_text(json_node_get_object(fixture->state), false);

    for (guint i = 0; i < G_N_ELEMENTS(memory_members); i++)
        assert_true(json_object_get_null_member(memory, memory_members[i]));
    for (guint i = 0; i < G_N_ELEMENTS(vm_members); i++)
        assert_true(json_object_get_null_member(vm, vm_members[i]));
    assert_false(json_object_get_boolean_member(memory, "limit_known"));
    assert_int_equal(json_object_get_int_member(memory, "process_anon_bytes"), 1 << 30);
    assert_null(strstr(text, " -1"));
    assert_non_null(
        strstr(text, "plain          unknown     -     -         -     -     -   - no-monitor "));
}

static void
the_state_says_when_and_how(void **state)
{
    Fixture *fixture = *state;
    JsonObject *object = json_node_get_object(fixture->state);
    const char *now = json_object_get_string_member(object, "now_utc");
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(now, NULL);

    assert_int_equal(json_object_get_int_member(object, "schema"), 1);
    assert_string_equal(json_object_get_string_member(object, "mode"), "enforce");
    assert_true(json_object_get_boolean_member(object, "daemon"));
    assert_non_null(time);
    assert_true(g_str_has_suffix(now, "Z"));
    assert_true(ABS(g_date_time_to_unix(time) - g_get_real_time() / G_USEC_PER_SEC) < 60);
}

static void
every_text_is_harmless_and_status_fits_a_console(void **state)
{
    Fixture *fixture = *state;
    JsonObject *object = json_node_get_object(fixture->state);
    g_autofree char *status = report_status_text(object, false);
    g_autofree char *list = report_list_text(object);

    assert_harmless(status);
    assert_harmless(list);
    assert_fits_a_console(status);
    assert_non_null(strstr(status, "two\\x0alines"));
    assert_non_null(strstr(list, "\\x1b[31mred"));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *explained = report_explain_text(find_vm(fixture, names[i].pid), false);

        assert_harmless(explained);
        assert_non_null(strstr(explained, names[i].printable));
    }
}

static void
colour_moves_no_column(void **state)
{
    Fixture *fixture = *state;
    JsonObject *object = json_node_get_object(fixture->state);
    g_autofree char *plain = report_status_text(object, false);
    g_autofree char *coloured = report_status_text(object, true);
    g_autoptr(GRegex) escapes = g_regex_new("\033\\[[0-9;]*m", 0, 0, NULL);
    g_autofree char *bare = g_regex_replace(escapes, coloured, -1, 0, "", 0, NULL);

    assert_string_not_equal(coloured, plain);
    assert_string_equal(bare, plain);
}

/* A whole state in which everything is as wide as it can be. */
#define WIDE_VM(name, state, layer, since)                                                         \
    "{\"name\": \"" name "\", \"pid\": 4194304, \"state\": \"" state "\", \"layer\": \"" layer     \
    "\", \"cause\": \"\", \"since_s\": " since ", \"memory\": {"                                   \
    "\"limit_bytes\": 9223372036854775807, \"guest_ram_bytes\": 1072693248, "                      \
    "\"overhead_low_bytes\": 1072693248, \"overhead_high_bytes\": 1047527424, "                    \
    "\"reservation_bytes\": 1072693248, \"headroom_bytes\": -1072693248}, \"disks\": ["            \
    "{\"label\": \"" LONG_NAME "\", \"state\": \"" state "\", \"layer\": \"" layer                 \
    "\", \"since_utc\": \"2026-07-30T15:21:07Z\"}]}"

static void
the_widest_row_fits_and_its_age_is_whole(void **state)
{
    g_autoptr(JsonNode) node =
        parse("{\"daemon\": false, \"now_utc\": \"2026-07-30T15:21:07Z\", \"vms\": "
              "[" WIDE_VM(LONG_NAME, "frozen", "main-loop-blocked", "356459") ", " WIDE_VM(
                  "web", "frozen", "process-stopped",
                  "9223372036854775807") ", " WIDE_VM("db", "ok", "not-running",
                                                      "-9223372036854775808") "]}");
    JsonObject *object = json_node_get_object(node);
    g_autofree char *text = report_status_text(object, false);

    assert_fits_a_console(text);
    assert_non_null(strstr(text, "~ 4d03h\n"));
    assert_non_null(strstr(text, "  -> guardianctl explain 4194304\n"));
    assert_non_null(strstr(text, "  -> guardianctl explain web\n"));
    assert_int_equal(report_exit_status(object), 1);
}

static void
the_worst_comes_first(void **state)
{
    g_autoptr(JsonNode) node =
        parse("{\"vms\": [{\"name\": \"b\", \"state\": \"ok\"}, {\"name\": \"a\", \"state\": "
              "\"ok\"}, {\"name\": \"c\", \"state\": \"frozen\"}, {\"name\": \"d\", \"state\": "
              "\"unknown\"}]}");
    g_autoptr(GPtrArray) vms = report_vms_sorted(json_node_get_object(node));
    static const char order[] = "cdab";

    assert_int_equal(vms->len, 4);
    for (guint i = 0; i < vms->len; i++)
        assert_int_equal(*json_object_get_string_member(vms->pdata[i], "name"), order[i]);
}

static void
no_vm_is_said_and_is_no_alarm(void **state)
{
    g_autoptr(JsonNode) node = parse("{\"vms\": []}");
    g_autofree char *text = report_status_text(json_node_get_object(node), false);

    assert_true(g_str_has_prefix(text, "No VM found"));
    assert_fits_a_console(text);
    assert_int_equal(report_exit_status(json_node_get_object(node)), 0);
}

typedef struct {
    const char *name, *json;
} ShapeRow;

static const ShapeRow shape_rows[] = {
    {"an empty state is read", "{}"},
    {"VMs that are no array are read", "{\"vms\": 5, \"now_utc\": [], \"daemon\": \"yes\"}"},
    {"VMs that are no objects are read", "{\"vms\": [1, null, \"x\", [], {}]}"},
    {"a VM of nulls is read",
     "{\"vms\": [{\"name\": null, \"state\": null, \"memory\": null, \"disks\": null, \"monitor\": "
     "null, \"since_s\": null, \"signals\": null}]}"},
    {"a VM of wrong types is read",
     "{\"vms\": [{\"name\": 7, \"state\": [], \"layer\": {}, \"cause\": 1.5, \"pid\": \"x\", "
     "\"memory\": [], \"disks\": {}, \"monitor\": 1, \"since_s\": true, \"named_utc\": 4, "
     "\"signals\": [{}, [], 1]}]}"},
    {"disks that are no objects are read",
     "{\"vms\": [{\"name\": \"a\", \"state\": \"frozen\", \"disks\": [1, null, [], \"x\", "
     "{\"state\": \"frozen\"}, {\"label\": 5, \"state\": 3, \"idle_ms\": -5}]}]}"},
    {"numbers at their ends are read",
     "{\"vms\": [{\"name\": \"a\", \"state\": \"frozen\", \"pid\": -9223372036854775808, "
     "\"since_s\": 9223372036854775807, \"patience_ms\": -1, \"memory\": {\"limit_bytes\": "
     "-9223372036854775808, \"headroom_bytes\": -9223372036854775808}, \"monitor\": "
     "{\"waited_us\": -9223372036854775808}}]}"},
    {"times that are no times are read",
     "{\"vms\": [{\"name\": \"a\", \"state\": \"frozen\", \"since_utc\": \"yesterday\", "
     "\"named_utc\": \"\"}]}"},
    {"a state of an unknown word is read",
     "{\"vms\": [{\"name\": \"\", \"state\": \"melted\", \"layer\": \"\"}]}"},
};

static void
any_shape_is_read(void **state)
{
    const ShapeRow *row = *state;
    GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
    g_autoptr(JsonNode) node = parse(row->json);
    JsonObject *object = json_node_get_object(node);
    g_autoptr(GPtrArray) vms = report_vms_sorted(object);
    g_autofree char *status = report_status_text(object, true);
    g_autofree char *list = report_list_text(object);

    assert_null(strstr(status, "(null)"));
    assert_null(strstr(list, "(null)"));
    for (guint i = 0; i < vms->len; i++) {
        g_autofree char *explained = report_explain_text(vms->pdata[i], true);

        assert_null(strstr(explained, "(null)"));
        assert_null(strstr(explained, "-CONT 0"));
        (void)report_vm_exit_status(vms->pdata[i]);
    }
    g_log_set_always_fatal(fatal);
}

typedef struct {
    const char *name, *vm_name, *expected;
} CallRow;

static const CallRow call_rows[] = {
    {"a plain name is what to type", "web-1.example:a@b", "web-1.example:a@b"},
    {"a command in a name is not what to type", "$(reboot)", "42"},
    {"a blank in a name is not what to type", "a b", "42"},
    {"an option as a name is not what to type", "--json", "42"},
    {"an escape in a name is not what to type", "a\\x0a", "42"},
    {"no name is not what to type", "", "42"},
    {"a name as long as a line is not what to type", LONG_NAME, "42"},
};

static void
call_is_safe(void **state)
{
    const CallRow *row = *state;
    g_autofree char *call = report_call(row->vm_name, 42);

    assert_string_equal(call, row->expected);
}

static void
times_are_utc(void **state)
{
    g_autofree char *text = NULL;

    g_setenv("TZ", "Asia/Tokyo", TRUE);
    text = report_utc(G_GINT64_CONSTANT(1785424867000000));
    g_unsetenv("TZ");
    assert_string_equal(text, "2026-07-30T15:21:07Z");
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        row(json_parses_back_whatever_the_names_are),
        row(what_is_unknown_is_null),
        row(the_state_says_when_and_how),
        row(every_text_is_harmless_and_status_fits_a_console),
        row(colour_moves_no_column),
        cmocka_unit_test(the_widest_row_fits_and_its_age_is_whole),
        cmocka_unit_test(the_worst_comes_first),
        cmocka_unit_test(no_vm_is_said_and_is_no_alarm),
        cmocka_unit_test(times_are_utc),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(shape_rows) + G_N_ELEMENTS(call_rows)];
    guint n = G_N_ELEMENTS(fixed);

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(shape_rows); i++)
        tests[n++] = t_row(shape_rows[i].name, any_shape_is_read, &shape_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(call_rows); i++)
        tests[n++] = t_row(call_rows[i].name, call_is_safe, &call_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
