/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
set_up(void **state)
{
    *state = act_fixture_new(NULL);
    return 0;
}

static int
tear_down(void **state)
{
    act_fixture_free(*state, false);
    return 0;
}

static void
limit_is(ActFixture *fixture, const char *group, const char *wanted)
{
    g_autofree char *limit = act_fixture_limit(fixture, group);

    assert_string_equal(limit, wanted);
}

static GPtrArray *
one_step(ActFixture *fixture)
{
    return act_fixture_plan(act_fixture_step(fixture, 42, "/pod42/vm"), NULL);
}

static const ActRecord *
newest(ActFixture *fixture)
{
    const GPtrArray *records = act_journal_records(acts_journal(fixture->acts));

    assert_true(records->len > 0);
    return records->pdata[records->len - 1];
}

static void
a_plan_is_carried_out_in_its_order_and_recorded(void **state)
{
    ActFixture *fixture = *state;

    act_fixture_run(fixture, &act_fixture_terms,
                    act_fixture_plan(act_fixture_step(fixture, 42, "/pod42"),
                                     act_fixture_step(fixture, 42, "/pod42/vm"), NULL));
    assert_int_equal(fixture->leave, LEAVE_GO);
    assert_null(fixture->problem);
    assert_int_equal(fixture->n_applied, 2);
    limit_is(fixture, "/pod42", ACT_NEW);
    limit_is(fixture, "/pod42/vm", ACT_NEW);
    limit_is(fixture, "/pod43", ACT_OLD);
    limit_is(fixture, "/pod43/vm", ACT_OLD);
    assert_int_equal(act_fixture_files(fixture), 2);

    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    assert_string_equal(newest(fixture)->where, "/pod42/vm");
    assert_string_equal(newest(fixture)->undo_value, ACT_OLD);
    assert_string_equal(newest(fixture)->read_back, ACT_NEW);
    assert_int_equal(newest(fixture)->state, ACT_APPLIED);
}

static void
observe_writes_nothing_not_even_the_intent(void **state)
{
    ActFixture *fixture = *state;
    ActTerms terms = act_fixture_terms;
    struct stat st;

    terms.is_enforced = false;
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_OBSERVE);
    limit_is(fixture, "/pod42/vm", ACT_OLD);
    act_fixture_load(fixture);
    assert_int_equal(stat(tree_path(fixture->tree, "var/vm-guardian"), &st), -1);
}

static void
a_suspect_vm_is_left_alone_even_when_commanded(void **state)
{
    ActFixture *fixture = *state;
    ActTerms terms = act_fixture_terms;

    terms.is_suspect = terms.is_commanded = true;
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_SUSPECT);
    limit_is(fixture, "/pod42/vm", ACT_OLD);
    assert_int_equal(act_fixture_files(fixture), 0);
}

static void
what_was_applied_is_undone_newest_first(void **state)
{
    ActFixture *fixture = *state;
    GPtrArray *undo;

    act_fixture_run(fixture, &act_fixture_terms,
                    act_fixture_plan(act_fixture_step(fixture, 42, "/pod42"),
                                     act_fixture_step(fixture, 42, "/pod42/vm"), NULL));
    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    undo = acts_undo_plan(fixture->acts, 43, ACT_START_TICKS, NULL);
    assert_int_equal(undo->len, 0);
    g_ptr_array_unref(undo);
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, "limits");
    assert_int_equal(undo->len, 2);
    assert_string_equal(((const ActRecord *)undo->pdata[0])->where, "/pod42/vm");
    act_fixture_run(fixture, &act_fixture_terms, undo);
    assert_int_equal(fixture->n_applied, 2);
    limit_is(fixture, "/pod42", ACT_OLD);
    limit_is(fixture, "/pod42/vm", ACT_OLD);

    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, NULL);
    assert_int_equal(undo->len, 0);
    g_ptr_array_unref(undo);
}

