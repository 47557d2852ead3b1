/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fd.h"
#include "run-ctl.h"
#include "settings.h"
#include "tree.h"

#include <string.h>

/* words: after `guardianctl config`, blanks between them. */
static Run
run_words(Tree *tree, bool is_json, const char *words)
{
    g_autofree char *line = g_strconcat("config ", words, NULL);
    g_auto(GStrv) argv = g_strsplit(g_strchomp(line), " ", -1);
    CtlOptions options = {.is_json = is_json};

    for (guint i = 0; i < HOST_N_ROOTS; i++)
        options.roots[i] = tree_root(tree);
    return run_verb(ctl_config, &options, argv);
}

static int
tree_set_up(void **state)
{
    Tree *tree = tree_new();

    tree_file(tree, "guardian.conf",
              "[guardian]\nexclude = test-*, lab\n[freeze]\npatience = 90\n");
    tree_file(tree, "vm.d/10-web.conf", "[Match]\nname = web*\n[monitor]\nown = yes\n");
    *state = tree;
    return 0;
}

static int
tree_tear_down(void **state)
{
    tree_free(*state);
    return 0;
}

/* The line of a setting, blanks squeezed and the tree's path cut off; a new string. */
static char *
find_line(Tree *tree, const char *out, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(out, "\n", -1);
    g_autofree char *prefix = g_strconcat(tree_root(tree), "/", NULL);

    for (guint i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i], prefix, -1);
        g_autofree char *cut = g_strjoinv("", parts);
        g_autoptr(GRegex) blanks = g_regex_new(" +", 0, 0, NULL);

        if (g_str_has_prefix(cut, name) && cut[strlen(name)] == ' ')
            return g_regex_replace_literal(blanks, cut, -1, 0, " ", 0, NULL);
    }
    return NULL;
}

static void
assert_line(Tree *tree, const Run *run, const char *name, const char *expected)
{
    g_autofree char *line = find_line(tree, run->out, name);

    assert_non_null(line);
    assert_string_equal(line, expected);
}

static void
show_names_every_value_and_its_origin(void **state)
{
    g_auto(Run) run = run_words(*state, false, "show");
    g_auto(GStrv) lines = g_strsplit(run.out, "\n", -1);

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_int_equal(g_strv_length(lines), n_settings + 1);
    assert_line(*state, &run, "freeze.patience", "freeze.patience = 90s guardian.conf:4");
    assert_line(*state, &run, "freeze.settle", "freeze.settle = 10s default");
    assert_line(*state, &run, "guardian.include", "guardian.include = (unset) default");
    assert_line(*state, &run, "guardian.exclude", "guardian.exclude = test-* lab guardian.conf:2");
    assert_line(*state, &run, "monitor.own", "monitor.own = no default");
}

static void
show_of_a_vm_knows_its_files(void **state)
{
    g_auto(Run) run = run_words(*state, false, "show web1");

    assert_int_equal(run.status, 0);
    assert_true(g_str_has_prefix(
        run.out, "# web1, taken as name, id or uuid; files in vm.d that match it: 1\n"));
    assert_line(*state, &run, "monitor.own", "monitor.own = yes vm.d/10-web.conf:4");
    assert_line(*state, &run, "freeze.patience", "freeze.patience = 90s guardian.conf:4");
}

static void
show_of_another_vm_does_not(void **state)
{
    g_auto(Run) run = run_words(*state, false, "show db\033[2J");

    assert_int_equal(run.status, 0);
    assert_true(g_str_has_prefix(run.out, "# db\\x1b[2J, taken as name, id or uuid; files in vm.d "
                                          "that match it: 0\n"));
    assert_line(*state, &run, "monitor.own", "monitor.own = no default");
}

static JsonObject *
parse_json(JsonParser *parser, const Run *run)
{
    assert_true(json_parser_load_from_data(parser, run->out, -1, NULL));
    assert_int_equal(
        json_object_get_int_member(json_node_get_object(json_parser_get_root(parser)), "schema"),
        1);
    return json_node_get_object(json_parser_get_root(parser));
}

static JsonObject *
find_setting(JsonObject *root, const char *section, const char *key)
{
    JsonArray *array = json_object_get_array_member(root, "settings");

    for (guint i = 0; i < json_array_get_length(array); i++) {
        JsonObject *object = json_array_get_object_element(array, i);

        if (strcmp(json_object_get_string_member(object, "section"), section) == 0 &&
            strcmp(json_object_get_string_member(object, "key"), key) == 0)
            return object;
    }
    fail_msg("no [%s] %s", section, key);
    return NULL;
}

