/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "settings.h"
#include "units.h"

#include <string.h>

/* The rows below are the test's own where the table has none of that type. */
static const Setting size_setting = {.section = "test",
                                     .key = "size",
                                     .type = SETTING_SIZE,
                                     .min = 1024,
                                     .max = 1024 * 1024,
                                     .offset = G_STRUCT_OFFSET(Limits, mode)};
static const Setting free_size_setting = {.section = "test",
                                          .key = "free_size",
                                          .type = SETTING_SIZE,
                                          .offset = G_STRUCT_OFFSET(Limits, mode)};
static const Setting integer_setting = {.section = "test",
                                        .key = "integer",
                                        .type = SETTING_INTEGER,
                                        .min = -5,
                                        .max = 5,
                                        .offset = G_STRUCT_OFFSET(Limits, mode)};

typedef struct {
    const char *name;
    const char *section, *key;
    const char *text;
    gint64 value;
    const char *wrong; /* NULL: the text is taken */
    const char *back;  /* NULL: as text */
} ValueCase;

static const ValueCase value_cases[] = {
    {"a choice is one of its words", "guardian", "mode", "enforce", MODE_ENFORCE, NULL, NULL},
    {"a choice outside its words names them", "guardian", "mode", "Enforce", 0,
     "\"Enforce\" is unknown: use observe or enforce", NULL},
    {"no is no", "guardian", "watch", "no", 0, NULL, NULL},
    {"off is no", "guardian", "watch", "off", 0, NULL, "no"},
    {"true is yes", "monitor", "own", "true", 1, NULL, "yes"},
    {"1 is yes", "monitor", "own", "1", 1, NULL, "yes"},
    {"maybe is neither yes nor no", "monitor", "own", "maybe", 0,
     "\"maybe\" is unknown: use yes or no", NULL},
    {"a duration has a unit", "freeze", "patience", "1500ms", 1500000, NULL, NULL},
    {"a duration without a unit is seconds", "freeze", "patience", "90", 90000000, NULL, "90s"},
    {"a duration in bytes is refused", "freeze", "patience", "10GB", 0,
     "\"10GB\" has an unknown unit: use ms, s, m, h or d", NULL},
    {"a negative duration is refused", "freeze", "patience", "-5", 0, "\"-5\" is negative", NULL},
    {"a word is no duration", "freeze", "patience", "abc", 0, "\"abc\" is not a number", NULL},
    {"nothing is no duration", "freeze", "patience", "", 0, "\"\" is empty", NULL},
    {"the smallest allowed is allowed", "monitor", "period_own", "500ms", 500000, NULL, NULL},
    {"below the smallest is refused with the range", "monitor", "period_own", "499ms", 0,
     "\"499ms\" is out of range: use 500ms to 1h", NULL},
    {"the largest allowed is allowed", "monitor", "period_own", "1h", G_GINT64_CONSTANT(3600000000),
     NULL, NULL},
    {"above the largest is refused", "monitor", "period_own", "3601s", 0,
     "\"3601s\" is out of range: use 500ms to 1h", NULL},
    {"a shared monitor is never held for longer than half a second", "monitor", "hold_max", "501ms",
     0, "\"501ms\" is out of range: use 10ms to 500ms", NULL},
    {"a range may begin at zero", "freeze", "page_after", "0", 0, NULL, "0s"},
    {"a version loses its patch level", "memory", "kubevirt_version", "v1.5.2", 1005, NULL, "1.5"},
    {"main is newer than every version", "memory", "kubevirt_version", "main", UNITS_VERSION_MAIN,
     NULL, NULL},
    {"a word is no version", "memory", "kubevirt_version", "latest", 0,
     "\"latest\" is not a version: write 1.2, v1.2.3 or main", NULL},
    {"a ratio has decimals", "memory", "kubevirt_ratio", "1.05", 1050, NULL, NULL},
    {"a ratio of whole tens keeps its zero", "memory", "kubevirt_ratio", "10", 10000, NULL, NULL},
    {"a ratio out of range names the range", "memory", "kubevirt_ratio", "0.5", 0,
     "\"0.5\" is out of range: use 1 to 10", NULL},
    {"a size is in bytes", "test", "size", "12Ki", 12288, NULL, NULL},
    {"a size out of range names the range", "test", "size", "2M", 0,
     "\"2M\" is out of range: use 1Ki to 1Mi", NULL},
    {"a size past 63 bits is refused", "test", "free_size", "8388608T", 0,
     "\"8388608T\" is too large", NULL},
    {"an integer may be negative", "test", "integer", "-5", -5, NULL, NULL},
    {"an integer out of range names the range", "test", "integer", "6", 0,
     "\"6\" is out of range: use -5 to 5", NULL},
    {"an integer has no fraction", "test", "integer", "1.5", 0, "\"1.5\" is not a whole number",
     NULL},
    {"a refused text is printable in the message", "freeze", "patience", "\033[2J\n", 0,
     "\"\\x1b[2J\\x0a\" is not a number", NULL},
};