static void
after_an_administrators_undo_the_daemon_stays_away(void **state)
{
    ActFixture *fixture = *state;
    ActTerms terms = {.is_commanded = true};
    GPtrArray *undo;

    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, NULL);
    ((ActRecord *)undo->pdata[0])->by = g_strdup(ACT_BY_ADMINISTRATOR);
    act_fixture_run(fixture, &terms, undo);
    limit_is(fixture, "/pod42/vm", ACT_OLD);

    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_TAKEN_BACK);
    limit_is(fixture, "/pod42/vm", ACT_OLD);
    /* the VM beside it is another matter */
    act_fixture_run(fixture, &act_fixture_terms,
                    act_fixture_plan(act_fixture_step(fixture, 43, "/pod43/vm"), NULL));
    assert_int_equal(fixture->leave, LEAVE_GO);
    limit_is(fixture, "/pod43/vm", ACT_NEW);
}

static void
a_value_that_changed_meanwhile_is_not_overwritten(void **state)
{
    ActFixture *fixture = *state;

    act_fixture_set_limit(fixture, "/pod42/vm", "100663296");
    act_fixture_run(fixture, &act_fixture_terms,
                    act_fixture_plan(act_fixture_step(fixture, 42, "/pod42/vm"),
                                     act_fixture_step(fixture, 42, "/pod42"), NULL));
    assert_int_equal(fixture->n_applied, 0);
    assert_non_null(strstr(fixture->problem, "changed meanwhile, to 100663296"));
    limit_is(fixture, "/pod42/vm", "100663296");
    limit_is(fixture, "/pod42", ACT_OLD);            /* what comes after it is not done either */
    assert_int_equal(act_fixture_files(fixture), 0); /* it was not even intended */
}

static void
the_daemon_cools_down_and_the_administrator_need_not(void **state)
{
    ActFixture *fixture = *state;
    ActTerms terms = act_fixture_terms;
    const gint64 second = G_USEC_PER_SEC;

    terms.cool_down_us = 600 * second;
    host_set_clock(fixture->host, 1000 * second, 1000 * second, 1000 * second);
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_GO);
    act_fixture_set_limit(fixture, "/pod42/vm", ACT_OLD);

    host_set_clock(fixture->host, 1599 * second, 1599 * second, 1599 * second);
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_COOL_DOWN);
    limit_is(fixture, "/pod42/vm", ACT_OLD);
    act_fixture_restart(fixture); /* a restart does not forget it */
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_COOL_DOWN);

    terms.is_commanded = true;
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_GO);
    limit_is(fixture, "/pod42/vm", ACT_NEW);
    terms.is_commanded = false;
    act_fixture_set_limit(fixture, "/pod42/vm", ACT_OLD);
    host_set_clock(fixture->host, 2200 * second, 2200 * second, 2200 * second);
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_GO);
}

/* Somebody writes the old value back each time: a fight that the budget ends. */
static void
a_fight_trips_the_breaker_of_its_vm_alone(void **state)
{
    ActFixture *fixture = *state;
    ActTerms terms = act_fixture_terms;

    terms.budget_vm = 3;
    for (guint i = 0; i < 3; i++) {
        act_fixture_run(fixture, &terms, one_step(fixture));
        assert_int_equal(fixture->leave, LEAVE_GO);
        act_fixture_set_limit(fixture, "/pod42/vm", ACT_OLD);
    }
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_BUDGET_VM);
    assert_true(fixture->has_tripped);
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_TRIPPED);
    assert_false(fixture->has_tripped); /* told once */
    limit_is(fixture, "/pod42/vm", ACT_OLD);
    act_fixture_run(fixture, &terms,
                    act_fixture_plan(act_fixture_step(fixture, 43, "/pod43/vm"), NULL));
    assert_int_equal(fixture->leave, LEAVE_GO);
    acts_reset(fixture->acts);
    terms.budget_vm = 4;
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_GO);
}

