/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-fixture.h"

#include <string.h>
#include <unistd.h>

static void
nothing_is_written_when_the_intent_cannot_be(void **state)
{
    ActFixture *fixture = *state;

    tree_file(fixture->tree, "var/vm-guardian", "a file where the directory should be\n");
    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    assert_non_null(strstr(fixture->problem, "cannot open vm-guardian/acts"));
    assert_int_equal(fixture->n_names, 0);
    limit_is(fixture, "/pod42/vm", ACT_OLD);
}

static void
a_link_in_place_of_the_journal_is_refused(void **state)
{
    ActFixture *fixture = *state;

    tree_directory(fixture->tree, "elsewhere");
    tree_directory(fixture->tree, "var/vm-guardian");
    tree_link(fixture->tree, "var/vm-guardian/acts", tree_path(fixture->tree, "elsewhere"));
    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    assert_non_null(fixture->problem);
    assert_int_equal(rmdir(tree_path(fixture->tree, "elsewhere")), 0); /* it is empty */
    limit_is(fixture, "/pod42/vm", ACT_OLD);
}

static void
an_intent_of_a_dead_writer_is_settled_by_the_value_in_force(void **state)
{
    ActFixture *fixture = *state;
    static const char intent[] =
        "{\"version\":1,\"state\":\"intended\",\"realtime_us\":1,\"boottime_us\":1,\"pid\":42,"
        "\"start_ticks\":4242,\"group_id\":%" G_GUINT64_FORMAT
        ",\"boot_id\":\"%s\",\"vm\":\"vm42\","
        "\"kind\":\"limits\",\"means\":\"cgroup\",\"where\":\"/pod42/vm\","
        "\"field\":\"memory.max\",\"old\":\"" ACT_OLD "\",\"new\":\"" ACT_NEW
        "\",\"undo\":\"" ACT_OLD "\"}";
    static const struct {
        const char *boot, *value;
        ActState state;
    } cases[] = {{"this-boot", ACT_OLD, ACT_NOT_DONE},
                 {"this-boot", ACT_NEW, ACT_APPLIED},
                 {"this-boot", "12345", ACT_FAILED},
                 {"an-earlier-boot", ACT_NEW, ACT_OVER}};
    ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");
    guint64 group_id = step->group_id;

    act_record_free(step);
    tree_directory(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("var/" ACT_JOURNAL_DIRECTORY "/%016u-999999-000000.json", i);
        g_autofree char *text = g_strdup_printf(intent, group_id, cases[i].boot);

        tree_file(fixture->tree, path, text);
        act_fixture_set_limit(fixture, "/pod42/vm", cases[i].value);
        act_fixture_restart(fixture);
        act_fixture_load(fixture);
        assert_null(fixture->problem);
        assert_int_equal(newest(fixture)->state, cases[i].state);
        limit_is(fixture, "/pod42/vm", cases[i].value); /* to look is not to write */
        act_fixture_restart(fixture);
        act_fixture_load(fixture);
        assert_int_equal(newest(fixture)->state, cases[i].state);
    }
}

/* An intent whose file came late, after another write: the present value is not its own. */
static void
a_late_intent_is_not_credited_with_a_later_write(void **state)
{
    ActFixture *fixture = *state;
    GPtrArray *undo;
    g_autofree char *text = NULL;
    const char *path = tree_path(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY "/1-1-1.json");

    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    ((ActRecord *)newest(fixture))->state = ACT_INTENDED;
    text = act_record_print(newest(fixture), NULL);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, NULL);
    assert_int_equal(undo->len, 1);
    g_ptr_array_unref(undo);
}

/* Another run loads the journal while our word of what was done is on its way to the disk. */
static void
an_intent_on_disk_is_no_news_of_what_was_done(void **state)
{
    ActFixture *fixture = *state;
    g_autofree char *name = NULL, *text = NULL;
    ActRecord *record;

    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    record = (ActRecord *)newest(fixture);
    record->state = ACT_INTENDED;
    text = act_record_print(record, NULL);
    record->state = ACT_APPLIED;
    name = g_strdup_printf("var/" ACT_JOURNAL_DIRECTORY "/%s.json", record->name);
    tree_file(fixture->tree, name, text);
    act_fixture_load(fixture);
    assert_int_equal(newest(fixture)->state, ACT_APPLIED);
}

static void
broken_records_are_named_and_harm_no_other(void **state)
{
    ActFixture *fixture = *state;
    static const char *const broken[] = {"",
                                         "{",
                                         "[]",
                                         "{\"version\":1}",
                                         "{\"version\":2,\"state\":\"applied\"}",
                                         "null",
                                         "{\"version\":1,\"state\":\"applied\",\"pid\":\"42\"}"};

    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autofree char *path = g_strdup_printf("var/" ACT_JOURNAL_DIRECTORY "/%016u-1-1.json", i);

        tree_file(fixture->tree, path, broken[i]);
    }
    tree_file(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY "/notes.txt", "not ours");
    tree_fifo(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY "/1-1-1.json");
    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    assert_non_null(strstr(fixture->problem, "act record"));
    assert_int_equal(act_journal_records(acts_journal(fixture->acts))->len, 1);
    assert_int_equal(newest(fixture)->state, ACT_APPLIED);
}

static void
a_long_journal_is_read_whole_and_kept_short(void **state)
{
    ActFixture *fixture = *state;
    const guint n = ACT_JOURNAL_KEEP + 20;
    g_autofree char *text = NULL;

    act_scripted(fixture);
    run_scripted(fixture, (Script){.problem = "not today"});
    text = act_record_print(newest(fixture), NULL);
    for (guint i = 1; i < n; i++) {
        g_autofree char *path = g_strdup_printf("var/" ACT_JOURNAL_DIRECTORY "/%u-1-1.json", i);

        tree_file(fixture->tree, path, text);
    }
    act_fixture_restart(fixture);
    act_scripted(fixture);
    act_fixture_load(fixture);
    assert_null(fixture->problem);
    assert_int_equal(act_journal_records(acts_journal(fixture->acts))->len, n);
    acts_reset(fixture->acts); /* so many in vain would end it */
    /* each write lets one go, the oldest first */
    run_scripted(fixture, (Script){.problem = "not today"});
    run_scripted(fixture, (Script){.problem = "not today"});
    assert_int_equal(act_fixture_files(fixture), n);
    assert_null(act_journal_find(acts_journal(fixture->acts), "1-1-1"));
    assert_non_null(act_journal_find(acts_journal(fixture->acts), "500-1-1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ACTS(nothing_is_written_when_the_intent_cannot_be),
        WITH_ACTS(a_link_in_place_of_the_journal_is_refused),
        WITH_ACTS(an_intent_of_a_dead_writer_is_settled_by_the_value_in_force),
        WITH_ACTS(a_late_intent_is_not_credited_with_a_later_write),
        WITH_ACTS(broken_records_are_named_and_harm_no_other),
        WITH_ACTS(an_intent_on_disk_is_no_news_of_what_was_done),
        WITH_ACTS(a_long_journal_is_read_whole_and_kept_short),
    };

    return cmocka_run_group_tests_name("journal of acts", tests, NULL, NULL);
}
