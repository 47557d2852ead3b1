/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "alert-hooks-fixture.h"
#include "alert-message.h"
#include "message.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_US (300 * G_GINT64_CONSTANT(1000))

static void
news_arrive_on_stdin_and_in_the_environment(void **state)
{
    HooksFixture *fixture = *state;
    g_autofree char *json = NULL, *env = NULL, *args = NULL;
    g_autoptr(JsonNode) node = NULL;
    JsonObject *object;

    g_setenv("SECRET_OF_THE_DAEMON", "x", TRUE);
    add_hook(fixture, "mail", "cat >$OUT/json; env >$OUT/env; echo \"$#$PWD\" >$OUT/args");
    run_news(fixture, "web: PAGE \"now\"");
    (void)settle(fixture);
    json = read_out(fixture, "json");
    env = read_out(fixture, "env");
    args = read_out(fixture, "args");
    node = message_parse_object(json, strcspn(json, "\n"), NULL);
    assert_non_null(node);
    object = json_node_get_object(node);
    assert_string_equal(message_get_string(object, "vm"), NASTY);
    assert_string_equal(message_get_string(object, "text"), "web: PAGE \"now\"");
    assert_string_equal(message_get_string(object, "step"), "paged");
    assert_string_equal(message_get_string(object, "layer"), "storage");
    assert_string_equal(message_get_string(object, "cause"), "host-device-stuck");
    assert_int_equal(json_array_get_length(message_get_array(object, "vms")), 1);
    assert_true(json_object_get_null_member(object, "storage"));
    assert_non_null(strstr(env, "ALERT_TEXT=web: PAGE \"now\"\n"));
    assert_non_null(strstr(env, "ALERT_VM=" NASTY "\n"));
    assert_non_null(strstr(env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"));
    assert_null(strstr(env, "SECRET"));
    assert_string_equal(args, "0/\n");
    assert_int_equal(alert_hooks_count(fixture->hooks).failed, 0);
    assert_int_equal(fixture->n_told, 0);
}

static void
without_a_directory_nothing_is_run_or_told(void **state)
{
    HooksFixture *fixture = *state;

    tree_remove(fixture->tree, "config/alert.d");
    run_news(fixture, "text");
    (void)settle(fixture);
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(alert_hooks_count(fixture->hooks).run, 0);
}

static bool
is_alive(HooksFixture *fixture, const char *name)
{
    g_autofree char *text = read_out(fixture, name);

    assert_non_null(text);
    return kill((pid_t)g_ascii_strtoll(text, NULL, 10), 0) == 0 || errno != ESRCH;
}

static void
what_hangs_is_killed_with_all_that_it_started(void **state)
{
    HooksFixture *fixture = *state;
    g_autofree char *good = NULL;

    /* one in its group, one in a session of its own that lost its parent, both ignoring signals */
    add_hook(fixture, "hang",
             "trap '' TERM HUP INT\n"
             "sleep 1000 & echo $! >$OUT/group\n"
             "setsid sh -c 'trap \"\" TERM HUP; setsid sleep 1000 & echo $! >'$OUT/session\n"
             "echo $$ >$OUT/itself\n"
             "while :; do sleep 1000; done");
    add_hook(fixture, "other", "echo done >$OUT/good");
    alert_hooks_set_deadline(fixture->hooks, 5 * DEADLINE_US);
    run_news(fixture, "text");
    (void)settle(fixture);
    good = read_out(fixture, "good");
    assert_string_equal(good, "done\n");
    assert_false(is_alive(fixture, "itself"));
    assert_false(is_alive(fixture, "group"));
    assert_false(is_alive(fixture, "session"));
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(fixture->told->str, "alert.d/hang: not done in time"));
    assert_int_equal(alert_hooks_count(fixture->hooks).failed, 1);
}

static void
what_is_left_at_work_has_until_the_deadline(void **state)
{
    HooksFixture *fixture = *state;
    g_autofree char *late = NULL;

    add_hook(fixture, "mail", "(sleep 0.3; echo >$OUT/late) >/dev/null 2>&1 &");
    alert_hooks_set_deadline(fixture->hooks, 10 * G_USEC_PER_SEC);
    run_news(fixture, "text");
    (void)settle(fixture);
    late = read_out(fixture, "late");
    assert_non_null(late);
    assert_int_equal(alert_hooks_count(fixture->hooks).failed, 0);
}

static void
what_floods_is_killed(void **state)
{
    HooksFixture *fixture = *state;

    add_hook(fixture, "flood", "echo begin; exec yes");
    add_hook(fixture, "deaf", "exec <&-; exit 0"); /* stdin is not read: that is nobody's harm */
    run_news(fixture, "text");
    (void)settle(fixture);
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(fixture->told->str, "alert.d/flood: printed more than 1 MiB"));
    assert_non_null(strstr(fixture->told->str, ": begin\n"));
}

