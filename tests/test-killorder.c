/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which score and which memory.oom.group is asked for, and of whom nothing is. */

#include "t.h"

#include "killorder.h"

#include <string.h>

static Limits
asking(gint64 qemu, gint64 helpers, gint64 strangers, OomGroup group)
{
    return (Limits){.oom_score_qemu = qemu,
                    .oom_score_helpers = helpers,
                    .oom_score_strangers = strangers,
                    .oom_group = group,
                    .act_writes_vm = 6,
                    .act_writes_host = 60};
}

static void
by_default_nothing_is_asked_for(void **state)
{
    g_auto(Limits) limits;
    bool wanted;
    gint score;

    limits_init_defaults(&limits);
    assert_false(kill_order_is_asked(&limits));
    for (Role role = 0; role < ROLE_N; role++)
        assert_false(kill_order_score(&limits, role, role == ROLE_QEMU, &score));
    assert_false(kill_order_group(&limits, true, true, &wanted));
    assert_false(kill_order_group(&limits, true, false, &wanted));
}

static void
each_part_has_its_score(void **state)
{
    Limits limits = asking(-500, 300, 1000, OOM_GROUP_KEEP);
    gint score = 0;

    assert_true(kill_order_score(&limits, ROLE_QEMU, true, &score));
    assert_int_equal(score, -500);
    assert_true(kill_order_score(&limits, ROLE_STRANGER, false, &score));
    assert_int_equal(score, 1000);
    assert_true(kill_order_score(&limits, ROLE_SWTPM, false, &score));
    assert_int_equal(score, 300);
    assert_true(kill_order_is_asked(&limits));
}

static void
another_qemu_and_the_container_runtime_are_left_alone(void **state)
{
    Limits limits = asking(-500, 300, 1000, OOM_GROUP_KEEP);
    gint score;

    assert_false(kill_order_score(&limits, ROLE_QEMU, false, &score));
    assert_false(kill_order_score(&limits, ROLE_PAUSE, false, &score));
    assert_false(kill_order_score(&limits, ROLE_CONMON, false, &score));
}

static void
what_is_kept_is_not_asked_for(void **state)
{
    Limits limits = asking(SCORE_KEEP, SCORE_KEEP, 0, OOM_GROUP_KEEP);
    gint score = 1;

    assert_false(kill_order_score(&limits, ROLE_QEMU, true, &score));
    assert_false(kill_order_score(&limits, ROLE_SWTPM, false, &score));
    assert_true(kill_order_score(&limits, ROLE_STRANGER, false, &score));
    assert_int_equal(score, 0); /* zero is a score */
}

static void
one_kill_for_a_whole_group_is_asked_of_the_innermost_only(void **state)
{
    static const struct {
        OomGroup asked;
        bool is_innermost, is_set, differs, wanted;
    } rows[] = {
        {OOM_GROUP_1, true, false, true, true},    {OOM_GROUP_1, true, true, false, false},
        {OOM_GROUP_1, false, false, false, false}, {OOM_GROUP_1, false, true, false, false},
        {OOM_GROUP_0, true, true, true, false},    {OOM_GROUP_0, false, true, true, false},
        {OOM_GROUP_0, true, false, false, false},  {OOM_GROUP_KEEP, true, true, false, false},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        Limits limits = asking(SCORE_KEEP, SCORE_KEEP, SCORE_KEEP, rows[i].asked);
        bool wanted = !rows[i].wanted;

        if (kill_order_group(&limits, rows[i].is_innermost, rows[i].is_set, &wanted) !=
            rows[i].differs)
            fail_msg("row %u", i);
        if (rows[i].differs)
            assert_int_equal(wanted, rows[i].wanted);
    }
}

static void
two_writes_stay_for_what_saves_a_life(void **state)
{
    Limits limits = asking(0, 0, 0, OOM_GROUP_0);

    assert_int_equal(kill_order_room(&limits, 0, 0), 4);
    assert_int_equal(kill_order_room(&limits, 3, 3), 1);
    assert_int_equal(kill_order_room(&limits, 4, 4), 0);
    assert_int_equal(kill_order_room(&limits, 5, 5), 0);
    assert_int_equal(kill_order_room(&limits, 0, 57), 1);
    assert_int_equal(kill_order_room(&limits, 0, 70), 0);
    limits.act_writes_vm = 1;
    assert_int_equal(kill_order_room(&limits, 0, 0), 0);
}

/* What may be asked for, through the parser. */
static void
a_score_that_would_kill_the_host_is_refused(void **state)
{
    static const struct {
        const char *text, *wrong; /* NULL: taken */
        gint64 value;
    } rows[] = {
        {"keep", NULL, SCORE_KEEP},
        {"-900", NULL, -900},
        {"0", NULL, 0},
        {"1000", NULL, 1000},
        {"-901", "\"-901\" is below -900: the host's own daemons would be killed before the VM", 0},
        {"1001", "\"1001\" is above 1000", 0},
        {"9223372036854775807", "\"9223372036854775807\" is above 1000", 0},
        {"low", "\"low\" is neither keep nor a whole number", 0},
        {"", "\"\" is neither keep nor a whole number", 0},
    };
    const Setting *setting = setting_find("memory", "oom_score_qemu");

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        Limits limits = {.oom_score_qemu = 7};
        g_autofree char *wrong = setting_apply(setting, rows[i].text, &limits);
        g_autofree char *text = setting_format(setting, &limits);

        if (rows[i].wrong) {
            assert_string_equal(wrong, rows[i].wrong);
            assert_int_equal(limits.oom_score_qemu, 7);
            continue;
        }
        assert_null(wrong);
        assert_true(limits.oom_score_qemu == rows[i].value);
        assert_string_equal(text, rows[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_default_nothing_is_asked_for),
        cmocka_unit_test(each_part_has_its_score),
        cmocka_unit_test(another_qemu_and_the_container_runtime_are_left_alone),
        cmocka_unit_test(what_is_kept_is_not_asked_for),
        cmocka_unit_test(one_kill_for_a_whole_group_is_asked_of_the_innermost_only),
        cmocka_unit_test(two_writes_stay_for_what_saves_a_life),
        cmocka_unit_test(a_score_that_would_kill_the_host_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
