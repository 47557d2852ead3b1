/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "config.h"
#include "tree.h"

#include <string.h>

/* A host whose configuration is a directory of a fixture tree, and nothing else of it is looked at.
 */
typedef struct {
    Tree *tree;
    Host *host;
} Fixture;

static int
fixture_set_up(void **state)
{
    const char *roots[HOST_N_ROOTS] = {NULL};
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    for (guint i = 0; i < HOST_N_ROOTS; i++)
        roots[i] = tree_root(fixture->tree);
    fixture->host = host_new(roots, NULL);
    *state = fixture;
    return fixture->host != NULL ? 0 : -1;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* The error's message without the tree's own path in it; NULL when there was no error. */
static char *
load_error(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = config_load(fixture->host, &error);
    g_autofree char *prefix = g_strconcat(tree_root(fixture->tree), "/", NULL);
    g_auto(GStrv) parts = NULL;

    if (config != NULL)
        return NULL;
    assert_non_null(error);
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_CONFIG));
    parts = g_strsplit(error->message, prefix, -1);
    return g_strjoinv("", parts);
}

static Config *
load(Fixture *fixture)
{
    GError *error = NULL;
    Config *config = config_load(fixture->host, &error);

    if (config == NULL)
        print_message("# %s\n", error->message);
    assert_non_null(config);
    return config;
}

static gint64
patience_s(const Config *config, const ConfigSubject *subject)
{
    g_auto(Limits) limits = {0};

    config_limits(config, subject, &limits);
    return limits.patience_us / G_USEC_PER_SEC;
}

/* Where the patience comes from, below the tree. */
static void
assert_patience_origin(Fixture *fixture, const Config *config, const ConfigSubject *subject,
                       const char *expected)
{
    g_autofree char *origin = config_origin(config, subject, setting_find("freeze", "patience"));
    g_autofree char *path = g_strconcat(tree_root(fixture->tree), "/", expected, NULL);

    assert_string_equal(origin, path);
}

#define MATCH "[Match]\nname = web\n"

static void
no_file_at_all_is_the_defaults(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = load(fixture);
    g_autofree char *origin = config_origin(config, NULL, setting_find("freeze", "patience"));

    assert_int_equal(patience_s(config, NULL), 20);
    assert_string_equal(origin, "default");
    assert_int_equal(config_count(config).files, 0);
}

/* What the owner of the VM web says. */
static GPtrArray *
owner_says(const char *line)
{
    GPtrArray *words = owner_words_new();

    owner_take_description(words, line, "the notes");
    return words;
}

static void
the_host_has_the_last_word(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) owner =
        owner_says("vm-guardian: freeze.patience=40s freeze.settle=12s freeze.settle=13s");
    const ConfigSubject web = {.name = "web", .owner = owner}, db = {.name = "db", .owner = owner};
    g_autoptr(Config) config = NULL;
    g_autofree char *origin = NULL, *settle = NULL;
    g_auto(Limits) limits = {0};

    tree_file(fixture->tree, "guardian.conf", "[freeze]\npatience = 30s\nsettle = 11s\n");
    tree_file(fixture->tree, "vm.d/10-web.conf", MATCH "[freeze]\npatience = 33s\n");
    config = load(fixture);
    assert_int_equal(patience_s(config, NULL), 30);
    assert_int_equal(patience_s(config, &web), 33); /* vm.d is the host's */
    assert_patience_origin(fixture, config, &web, "vm.d/10-web.conf:4");
    assert_int_equal(patience_s(config, &db), 40);
    origin = config_origin(config, &db, setting_find("freeze", "patience"));
    assert_string_equal(origin, "the notes (the owner's)");
    config_limits(config, &web, &limits);
    assert_int_equal(limits.settle_us / G_USEC_PER_SEC, 13); /* the last of his words */
    settle = config_origin(config, &web, setting_find("freeze", "settle"));
    assert_string_equal(settle, "the notes (the owner's)");
}