static void
show_gives_programs_typed_values(void **state)
{
    g_auto(Run) run = run_words(*state, true, "show web1");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = parse_json(parser, &run);
    JsonObject *patience = find_setting(root, "freeze", "patience");
    JsonObject *include = find_setting(root, "guardian", "include");
    JsonObject *exclude = find_setting(root, "guardian", "exclude");

    assert_string_equal(json_object_get_string_member(root, "vm"), "web1");
    assert_int_equal(json_array_get_length(json_object_get_array_member(root, "vm_files")), 1);
    assert_int_equal(json_array_get_length(json_object_get_array_member(root, "settings")),
                     n_settings);
    assert_string_equal(json_object_get_string_member(patience, "text"), "90s");
    assert_int_equal(json_object_get_int_member(patience, "value"), 90000000);
    assert_string_equal(json_object_get_string_member(patience, "unit"), "us");
    assert_false(json_object_get_boolean_member(patience, "is_default"));
    assert_true(json_object_get_null_member(include, "text"));
    assert_true(json_object_get_null_member(include, "value"));
    assert_true(json_object_get_null_member(include, "unit"));
    assert_true(json_object_get_boolean_member(include, "is_default"));
    assert_string_equal(json_object_get_string_member(exclude, "text"), "test-* lab");
    assert_int_equal(json_array_get_length(json_object_get_array_member(exclude, "value")), 2);
    assert_true(json_object_get_boolean_member(find_setting(root, "monitor", "own"), "value"));
    assert_string_equal(
        json_object_get_string_member(find_setting(root, "guardian", "mode"), "value"), "observe");
    assert_string_equal(
        json_object_get_string_member(find_setting(root, "memory", "kubevirt_version"), "value"),
        "main");
    assert_string_equal(
        json_object_get_string_member(find_setting(root, "memory", "kubevirt_ratio"), "unit"),
        "thousandths");
}

static void
show_of_the_host_has_no_vm(void **state)
{
    g_auto(Run) run = run_words(*state, true, "show");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = parse_json(parser, &run);

    assert_true(json_object_get_null_member(root, "vm"));
    assert_int_equal(json_array_get_length(json_object_get_array_member(root, "vm_files")), 0);
}

static void
check_counts_what_is_good(void **state)
{
    g_auto(Run) run = run_words(*state, false, "check");

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_string_equal(run.out, "configuration is good: 2 files, 3 settings, 1 VM overrides\n");
}

static void
check_names_each_error_on_a_line(void **state)
{
    Tree *tree = *state;
    g_autofree char *words = g_strdup_printf("check %s", tree_path(tree, "bad"));
    g_autofree char *expected = NULL;

    tree_file(tree, "bad/guardian.conf", "[freeze]\npatience = 10GB\npatiense = 1\n");
    expected = g_strdup_printf("%1$s/guardian.conf:2: [freeze] patience: \"10GB\" has an unknown "
                               "unit: use ms, s, m, h or d\n"
                               "%1$s/guardian.conf:3: unknown key \"patiense\" in [freeze]; did "
                               "you mean \"patience\"?\n",
                               tree_path(tree, "bad"));
    g_auto(Run) run = run_words(tree, false, words);

    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_string_equal(run.err, expected);
}

static void
check_gives_programs_the_errors(void **state)
{
    Tree *tree = *state;
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = NULL;
    JsonArray *errors = NULL;

    tree_file(tree, "guardian.conf.d/bad.conf", "[freeze]\npatience = abc\nsettle = abc\n");
    g_auto(Run) run = run_words(tree, true, "check");

    assert_int_equal(run.status, 2);
    root = parse_json(parser, &run);
    errors = json_object_get_array_member(root, "errors");
    assert_false(json_object_get_boolean_member(root, "is_good"));
    assert_int_equal(json_array_get_length(errors), 2);
    assert_true(g_str_has_suffix(json_array_get_string_element(errors, 1),
                                 "/bad.conf:3: [freeze] settle: \"abc\" is not a number"));
}

static void
check_gives_programs_the_counts(void **state)
{
    g_auto(Run) run = run_words(*state, true, "check");
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root = parse_json(parser, &run);

    assert_int_equal(run.status, 0);
    assert_true(json_object_get_boolean_member(root, "is_good"));
    assert_int_equal(json_object_get_int_member(root, "files"), 2);
    assert_int_equal(json_object_get_int_member(root, "settings"), 3);
    assert_int_equal(json_object_get_int_member(root, "overrides"), 1);
    assert_int_equal(json_array_get_length(json_object_get_array_member(root, "errors")), 0);
}

static void
a_directory_that_is_not_there_is_not_good(void **state)
{
    g_auto(Run) run = run_words(*state, false, "check /nonexistent/vm-guardian");

    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_string_equal(
        run.err, "guardianctl: cannot open /nonexistent/vm-guardian: No such file or directory\n");
}

static void
sample_prints_the_table(void **state)
{
    g_auto(Run) run = run_words(*state, false, "sample");
    g_autofree char *sample = settings_print_sample();

    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, sample);
}

static void
wrong_usage_is_one_line_and_two(void **state)
{
    static const char *const wrong[] = {"",         "frobnicate", "show a b",      "check a b",
                                        "sample a", "reload a",   "show --verbose"};

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_auto(Run) run = run_words(*state, false, wrong[i]);

        assert_int_equal(run.status, 2);
        assert_string_equal(run.out, "");
        assert_string_equal(run.err, "guardianctl: usage: guardianctl config show [VM] | check "
                                     "[DIR] | sample | reload\n");
    }
}

#define tree_test(test) cmocka_unit_test_setup_teardown(test, tree_set_up, tree_tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        tree_test(show_names_every_value_and_its_origin),
        tree_test(show_of_a_vm_knows_its_files),
        tree_test(show_of_another_vm_does_not),
        tree_test(show_gives_programs_typed_values),
        tree_test(show_of_the_host_has_no_vm),
        tree_test(check_counts_what_is_good),
        tree_test(check_names_each_error_on_a_line),
        tree_test(check_gives_programs_the_errors),
        tree_test(check_gives_programs_the_counts),
        tree_test(a_directory_that_is_not_there_is_not_good),
        tree_test(sample_prints_the_table),
        tree_test(wrong_usage_is_one_line_and_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