static void
the_hosts_budget_is_everybodys(void **state)
{
    ActFixture *fixture = *state;
    ActTerms terms = act_fixture_terms;

    terms.budget_host = 1;
    act_fixture_run(fixture, &terms, one_step(fixture));
    assert_int_equal(fixture->leave, LEAVE_GO);
    act_fixture_run(fixture, &terms,
                    act_fixture_plan(act_fixture_step(fixture, 43, "/pod43/vm"), NULL));
    assert_int_equal(fixture->leave, LEAVE_BUDGET_HOST);
    limit_is(fixture, "/pod43/vm", ACT_OLD);
}

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
set_text(char **text, const char *value)
{
    g_free(*text);
    *text = g_strdup(value);
}

/* What systemd's client is told; it does, or does not, what it is told. */
static void
unit_is_written(ActFixture *fixture, bool obeys, const char *wanted_limit)
{
    ActRecord *step;
    g_autofree char *limit =
        g_strdup(tree_path(fixture->tree, "sys/fs/cgroup/machine.slice/_vm42.scope/memory.max"));
    g_autofree char *log = g_strdup(tree_path(fixture->tree, "log"));
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\necho \"$@\" > %s\n%s echo \"${5#MemoryMax=}\" > %s\n", log,
                        obeys ? "" : "exit 1;", limit);
    g_autofree char *path = g_strdup(g_getenv("PATH")), *told = NULL;
    g_autofree char *with_fake = g_strconcat(tree_path(fixture->tree, "bin"), ":", path, NULL);

    tree_file(fixture->tree, "bin/systemctl", script);
    assert_int_equal(chmod(tree_path(fixture->tree, "bin/systemctl"), 0755), 0);
    tree_file(fixture->tree, "proc/42/cgroup", "0::/machine.slice/_vm42.scope\n");
    tree_file(fixture->tree, "sys/fs/cgroup/machine.slice/_vm42.scope/memory.max", ACT_OLD "\n");
    step = act_fixture_step(fixture, 42, "/machine.slice/_vm42.scope");
    set_text(&step->means, "systemd");
    g_setenv("PATH", with_fake, TRUE);
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
    g_setenv("PATH", path, TRUE);
    assert_true(g_file_get_contents(log, &told, NULL, NULL));
    assert_string_equal(told, "set-property --runtime -- vm42.scope MemoryMax=" ACT_NEW "\n");
    limit_is(fixture, "/machine.slice/_vm42.scope", wanted_limit);
}

static void
a_unit_is_written_through_systemd(void **state)
{
    ActFixture *fixture = *state;

    unit_is_written(fixture, true, ACT_NEW);
    assert_null(fixture->problem);
    assert_int_equal(newest(fixture)->state, ACT_APPLIED);
}

static void
a_systemd_that_refuses_has_done_nothing(void **state)
{
    ActFixture *fixture = *state;

    unit_is_written(fixture, false, ACT_OLD);
    assert_non_null(strstr(fixture->problem, "set-property failed"));
    assert_int_equal(newest(fixture)->state, ACT_NOT_DONE);
}

/* Refusals of the means: each changes one thing about the only step. */
typedef struct {
    const char *name;
    void (*change)(ActFixture *fixture, ActRecord *step);
    const char *problem;
} Row;

static void
escape_by_dots(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->where, "/pod42/../pod43/vm");
}

static void
name_the_neighbour(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->where, "/pod43/vm");
}

static void
name_the_root(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->where, "/");
}

static void
name_a_prefix(ActFixture *fixture, ActRecord *step)
{
    tree_file(fixture->tree, "sys/fs/cgroup/pod4/memory.max", ACT_OLD "\n");
    set_text(&step->where, "/pod4");
}

static void
name_another_file(ActFixture *fixture, ActRecord *step)
{
    tree_file(fixture->tree, "sys/fs/cgroup/pod42/vm/cgroup.kill", "0\n");
    set_text(&step->field, "cgroup.kill");
}

static void
let_the_process_be_another(ActFixture *fixture, ActRecord *step)
{
    fake_host_set_state(fixture->tree, 42, ACT_START_TICKS + 1, "kvm", 'S');
}

static void
let_it_be_a_zombie(ActFixture *fixture, ActRecord *step)
{
    fake_host_set_state(fixture->tree, 42, ACT_START_TICKS, "kvm", 'Z');
}