static void
an_owner_sets_only_what_the_host_lets_him(void **state)
{
    static const struct {
        const char *word, *conf; /* conf: of [guardian] */
        bool is_watched;
        const char *problem;
    } rows[] = {
        {"guardian.watch=no", "", true, "is not the owner's to set ([guardian] owner_may_set)"},
        {"guardian.watch=no", "owner_may_set = guardian.w*", false, NULL},
        {"guardian.watch=no", "owner_may_set = none", true,
         "is not the owner's to set ([guardian] owner_may_set)"},
        {"freeze.patience=60s", "owner_may_set = none", true,
         "is not the owner's to set ([guardian] owner_may_set)"},
        {"freeze.patience=60s", "", true, NULL},
        {"guardian.owner_may_set=*", "owner_may_set = *", true,
         "is not the owner's to set ([guardian] owner_may_set)"}, /* the host's own */
        {"guardian.exclude=x", "owner_may_set = *", true,
         "is not the owner's to set ([guardian] owner_may_set)"},
        {"guardian.wotch=no", "owner_may_set = *", true, "there is no such setting"},
        {"off", "owner_may_set = *", true, "there is no such setting"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        Fixture *fixture = *state;
        g_autofree char *line = g_strconcat("vm-guardian: ", rows[i].word, NULL);
        g_autofree char *text = g_strconcat("[guardian]\n", rows[i].conf, "\n", NULL);
        g_autoptr(GPtrArray) owner = owner_says(line);
        const ConfigSubject web = {.name = "web", .owner = owner};
        g_autoptr(Config) config = NULL;
        g_autofree char *problem = NULL;
        g_auto(Limits) limits = {0};

        tree_file(fixture->tree, "guardian.conf", text);
        config = load(fixture);
        config_limits(config, &web, &limits);
        problem = config_owner_problem(config, owner->pdata[0]);
        if ((limits.watch != 0) != rows[i].is_watched || g_strcmp0(problem, rows[i].problem) != 0)
            fail_msg("%s with \"%s\": watched %d, %s", rows[i].word, rows[i].conf,
                     (int)limits.watch, problem);
    }
}

static void
an_owners_wrong_value_changes_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) owner = owner_says("vm-guardian: freeze.patience=soon");
    const ConfigSubject web = {.name = "web", .owner = owner};
    g_autoptr(Config) config = load(fixture);
    g_autofree char *problem = config_owner_problem(config, owner->pdata[0]);

    assert_int_equal(patience_s(config, &web), 20);
    assert_non_null(problem);
    assert_non_null(strstr(problem, "soon"));
}

static void
what_is_read_later_wins(void **state)
{
    Fixture *fixture = *state;
    const ConfigSubject web = {.name = "web"}, db = {.name = "db"};
    g_autoptr(Config) config = NULL;

    tree_file(fixture->tree, "guardian.conf", "[freeze]\npatience = 30s\nsettle = 11s\n");
    tree_file(fixture->tree, "guardian.conf.d/20.conf", "\n\n[freeze]\npatience = 32s\n");
    tree_file(fixture->tree, "guardian.conf.d/10.conf", "[freeze]\npatience = 31s\n");
    tree_file(fixture->tree, "vm.d/10-web.conf", MATCH "[freeze]\npatience = 33s\n");
    config = load(fixture);
    assert_int_equal(patience_s(config, NULL), 32);
    assert_patience_origin(fixture, config, NULL, "guardian.conf.d/20.conf:4");
    assert_int_equal(patience_s(config, &db), 32);
    assert_patience_origin(fixture, config, &db, "guardian.conf.d/20.conf:4");
    assert_int_equal(patience_s(config, &web), 33);
    assert_patience_origin(fixture, config, &web, "vm.d/10-web.conf:4");
    assert_int_equal(config_count(config).files, 4);
    assert_int_equal(config_count(config).settings, 5);
    assert_int_equal(config_count(config).overrides, 1);
}

static void
a_later_file_for_the_vm_wins_over_an_earlier_one(void **state)
{
    Fixture *fixture = *state;
    const ConfigSubject web = {.name = "web"};
    g_autoptr(Config) config = NULL;
    g_auto(GStrv) files = NULL;
    g_auto(Limits) limits = {0};

    tree_file(fixture->tree, "vm.d/b.conf", MATCH "[freeze]\npatience = 42s\n");
    tree_file(fixture->tree, "vm.d/Z.conf", "[Match]\nname=w*\n[freeze]\npatience=41\nsettle=9\n");
    tree_file(fixture->tree, "vm.d/c.conf", "[Match]\nname = db\n[freeze]\npatience = 43s\n");
    config = load(fixture);
    config_limits(config, &web, &limits);
    assert_int_equal(limits.patience_us, 42000000);
    assert_int_equal(limits.settle_us, 9000000);
    files = config_matching_files(config, &web);
    assert_int_equal(g_strv_length(files), 2);
    assert_true(g_str_has_suffix(files[0], "/vm.d/Z.conf"));
    assert_true(g_str_has_suffix(files[1], "/vm.d/b.conf"));
}

