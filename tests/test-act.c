/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-fixture.h"

#include <string.h>
#include <sys/stat.h>

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

/* The pod is as it was already, its container is not: both are taken back, and one is written. */
static void
what_somebody_has_put_back_counts_as_undone(void **state)
{
    ActFixture *fixture = *state;
    GPtrArray *undo;

    act_fixture_run(fixture, &act_fixture_terms,
                    act_fixture_plan(act_fixture_step(fixture, 42, "/pod42"),
                                     act_fixture_step(fixture, 42, "/pod42/vm"), NULL));
    act_fixture_set_limit(fixture, "/pod42", ACT_OLD);
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, "limits");
    assert_int_equal(undo->len, 2);
    act_fixture_run(fixture, &act_fixture_terms, undo);
    assert_null(fixture->problem);
    limit_is(fixture, "/pod42", ACT_OLD);
    limit_is(fixture, "/pod42/vm", ACT_OLD);
    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, NULL);
    assert_int_equal(undo->len, 0);
    g_ptr_array_unref(undo);
}

/* A third value is somebody's own. */
static void
what_somebody_else_has_set_is_not_undone(void **state)
{
    ActFixture *fixture = *state;

    act_fixture_run(fixture, &act_fixture_terms, one_step(fixture));
    act_fixture_set_limit(fixture, "/pod42/vm", "100663296");
    act_fixture_run(fixture, &act_fixture_terms,
                    acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, NULL));
    assert_non_null(strstr(fixture->problem, "changed meanwhile, to 100663296"));
    limit_is(fixture, "/pod42/vm", "100663296");
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
a_write_that_reads_back_otherwise_is_never_tried_again(void **state)
{
    ActFixture *fixture = *state;

    act_scripted(fixture);
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

    act_scripted(fixture);
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
    act_scripted(fixture);
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

    act_scripted(fixture);
    for (guint round = 0; round < 3; round++) {
        for (guint i = 0; i < DECIDE_VAIN_MAX - 1; i++) {
            run_scripted(fixture, (Script){.problem = "refused"});
            assert_int_equal(fixture->leave, LEAVE_GO);
        }
        run_scripted(fixture, (Script){.was_written = true, .value = ACT_NEW});
        assert_int_equal(newest(fixture)->state, ACT_APPLIED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ACTS(a_plan_is_carried_out_in_its_order_and_recorded),
        WITH_ACTS(observe_writes_nothing_not_even_the_intent),
        WITH_ACTS(a_suspect_vm_is_left_alone_even_when_commanded),
        WITH_ACTS(what_was_applied_is_undone_newest_first),
        WITH_ACTS(what_somebody_has_put_back_counts_as_undone),
        WITH_ACTS(what_somebody_else_has_set_is_not_undone),
        WITH_ACTS(after_an_administrators_undo_the_daemon_stays_away),
        WITH_ACTS(a_value_that_changed_meanwhile_is_not_overwritten),
        WITH_ACTS(the_daemon_cools_down_and_the_administrator_need_not),
        WITH_ACTS(a_fight_trips_the_breaker_of_its_vm_alone),
        WITH_ACTS(the_hosts_budget_is_everybodys),
        WITH_ACTS(a_write_that_reads_back_otherwise_is_never_tried_again),
        WITH_ACTS(a_write_that_never_stays_ends_until_somebody_looks),
        WITH_ACTS(one_write_that_stays_begins_the_count_anew),
    };

    return cmocka_run_group_tests_name("acts", tests, NULL, NULL);
}