static const Setting *
case_setting(const ValueCase *value_case)
{
    static const Setting *const own[] = {&size_setting, &free_size_setting, &integer_setting};

    for (guint i = 0; i < G_N_ELEMENTS(own); i++) {
        if (strcmp(own[i]->key, value_case->key) == 0)
            return own[i];
    }
    return setting_find(value_case->section, value_case->key);
}

static void
check_value(void **state)
{
    const ValueCase *value_case = *state;
    const Setting *setting = case_setting(value_case);
    const gint64 untouched = 4711;
    g_auto(Limits) limits = {0};
    g_autofree char *wrong = NULL;
    g_autofree char *back = NULL;

    assert_non_null(setting);
    limits_init_defaults(&limits);
    G_STRUCT_MEMBER(gint64, &limits, setting->offset) = untouched;
    wrong = setting_apply(setting, value_case->text, &limits);
    if (value_case->wrong != NULL) {
        assert_non_null(wrong);
        assert_string_equal(wrong, value_case->wrong);
        assert_int_equal(G_STRUCT_MEMBER(gint64, &limits, setting->offset), untouched);
        return;
    }
    assert_null(wrong);
    assert_int_equal(G_STRUCT_MEMBER(gint64, &limits, setting->offset), value_case->value);
    back = setting_format(setting, &limits);
    assert_string_equal(back, value_case->back ? value_case->back : value_case->text);
}

static void
the_defaults_do_no_harm(void **state)
{
    g_auto(Limits) limits = {0};

    limits_init_defaults(&limits);
    assert_int_equal(limits.mode, MODE_OBSERVE);
    assert_int_equal(limits.watch, 1);
    assert_null(limits.include);
    assert_null(limits.exclude);
    assert_int_equal(limits.discovery_period_us, 10000000);
    assert_int_equal(limits.period_own_us, 2000000);
    assert_int_equal(limits.period_shared_us, 10000000);
    assert_int_equal(limits.period_suspect_us, 2000000);
    assert_int_equal(limits.answer_deadline_us, 5000000);
    assert_int_equal(limits.hold_max_us, 500000);
    assert_int_equal(limits.monitor_own, 0);
    assert_int_equal(limits.settle_us, 10000000);
    assert_int_equal(limits.patience_us, 20000000);
    assert_int_equal(limits.patience_max_us, 120000000);
    assert_int_equal(limits.page_after_us, 60000000);
    assert_int_equal(limits.silent_us, 12000000);
    assert_int_equal(limits.memory_period_us, 5000000);
    assert_int_equal(limits.overhead_model, OVERHEAD_MODEL_TABLE);
    assert_int_equal(limits.kubevirt_version, UNITS_VERSION_MAIN);
    assert_int_equal(limits.kubevirt_ratio_thousandths, 1000);
}

/* Two rows with one name, or two rows that write to one place, would go unnoticed otherwise. */
static void
every_setting_has_a_name_and_a_place_of_its_own(void **state)
{
    for (guint i = 0; i < n_settings; i++) {
        assert_ptr_equal(setting_find(settings[i].section, settings[i].key), &settings[i]);
        assert_true(setting_section_exists(settings[i].section));
        for (guint j = 0; j < i; j++)
            assert_int_not_equal(settings[i].offset, settings[j].offset);
    }
    assert_int_equal(n_settings, sizeof(Limits) / sizeof(gint64));
    assert_null(setting_find("freeze", "patiense"));
    assert_null(setting_find("monitor", "patience"));
    assert_false(setting_section_exists("frezee"));
}

static void
a_list_is_kept_with_one_blank_between_words(void **state)
{
    const Setting *include = setting_find("guardian", "include");
    g_auto(Limits) limits = {0};
    g_autofree char *text = NULL;

    limits_init_defaults(&limits);
    assert_null(setting_format(include, &limits));
    assert_null(setting_apply(include, " web-*,db1 ,\t db2,", &limits));
    assert_string_equal(limits.include, "web-* db1 db2");
    text = setting_format(include, &limits);
    assert_string_equal(text, "web-* db1 db2");
}

static void
a_path_says_where_it_leads(void **state)
{
    const Setting *textfile = setting_find("report", "textfile");
    static const char *const bad[] = {"vm.prom", "/a/../b", "/a/..", "/metrics/", "~/vm.prom"};
    g_auto(Limits) limits = {0};
    g_autofree char *formatted = NULL;

    limits_init_defaults(&limits);
    assert_null(limits.textfile);
    assert_null(setting_apply(textfile, "/metrics/my vm..prom", &limits));
    assert_string_equal(limits.textfile, "/metrics/my vm..prom");
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *wrong = setting_apply(textfile, bad[i], &limits);

        assert_non_null(wrong);
        assert_string_equal(limits.textfile, "/metrics/my vm..prom");
    }
    formatted = setting_format(textfile, &limits);
    assert_string_equal(formatted, "/metrics/my vm..prom");
    assert_null(setting_apply(textfile, "", &limits));
    assert_null(limits.textfile);
}