static void
no_file_of_a_vm_is_for_the_host(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = NULL;
    g_auto(GStrv) files = NULL;

    tree_file(fixture->tree, "vm.d/a.conf", "[Match]\nname = *\n[freeze]\npatience = 41s\n");
    config = load(fixture);
    files = config_matching_files(config, NULL);
    assert_int_equal(patience_s(config, NULL), 20);
    assert_int_equal(g_strv_length(files), 0);
}

static void
only_files_named_conf_are_read(void **state)
{
    static const char *const left_behind[] = {"a.conf~",          "a.conf.dpkg-old", ".a.conf",
                                              "a.conf.dpkg-dist", "README",          "a.CONF"};
    Fixture *fixture = *state;
    g_autoptr(Config) config = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(left_behind); i++) {
        g_autofree char *path = g_build_filename("guardian.conf.d", left_behind[i], NULL);

        tree_file(fixture->tree, path, "this is no configuration");
    }
    tree_file(fixture->tree, "guardian.conf.d/a.conf", "[freeze]\npatience = 41s\n");
    config = load(fixture);
    assert_int_equal(config_count(config).files, 1);
    assert_int_equal(patience_s(config, NULL), 41);
}

static void
assert_load_error(Fixture *fixture, const char *expected)
{
    g_autofree char *error = load_error(fixture);

    assert_non_null(error);
    assert_string_equal(error, expected);
}

static void
what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    Fixture *fixture = *state;

    tree_fifo(fixture->tree, "guardian.conf");
    assert_load_error(fixture, "guardian.conf is not a regular file");
    tree_remove(fixture->tree, "guardian.conf");
    tree_directory(fixture->tree, "guardian.conf");
    assert_load_error(fixture, "guardian.conf is not a regular file");
    tree_remove(fixture->tree, "guardian.conf");
    tree_directory(fixture->tree, "vm.d/a.conf");
    assert_load_error(fixture, "vm.d/a.conf is not a regular file");
}

static void
a_link_is_refused_and_named(void **state)
{
    Fixture *fixture = *state;

    tree_file(fixture->tree, "elsewhere", "[freeze]\npatience = 41s\n");
    tree_link(fixture->tree, "guardian.conf.d/a.conf", "../elsewhere");
    assert_load_error(fixture, "cannot open guardian.conf.d/a.conf: leads through a symbolic link");
}

static void
a_file_in_place_of_a_directory_is_not_taken_for_none(void **state)
{
    Fixture *fixture = *state;

    tree_file(fixture->tree, "vm.d", "");
    assert_load_error(fixture, "cannot read vm.d: Not a directory");
    tree_remove(fixture->tree, "vm.d");
    tree_fifo(fixture->tree, "vm.d");
    assert_load_error(fixture, "cannot read vm.d: Not a directory");
}

static void
a_file_too_long_is_refused(void **state)
{
    const gsize largest = 1024 * 1024;
    Fixture *fixture = *state;
    g_autofree char *text = g_strnfill(largest + 1, '\n');
    g_autoptr(Config) config = NULL;

    tree_bytes(fixture->tree, "guardian.conf", text, largest + 1);
    assert_load_error(fixture, "guardian.conf is longer than 1048576 bytes");
    tree_bytes(fixture->tree, "guardian.conf", text, largest);
    config = load(fixture);
    assert_int_equal(config_count(config).files, 1);
}

static void
a_file_of_errors_names_the_first_twenty(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GString) text = g_string_new("[freeze]\n");
    g_autofree char *error = NULL;
    g_auto(GStrv) lines = NULL;

    for (guint i = 0; i < 100000; i++)
        g_string_append(text, "wrong\n");
    tree_file(fixture->tree, "guardian.conf", text->str);
    tree_file(fixture->tree, "guardian.conf.d/a.conf", "wrong");
    error = load_error(fixture);
    lines = g_strsplit(error, "\n", -1);
    assert_int_equal(g_strv_length(lines), 21);
    assert_true(g_str_has_prefix(lines[0], "guardian.conf:2: "));
    assert_true(g_str_has_prefix(lines[19], "guardian.conf:21: "));
    assert_string_equal(lines[20], "there may be more: the first errors are shown");
}

static void
errors_of_several_files_come_in_their_order(void **state)
{
    Fixture *fixture = *state;

    tree_file(fixture->tree, "vm.d/a.conf", "[Match]\nname = web\n[freeze]\nsettle = 0\n");
    tree_file(fixture->tree, "guardian.conf.d/a.conf", "[freeze]\npatience = abc\n");
    assert_load_error(fixture, "guardian.conf.d/a.conf:2: [freeze] patience: \"abc\" is not a "
                               "number\n"
                               "vm.d/a.conf:4: [freeze] settle: \"0\" is out of range: use 1s to "
                               "1h");
}