static void
let_the_group_be_another(ActFixture *fixture, ActRecord *step)
{
    step->group_id++;
}

static void
let_the_group_be_a_link(ActFixture *fixture, ActRecord *step)
{
    g_autofree char *real = g_strdup(tree_path(fixture->tree, "sys/fs/cgroup/pod42/vm"));
    g_autofree char *aside = g_strdup(tree_path(fixture->tree, "sys/fs/cgroup/aside"));

    assert_int_equal(rename(real, aside), 0);
    tree_link(fixture->tree, "sys/fs/cgroup/pod42/vm", aside);
    set_text(&step->field, "memory.max");
}

static void
let_it_move(ActFixture *fixture, ActRecord *step)
{
    tree_file(fixture->tree, "proc/42/cgroup", "0::/pod43/vm\n");
}

static void
say_what_cannot_be_written_down(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->why, "\xff");
}

static void
use_an_unknown_means(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->means, "hammer");
}

static const Row rows[] = {
    {"dots do not lead out of the VM's group", escape_by_dots, "not in that cgroup"},
    {"a neighbour's group is refused", name_the_neighbour, "not in that cgroup"},
    {"the root's group is refused", name_the_root, "not in that cgroup"},
    {"half a name is another group", name_a_prefix, "not in that cgroup"},
    {"other files of a group are never written", name_another_file, "no file that is ever"},
    {"another process with its pid is refused", let_the_process_be_another, "process is gone"},
    {"a dead process is refused", let_it_be_a_zombie, "process is gone"},
    {"another group at its path is refused", let_the_group_be_another, "another cgroup"},
    {"a link in place of a group is refused", let_the_group_be_a_link, "cannot be opened"},
    {"a process that moved is refused", let_it_move, "not in that cgroup"},
    {"what cannot be written down is not done", say_what_cannot_be_written_down, "is no text"},
    {"an unknown means does nothing", use_an_unknown_means, "no such means"},
};

static void
nothing_is_written(void **state)
{
    const Row *row = *state;
    ActFixture *fixture = act_fixture_new(NULL);
    ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");
    g_autofree char *limit = NULL;

    row->change(fixture, step);
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
    assert_int_equal(fixture->n_applied, 0);
    if (!fixture->problem || !strstr(fixture->problem, row->problem))
        fail_msg("the problem is %s", fixture->problem);
    limit = act_fixture_limit(fixture, "/pod42/vm");
    assert_string_equal(limit, ACT_OLD);
    limit_is(fixture, "/pod42", ACT_OLD);
    limit_is(fixture, "/pod43/vm", ACT_OLD);
    act_fixture_free(fixture, false);
}

/* A means that says what it is told to. */
typedef struct {
    bool was_written;
    const char *value, *problem;
} Script;

static Script script;

static void
scripted_run(ActCall *call)
{
    if (call->is_read_only)
        act_call_end(call, false, call->record->old_value, NULL);
    else
        act_call_end(call, script.was_written, script.value, script.problem);
}

static const ActMeans scripted = {.name = "scripted", .run = scripted_run};

static void
run_scripted(ActFixture *fixture, Script answer)
{
    ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");

    set_text(&step->means, "scripted");
    script = answer;
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
}

static void
a_write_that_reads_back_otherwise_is_never_tried_again(void **state)
{
    ActFixture *fixture = *state;

    acts_add_means(fixture->acts, &scripted);
    run_scripted(fixture, (Script){.was_written = true, .value = ACT_OLD});
    assert_int_equal(newest(fixture)->state, ACT_NOT_DONE); /* it did not stay */
    assert_non_null(strstr(fixture->problem, "reads back as " ACT_OLD));
    run_scripted(fixture, (Script){.was_written = true, .value = "17"});
    assert_int_equal(newest(fixture)->state, ACT_FAILED);
    run_scripted(fixture, (Script){.was_written = true, .value = ACT_NEW});
    assert_int_equal(fixture->leave, LEAVE_FAILED);
    assert_int_equal(fixture->n_names, 0);
}