static void
a_failure_is_said_once_and_so_is_its_end(void **state)
{
    HooksFixture *fixture = *state;

    add_hook(fixture, "mail", "echo 'no\033[2J server' >&2; echo more; exit 3");
    run_news(fixture, "one");
    (void)settle(fixture);
    run_news(fixture, "two");
    (void)settle(fixture);
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(fixture->told->str, "alert.d/mail: exit status 3: no\\x1b[2J server\n"));
    add_hook(fixture, "mail", "exit 0");
    run_news(fixture, "three");
    (void)settle(fixture);
    run_news(fixture, "four");
    (void)settle(fixture);
    assert_int_equal(fixture->n_told, 2);
    assert_non_null(strstr(fixture->told->str, "alert.d/mail: works again\n"));
    assert_int_equal(alert_hooks_count(fixture->hooks).failed, 2);
    assert_int_equal(alert_hooks_count(fixture->hooks).run, 4);
}

static void
what_cannot_be_started_says_so(void **state)
{
    HooksFixture *fixture = *state;

    tree_file(fixture->tree, "config/alert.d/none", "#!/none/interpreter\n");
    chmod(tree_path(fixture->tree, "config/alert.d/none"), 0755);
    add_hook(fixture, "crash", "kill -SEGV $$");
    run_news(fixture, "one");
    (void)settle(fixture);
    assert_non_null(strstr(fixture->told->str, "alert.d/none: exit status 126: cannot be run: No"));
    assert_non_null(strstr(fixture->told->str, "alert.d/crash: killed by signal 11\n"));
}

/* Each run says how many are at work, itself included. */
static void
five_hundred_alerts_are_bounded_in_all(void **state)
{
    HooksFixture *fixture = *state;
    AlertHooksCount count;
    gint64 longest;

    tree_directory(fixture->tree, "at-work");
    add_hook(fixture, "count",
             ": >$OUT/at-work/$$; set -- $OUT/at-work/*; echo $# >>$OUT/counts; sleep 0.1;"
             "rm $OUT/at-work/$$");
    for (guint i = 0; i < 500; i++)
        run_news(fixture, "text");
    longest = settle(fixture);
    count = alert_hooks_count(fixture->hooks);
    assert_int_equal(count.run, ALERT_HOOKS_QUEUE_MAX);
    assert_int_equal(count.dropped, 500 - ALERT_HOOKS_QUEUE_MAX);
    assert_int_equal(count.failed, 0);
    print_message("# longest turn of the loop: %d us\n", (int)longest);
    {
        g_autofree char *text = read_out(fixture, "counts");
        g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);

        assert_int_equal(g_strv_length(lines), ALERT_HOOKS_QUEUE_MAX);
        for (guint i = 0; lines[i]; i++)
            assert_true(g_ascii_strtoull(lines[i], NULL, 10) <= ALERT_HOOKS_MAX);
    }
}

static JsonObject *
find_result(JsonObject *results, const char *name)
{
    JsonArray *list = message_get_array(results, "results");

    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *result = json_array_get_object_element(list, i);

        if (g_strcmp0(message_get_string(result, "name"), name) == 0)
            return result;
    }
    return NULL;
}