static void
an_emptied_list_comes_from_its_line(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = NULL;
    g_auto(Limits) limits = {0};
    g_autofree char *origin = NULL;

    tree_file(fixture->tree, "guardian.conf", "[guardian]\ninclude = web\nexclude = db\n");
    tree_file(fixture->tree, "guardian.conf.d/a.conf", "[guardian]\ninclude =\n");
    config = load(fixture);
    config_limits(config, NULL, &limits);
    assert_null(limits.include);
    assert_string_equal(limits.exclude, "db");
    origin = config_origin(config, NULL, setting_find("guardian", "include"));
    assert_true(g_str_has_suffix(origin, "/guardian.conf.d/a.conf:2"));
}

/* Somebody who uncomments every line of the sample has changed nothing. */
static void
the_sample_uncommented_is_the_defaults(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *sample = settings_print_sample();
    g_auto(GStrv) lines = g_strsplit(sample, "\n", -1);
    g_autoptr(Config) config = NULL;
    g_auto(Limits) limits = {0};
    g_auto(Limits) defaults = {0};

    for (guint i = 0; lines[i] != NULL; i++) {
        if (lines[i][0] == '#' && g_ascii_islower(lines[i][1]))
            lines[i][0] = ' ';
    }
    g_free(sample);
    sample = g_strjoinv("\n", lines);
    tree_file(fixture->tree, "guardian.conf", sample);
    config = load(fixture);
    assert_int_equal(config_count(config).settings, n_settings);
    config_limits(config, NULL, &limits);
    limits_init_defaults(&defaults);
    assert_memory_equal(&limits, &defaults, sizeof limits);
}

static guint64
write_limit(const ConfigDisk *disk)
{
    return disk->limits->fields[THROTTLE_FIELD(THROTTLE_BPS_WRITE, THROTTLE_RATE)];
}

static void
the_last_file_says_all_of_a_disk(void **state)
{
    Fixture *fixture = *state;
    const ConfigSubject web = {.name = "web"}, db = {.name = "db"};
    g_autoptr(GPtrArray) of_web = NULL, of_db = NULL;
    g_autoptr(Config) config = NULL;

    tree_file(fixture->tree, "vm.d/a.conf",
              "[Match]\nname = *\n[disk scsi0]\nmbps_rd = 1\nmbps_wr = 60.0\n[disk scsi1]\n");
    tree_file(fixture->tree, "vm.d/b.conf", "[Match]\nname = web\n[disk scsi0]\nmbps_wr = 2\n");
    config = load(fixture);
    of_web = config_disks(config, &web);
    of_db = config_disks(config, &db);
    assert_int_equal(of_web->len, 2);
    assert_true(write_limit(of_web->pdata[0]) == 2 << 20);
    assert_true(((const ConfigDisk *)of_web->pdata[0])
                    ->limits->fields[THROTTLE_FIELD(THROTTLE_BPS_READ, THROTTLE_RATE)] == 0);
    assert_true(write_limit(of_web->pdata[1]) == 0);
    assert_true(write_limit(of_db->pdata[0]) == 62914560);
    assert_true(g_str_has_suffix(((const ConfigDisk *)of_db->pdata[0])->origin, "vm.d/a.conf:3"));
}

#define fixture_test(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        fixture_test(no_file_at_all_is_the_defaults),
        fixture_test(what_is_read_later_wins),
        fixture_test(the_host_has_the_last_word),
        fixture_test(an_owner_sets_only_what_the_host_lets_him),
        fixture_test(an_owners_wrong_value_changes_nothing),
        fixture_test(a_later_file_for_the_vm_wins_over_an_earlier_one),
        fixture_test(no_file_of_a_vm_is_for_the_host),
        fixture_test(only_files_named_conf_are_read),
        fixture_test(what_is_no_regular_file_is_refused_without_waiting),
        fixture_test(a_link_is_refused_and_named),
        fixture_test(a_file_in_place_of_a_directory_is_not_taken_for_none),
        fixture_test(a_file_too_long_is_refused),
        fixture_test(a_file_of_errors_names_the_first_twenty),
        fixture_test(errors_of_several_files_come_in_their_order),
        fixture_test(an_emptied_list_comes_from_its_line),
        fixture_test(the_sample_uncommented_is_the_defaults),
        fixture_test(the_last_file_says_all_of_a_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
