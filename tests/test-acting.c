/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's hand over virtual time: what is doomed is raised, what is well left alone. */

#include "t.h"

#include "acting-fixture.h"
#include "message.h"
#include "report.h"

#include <string.h>

#define ENFORCE "[guardian]\nmode = enforce\n[enforce]\nlimits = enforce\n"

static void
observe_tells_the_plan_once_and_writes_nothing(void **state)
{
    static const char *const observing[] = {"", "[guardian]\nmode = enforce\n",
                                            "[enforce]\nlimits = enforce\n"};

    for (guint i = 0; i < G_N_ELEMENTS(observing); i++) {
        ActingFixture *fixture = acting_fixture_new(observing[i]);

        for (guint j = 0; j < 10; j++) {
            acting_clock_to(fixture, fixture->now + HOUR / 60);
            acting_look(fixture);
        }
        assert_int_equal(fixture->n_told, 1);
        assert_non_null(strstr(fixture->told->str, "guilty: observe, not written: "));
        assert_true(acting_limit_is_old(fixture, 42, false) &&
                    acting_limit_is_old(fixture, 42, true));
        assert_int_equal(acting_files(fixture), 0);
        acting_fixture_free(fixture);
    }
}

/* What a VM holds moves by pages all the time, and the plan with it. */
static void
a_plan_that_moves_is_not_told_at_each_step(void **state)
{
    ActingFixture *fixture = acting_fixture_new("");

    for (guint i = 0; i < 18; i++) {
        acting_group_set(fixture, 42, 260 + i);
        acting_look(fixture);
        acting_clock_to(fixture, fixture->now + HOUR / 120);
    }
    if (fixture->n_told != 1)
        fail_msg("told %u times: %s", fixture->n_told, fixture->told->str);
    for (guint i = 0; i < 6; i++) {
        acting_group_set(fixture, 42, 300 + i);
        acting_look(fixture);
        acting_clock_to(fixture, fixture->now + HOUR / 120);
    }
    assert_int_equal(fixture->n_told, 2);
    acting_fixture_free(fixture);
}

static void
a_doomed_vm_is_raised_by_one_write_for_each_group(void **state)
{
    ActingFixture *fixture = acting_fixture_new(ENFORCE);

    for (guint i = 0; i < 10; i++) {
        acting_clock_to(fixture, fixture->now + HOUR / 60);
        acting_look(fixture);
    }
    if (fixture->n_told != 1 || !strstr(fixture->told->str, "guilty: memory limits raised: "))
        fail_msg("%s", fixture->told->str);
    assert_false(acting_limit_is_old(fixture, 42, false) || acting_limit_is_old(fixture, 42, true));
    assert_true(acting_limit_is_old(fixture, 43, false) && acting_limit_is_old(fixture, 43, true));
    assert_int_equal(acting_files(fixture), 2);
    acting_fixture_free(fixture);
}

static void
a_day_without_need_has_no_write(void **state)
{
    ActingFixture *fixture = acting_fixture_new(ENFORCE);

    acting_group_set(fixture, 42, 80);
    for (guint i = 0; i < 24 * 60; i++) {
        acting_clock_to(fixture, fixture->now + HOUR / 60);
        acting_look(fixture);
    }
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(acting_files(fixture), 0);
    assert_true(acting_limit_is_old(fixture, 42, true) && acting_limit_is_old(fixture, 43, true));
    acting_fixture_free(fixture);
}

/* A kubelet that writes its own values again, once: raised again after the cool-down. One that does
 * it every six minutes: three times two writes, then the breaker. */