static void
an_empty_list_is_an_unset_one(void **state)
{
    const Setting *include = setting_find("guardian", "include");
    g_auto(Limits) limits = {0};

    limits_init_defaults(&limits);
    assert_null(setting_apply(include, "web", &limits));
    assert_null(setting_apply(include, " , ", &limits));
    assert_null(limits.include);
}

static void
a_copy_owns_its_text(void **state)
{
    g_auto(Limits) limits = {0};
    g_auto(Limits) copy = {0};

    limits_init_defaults(&limits);
    assert_null(setting_apply(setting_find("guardian", "exclude"), "test-*", &limits));
    limits_copy(&limits, &copy);
    assert_ptr_not_equal(limits.exclude, copy.exclude);
    limits_clear(&limits);
    assert_null(limits.exclude);
    assert_string_equal(copy.exclude, "test-*");
    assert_null(copy.include);
    assert_int_equal(copy.patience_us, 20000000);
}

typedef struct {
    const char *name;
    const char *list, *text;
    bool matches;
} MatchCase;

static const MatchCase match_cases[] = {
    {"a word matches itself", "web1", "web1", true},
    {"a word matches nothing longer", "web1", "web10", false},
    {"a word matches nothing shorter", "web1", "web", false},
    {"a star matches nothing, too", "web*", "web", true},
    {"a star in the middle", "a*c", "abcbc", true},
    {"a star that has to try again", "*ab?c", "aabab1c", true},
    {"a star does not excuse the end", "*ab", "abc", false},
    {"two stars in a row", "**x", "x", true},
    {"a question mark is one byte", "db?", "db1", true},
    {"a question mark is not nothing", "db?", "db", false},
    {"one word of several suffices", "a, b c", "c", true},
    {"none of several", "a, b c", "d", false},
    {"case counts", "Web", "web", false},
    {"an empty list matches nothing", "", "web", false},
    {"a list of separators matches nothing", " , ", "", false},
    {"a star matches an empty name", "*", "", true},
    {"a name of broken UTF-8 is matched by bytes", "a*b",
     "a\xff\xc3"
     "b",
     true},
    {"no list matches nothing", NULL, "web", false},
    {"no name is matched by nothing", "*", NULL, false},
};

static void
check_match(void **state)
{
    const MatchCase *match_case = *state;

    assert_int_equal(setting_list_matches(match_case->list, match_case->text), match_case->matches);
}

/* To make it anew: guardianctl config sample >contrib/guardian.conf */
static void
the_sample_in_contrib_is_the_tables(void **state)
{
    g_autofree char *sample = settings_print_sample();
    g_autofree char *contents = NULL;
    g_autofree char *path = NULL;

    t_skip_unless(g_getenv("SOURCE_ROOT") != NULL, "SOURCE_ROOT is not set");
    path = g_build_filename(g_getenv("SOURCE_ROOT"), "contrib", "guardian.conf", NULL);
    assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    assert_string_equal(contents, sample);
}

static void
the_sample_fits_eighty_columns(void **state)
{
    g_autofree char *sample = settings_print_sample();
    g_auto(GStrv) lines = g_strsplit(sample, "\n", -1);

    assert_non_null(strstr(sample, "\n[freeze]\n"));
    assert_non_null(strstr(sample, "\n# Values: 500ms to 1h.\n#period_own = 2s\n"));
    assert_non_null(strstr(sample, "blanks or commas. Not in vm.d.\n#include =\n"));
    for (guint i = 0; lines[i] != NULL; i++)
        assert_in_range(strlen(lines[i]), 0, 80);
}

int
main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(the_defaults_do_no_harm),
        cmocka_unit_test(every_setting_has_a_name_and_a_place_of_its_own),
        cmocka_unit_test(a_list_is_kept_with_one_blank_between_words),
        cmocka_unit_test(an_empty_list_is_an_unset_one),
        cmocka_unit_test(a_path_says_where_it_leads),
        cmocka_unit_test(a_copy_owns_its_text),
        cmocka_unit_test(the_sample_in_contrib_is_the_tables),
        cmocka_unit_test(the_sample_fits_eighty_columns),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(plain) + G_N_ELEMENTS(value_cases) + G_N_ELEMENTS(match_cases)];
    guint n_tests = 0;

    for (guint i = 0; i < G_N_ELEMENTS(plain); i++)
        tests[n_tests++] = plain[i];
    for (guint i = 0; i < G_N_ELEMENTS(value_cases); i++)
        tests[n_tests++] = t_row(value_cases[i].name, check_value, &value_cases[i]);
    for (guint i = 0; i < G_N_ELEMENTS(match_cases); i++)
        tests[n_tests++] = t_row(match_cases[i].name, check_match, &match_cases[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
