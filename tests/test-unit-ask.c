/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "unit-ask.h"

static void
the_unit_is_the_one_that_this_systemd_keeps(void **state)
{
    static const struct {
        const char *group, *unit; /* NULL: not known */
        bool is_unit;
    } rows[] = {
        {"/system.slice/web.service", "web.service", true},
        {"/system.slice/web.service/payload", "web.service", true},
        {"/user.slice/user-0.slice/session-3.scope", "session-3.scope", true},
        {"/system.slice/_cpu.service", "cpu.service", true},
        {"/user.slice/user-1.slice/user@1.service/app.slice/a.service", NULL, true},
        {"/machine.slice/machine-a.scope/system.slice/ssh.service", NULL, true},
        {"/lxc.payload.7/system.slice/ssh.service", NULL, true},
        {"/kubepods/pod1/crio-1", NULL, false},
        {"/user.slice", NULL, false},
    };
    g_autoptr(Tree) tree = tree_new();
    Host *host = fake_host_new(tree);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool is_unit = true;
        g_autofree char *none = unit_around(host, rows[i].group, &is_unit);

        assert_null(none); /* no systemd runs */
        assert_false(is_unit);
    }
    tree_directory(tree, "run/systemd/system");
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        bool is_unit = false;
        g_autofree char *unit = unit_around(host, rows[i].group, &is_unit);

        if (g_strcmp0(unit, rows[i].unit) != 0 || is_unit != rows[i].is_unit)
            fail_msg("%s: %s, %d", rows[i].group, unit ? unit : "none", is_unit);
    }
    host_free(host);
}

static void
words_of_systemd_are_read(void **state)
{
    UnitWords words;

    unit_words_parse("OOMPolicy=stop\nMainPID=12\n", &words);
    assert_string_equal(words.oom_policy, "stop");
    assert_int_equal(words.main_pid, 12);
    g_free(words.oom_policy);
    unit_words_parse("MainPID=\nOOMPolicy=kill\nOOMPolicy=continue", &words);
    assert_string_equal(words.oom_policy, "kill");
    assert_int_equal(words.main_pid, 0);
    g_free(words.oom_policy);
    unit_words_parse("", &words); /* a scope of systemd 252 */
    assert_string_equal(words.oom_policy, "");
    g_free(words.oom_policy);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unit_is_the_one_that_this_systemd_keeps),
        cmocka_unit_test(words_of_systemd_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