static void
what_was_rewritten_is_raised_again_until_it_is_a_fight(void **state)
{
    ActingFixture *fixture = acting_fixture_new(ENFORCE);

    acting_look(fixture);
    acting_limit_set(fixture, 42);
    acting_clock_to(fixture, fixture->now + HOUR / 60);
    acting_look(fixture);
    assert_true(acting_limit_is_old(fixture, 42, true)); /* cooling down */
    assert_non_null(strstr(fixture->told->str, "too soon"));
    for (guint i = 0; i < 8; i++) {
        acting_clock_to(fixture, fixture->now + HOUR / 10);
        acting_limit_set(fixture, 42);
        acting_look(fixture);
    }
    assert_int_equal(acting_files(fixture), 6);
    assert_true(acting_limit_is_old(fixture, 42, true));
    assert_int_equal(times_in(fixture->told->str, "somebody writes the old value back"), 1);
    /* somebody has to look, is told once, and told when it is over */
    assert_int_equal(times_in(fixture->alerts->str, "guilty: over"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "guilty: the VM's writes of this hour"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "guilty: the write budget was spent"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "guilty: "), 3);
    acting_reset(fixture->acting);
    acting_clock_to(fixture, fixture->now + HOUR);
    acting_look(fixture);
    assert_false(acting_limit_is_old(fixture, 42, true));
    assert_int_equal(times_in(fixture->alerts->str, "guilty: over"), 2);
    assert_int_equal(times_in(fixture->alerts->str, "innocent: "), 2); /* over, and again */
    assert_int_equal(times_in(fixture->alerts->str, "innocent: over"), 2);
    acting_fixture_free(fixture);
}

/* The newest first: the group of the VM, and before it the one above. */
static void
what_was_done_is_reported(void **state)
{
    ActingFixture *fixture = acting_fixture_new(ENFORCE);
    g_autoptr(JsonNode) before = NULL, after = NULL;
    g_autofree char *status = NULL, *explained = NULL;
    g_autoptr(GPtrArray) vms = NULL;
    JsonArray *acts;

    guardian_set_acts(fixture->guardian, acts_journal(acting_acts(fixture->acting)));
    before = report_state(fixture->guardian, true);
    status = report_status_text(json_node_get_object(before), false);
    assert_null(strstr(status, "memory.max"));
    g_clear_pointer(&status, g_free);
    acting_look(fixture);
    after = report_state(fixture->guardian, true);
    status = report_status_text(json_node_get_object(after), false);
    assert_int_equal(times_in(status, "memory.max"), 1);
    assert_non_null(strstr(status, "act      guilty, 0s ago: memory.max of "));
    vms = report_vms_sorted(json_node_get_object(after));
    for (guint i = 0; i < vms->len; i++) {
        JsonObject *vm = vms->pdata[i];

        acts = json_object_get_array_member(vm, "acts");
        if (g_str_equal(message_get_string(vm, "name"), "innocent")) {
            assert_int_equal(json_array_get_length(acts), 0);
            continue;
        }
        assert_int_equal(json_array_get_length(acts), 2);
        for (guint j = 0; j < 2; j++) {
            JsonObject *act = json_array_get_object_element(acts, j);

            assert_string_equal(message_get_string(act, "state"), "applied");
            assert_string_equal(message_get_string(act, "before"), "1200Mi");
            assert_string_equal(message_get_string(act, "by"), "daemon");
            assert_int_equal(g_str_has_suffix(message_get_string(act, "where"), "/vm"), j == 0);
        }
        explained = report_explain_text(vm, false);
    }
    assert_non_null(strstr(explained, "\nacts     "));
    assert_int_equal(times_in(explained, "memory.max of /kubepods/pod00000042-"), 2);
    acting_fixture_free(fixture);
}

static void
what_the_host_cannot_back_is_told_and_not_done(void **state)
{
    ActingFixture *fixture = acting_fixture_new(ENFORCE);

    tree_file(fixture->tree, "proc/meminfo",
              "MemTotal: 16777216 kB\nMemFree: 65536 kB\nMemAvailable: 65536 kB\n"
              "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    acting_look(fixture);
    assert_non_null(strstr(fixture->told->str, "the host could not back it"));
    assert_true(acting_limit_is_old(fixture, 42, true));
    assert_int_equal(acting_files(fixture), 0);
    acting_fixture_free(fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observe_tells_the_plan_once_and_writes_nothing),
        cmocka_unit_test(a_plan_that_moves_is_not_told_at_each_step),
        cmocka_unit_test(a_doomed_vm_is_raised_by_one_write_for_each_group),
        cmocka_unit_test(what_was_rewritten_is_raised_again_until_it_is_a_fight),
        cmocka_unit_test(what_was_done_is_reported),
        cmocka_unit_test(what_the_host_cannot_back_is_told_and_not_done),
        cmocka_unit_test(a_day_without_need_has_no_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