static void
a_write_that_never_stays_ends_until_somebody_looks(void **state)
{
    ActFixture *fixture = *state;
    const Script refused = {.was_written = true, .value = ACT_OLD};

    acts_add_means(fixture->acts, &scripted);
    for (guint i = 0; i < DECIDE_VAIN_MAX; i++) {
        run_scripted(fixture, refused);
        assert_int_equal(fixture->leave, LEAVE_GO);
    }
    for (guint i = 0; i < 10; i++) {
        run_scripted(fixture, refused);
        assert_int_equal(fixture->leave, LEAVE_VAIN);
        assert_int_equal(fixture->n_names, 0); /* not even an intent */
    }
    assert_int_equal(act_fixture_files(fixture), DECIDE_VAIN_MAX);
    /* a restart is nobody's look */
    act_fixture_restart(fixture);
    acts_add_means(fixture->acts, &scripted);
    run_scripted(fixture, refused);
    assert_int_equal(fixture->leave, LEAVE_VAIN);
    /* the VM beside is not held back by it */
    act_fixture_run(fixture, &act_fixture_terms,
                    act_fixture_plan(act_fixture_step(fixture, 43, "/pod43/vm"), NULL));
    assert_int_equal(fixture->leave, LEAVE_GO);
    assert_null(fixture->problem);
    acts_reset(fixture->acts);
    run_scripted(fixture, (Script){.was_written = true, .value = ACT_NEW});
    assert_int_equal(fixture->leave, LEAVE_GO);
    assert_int_equal(newest(fixture)->state, ACT_APPLIED);
}

static void
one_write_that_stays_begins_the_count_anew(void **state)
{
    ActFixture *fixture = *state;

    acts_add_means(fixture->acts, &scripted);
    for (guint round = 0; round < 3; round++) {
        for (guint i = 0; i < DECIDE_VAIN_MAX - 1; i++) {
            run_scripted(fixture, (Script){.problem = "refused"});
            assert_int_equal(fixture->leave, LEAVE_GO);
        }
        run_scripted(fixture, (Script){.was_written = true, .value = ACT_NEW});
        assert_int_equal(newest(fixture)->state, ACT_APPLIED);
    }
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

    acts_add_means(fixture->acts, &scripted);
    run_scripted(fixture, (Script){.problem = "not today"});
    text = act_record_print(newest(fixture), NULL);
    for (guint i = 1; i < n; i++) {
        g_autofree char *path = g_strdup_printf("var/" ACT_JOURNAL_DIRECTORY "/%u-1-1.json", i);

        tree_file(fixture->tree, path, text);
    }
    act_fixture_restart(fixture);
    acts_add_means(fixture->acts, &scripted);
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

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        T(a_plan_is_carried_out_in_its_order_and_recorded),
        T(observe_writes_nothing_not_even_the_intent),
        T(a_suspect_vm_is_left_alone_even_when_commanded),
        T(what_was_applied_is_undone_newest_first),
        T(after_an_administrators_undo_the_daemon_stays_away),
        T(a_value_that_changed_meanwhile_is_not_overwritten),
        T(the_daemon_cools_down_and_the_administrator_need_not),
        T(a_fight_trips_the_breaker_of_its_vm_alone),
        T(the_hosts_budget_is_everybodys),
        T(nothing_is_written_when_the_intent_cannot_be),
        T(a_link_in_place_of_the_journal_is_refused),
        T(a_write_that_reads_back_otherwise_is_never_tried_again),
        T(a_write_that_never_stays_ends_until_somebody_looks),
        T(one_write_that_stays_begins_the_count_anew),
        T(a_unit_is_written_through_systemd),
        T(a_systemd_that_refuses_has_done_nothing),
        T(an_intent_of_a_dead_writer_is_settled_by_the_value_in_force),
        T(a_late_intent_is_not_credited_with_a_later_write),
        T(broken_records_are_named_and_harm_no_other),
        T(a_long_journal_is_read_whole_and_kept_short),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(rows)];

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[G_N_ELEMENTS(fixed) + i] = t_row(rows[i].name, nothing_is_written, &rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