static void
a_test_shows_each_result(void **state)
{
    HooksFixture *fixture = *state;
    g_autoptr(JsonNode) before = NULL, after = NULL;
    bool is_complete = true, is_good = false;
    g_autofree char *step = NULL;
    JsonObject *results;

    add_hook(fixture, "good", "echo sent; printf %s $ALERT_STEP >$OUT/step");
    add_hook(fixture, "bad", "echo 'no server' >&2; exit 1");
    tree_link(fixture->tree, "config/alert.d/link", "good");
    alert_hooks_test(fixture->hooks);
    before = alert_hooks_test_results(fixture->hooks);
    assert_true(message_get_bool(json_node_get_object(before), "complete", &is_complete));
    assert_false(is_complete);
    (void)settle(fixture);
    after = alert_hooks_test_results(fixture->hooks);
    results = json_node_get_object(after);
    assert_true(message_get_bool(results, "complete", &is_complete));
    assert_true(is_complete);
    assert_int_equal(json_array_get_length(message_get_array(results, "results")), 3);
    assert_true(message_get_bool(find_result(results, "good"), "good", &is_good));
    assert_true(is_good);
    assert_string_equal(message_get_string(find_result(results, "good"), "output"), "sent");
    assert_true(message_get_bool(find_result(results, "bad"), "good", &is_good));
    assert_false(is_good);
    assert_string_equal(message_get_string(find_result(results, "bad"), "result"), "exit status 1");
    assert_string_equal(message_get_string(find_result(results, "link"), "result"),
                        "not run: it is a link");
    step = read_out(fixture, "step");
    assert_string_equal(step, "test");
}

static void
a_service_leaves_its_sandbox_by_systemd(void **state)
{
    const AlertingNews news = {
        .step = "paged", .line = "web: PAGE", .state = STATE_FROZEN, .layer = LAYER_STORAGE};
    g_autoptr(AlertMessage) message = alert_message_new(&news, 0);
    g_auto(GStrv) inside = alert_message_argv(message, "/etc/x", false, G_USEC_PER_SEC);
    g_auto(GStrv) outside = alert_message_argv(message, "/etc/x", true, G_USEC_PER_SEC);
    const char *const *words = (const char *const *)outside;

    assert_int_equal(g_strv_length(inside), 1);
    assert_string_equal(inside[0], "/etc/x");
    assert_string_equal(outside[0], "/usr/bin/systemd-run");
    assert_string_equal(outside[g_strv_length(outside) - 1], "/etc/x");
    assert_true(g_strv_contains(words, "--property=RuntimeMaxSec=1500ms"));
    assert_true(g_strv_contains(words, "--setenv=ALERT_TEXT=web: PAGE"));
    assert_true(g_strv_contains(words, "--setenv=PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
}

static void
the_end_in_the_middle_is_clean(void **state)
{
    HooksFixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    add_hook(fixture, "hang", "echo $$ >$OUT/pid; exec sleep 1000");
    for (guint i = 0; i < 40; i++)
        run_news(fixture, "text");
    while (access(tree_path(fixture->tree, "pid"), F_OK) != 0 && g_get_monotonic_time() < end_us)
        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
    run_news(fixture, "text");
    g_clear_pointer(&fixture->hooks, alert_hooks_free);
    assert_int_equal(fixture->n_told, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOOKS(news_arrive_on_stdin_and_in_the_environment),
        WITH_HOOKS(without_a_directory_nothing_is_run_or_told),
        WITH_HOOKS(what_hangs_is_killed_with_all_that_it_started),
        WITH_HOOKS(what_is_left_at_work_has_until_the_deadline),
        WITH_HOOKS(what_floods_is_killed),
        WITH_HOOKS(a_failure_is_said_once_and_so_is_its_end),
        WITH_HOOKS(what_cannot_be_started_says_so),
        WITH_HOOKS(five_hundred_alerts_are_bounded_in_all),
        WITH_HOOKS(a_test_shows_each_result),
        cmocka_unit_test(a_service_leaves_its_sandbox_by_systemd),
        WITH_HOOKS(the_end_in_the_middle_is_clean),
    };

    return cmocka_run_group_tests_name("alert hooks", tests, NULL, NULL);
}
