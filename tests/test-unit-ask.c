/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "unit-ask.h"

#include <sys/stat.h>

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

    assert_true(unit_words_parse("Id=a.service\nOOMPolicy=stop\nMainPID=12\n", &words));
    assert_string_equal(words.oom_policy, "stop");
    assert_int_equal(words.main_pid, 12);
    g_free(words.oom_policy);
    assert_true(unit_words_parse("MainPID=\nOOMPolicy=kill\nOOMPolicy=continue\nId=a", &words));
    assert_string_equal(words.oom_policy, "kill");
    assert_int_equal(words.main_pid, 0);
    g_free(words.oom_policy);
    assert_true(unit_words_parse("Id=a.scope\n", &words)); /* a scope of an older systemd */
    assert_string_equal(words.oom_policy, "");
    g_free(words.oom_policy);
    assert_false(unit_words_parse("", &words));
    assert_false(unit_words_parse("OOMPolicy=continue\n", &words));
}

typedef struct {
    bool is_answered, is_told;
    char *oom_policy;
} Answer;

static void
on_words(const UnitWords *words, gpointer data)
{
    Answer *answer = data;

    answer->is_answered = true;
    answer->is_told = words != NULL;
    answer->oom_policy = words ? g_strdup(words->oom_policy) : NULL;
}

/* script: what systemctl is. */
static Answer
ask(const char *script)
{
    g_autoptr(Tree) tree = tree_new();
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Children) children = children_new(context);
    g_autofree char *path = g_strdup(g_getenv("PATH"));
    g_autofree char *with_fake = g_strconcat(tree_path(tree, "bin"), ":", path, NULL);
    Answer answer = {0};

    tree_file(tree, "bin/systemctl", script);
    assert_int_equal(chmod(tree_path(tree, "bin/systemctl"), 0755), 0);
    g_setenv("PATH", with_fake, TRUE);
    assert_true(unit_ask(children, "a.scope", on_words, &answer));
    g_setenv("PATH", path, TRUE);
    while (!answer.is_answered)
        g_main_context_iteration(context, TRUE);
    return answer;
}

static void
systemctl_is_asked_about_that_unit(void **state)
{
    Answer answer = ask("#!/bin/sh\n[ \"$1 $3 $4\" = 'show -- a.scope' ] && echo Id=$4 && "
                        "echo OOMPolicy=stop\n");

    assert_true(answer.is_told);
    assert_string_equal(answer.oom_policy, "stop");
    g_free(answer.oom_policy);
}

/* Its bus is away, or it says no: nobody may take that for a unit without a policy. */
static void
a_systemctl_that_fails_is_no_answer(void **state)
{
    assert_false(ask("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n").is_told);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unit_is_the_one_that_this_systemd_keeps),
        cmocka_unit_test(words_of_systemd_are_read),
        cmocka_unit_test(systemctl_is_asked_about_that_unit),
        cmocka_unit_test(a_systemctl_that_fails_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
