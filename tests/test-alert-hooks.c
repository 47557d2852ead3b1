/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "alert-hooks.h"
#include "alert-message.h"
#include "fake-host.h"
#include "message.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENT_US (60 * (gint64)G_USEC_PER_SEC)
#define DEADLINE_US (300 * G_GINT64_CONSTANT(1000))
#define NOBODY 65534
/* What VMs call themselves. */
#define NASTY "web\\x0a$(reboot)`id`'\"; \\x1b[2J"

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    AlertHooks *hooks;
    GString *told;
    guint n_told;
} Fixture;

static void
on_told(const char *line, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_told++;
    g_string_append_printf(fixture->told, "%s\n", line);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->told = g_string_new(NULL);
    tree_directory(fixture->tree, "config/alert.d");
    fixture->hooks = alert_hooks_new(fixture->host, fixture->context, on_told, fixture);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    alert_hooks_free(fixture->hooks);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_free(fixture);
    return 0;
}

/* $OUT is where the tests look. */
static void
add_hook(Fixture *fixture, const char *name, const char *body)
{
    g_autofree char *path = g_strdup_printf("config/alert.d/%s", name);
    g_autofree char *text =
        g_strdup_printf("#!/bin/sh\nOUT=%s\n%s\n", tree_root(fixture->tree), body);

    tree_file(fixture->tree, path, text);
    assert_int_equal(chmod(tree_path(fixture->tree, path), 0755), 0);
}

static void
run_news(Fixture *fixture, const char *line)
{
    static const char *const vms[] = {NASTY, NULL};
    const AlertingNews news = {.step = "paged",
                               .line = line,
                               .vm = NASTY,
                               .disk = "virtio0",
                               .state = STATE_FROZEN,
                               .layer = LAYER_STORAGE,
                               .cause = "host-device-stuck",
                               .since_utc = "2026-11-21T15:00:00Z",
                               .vms = vms,
                               .is_paged = true};

    alert_hooks_run(fixture->hooks, &news);
}

/* Until nothing runs or waits. The longest turn of the loop, in microseconds. */
static gint64
settle(Fixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US, longest = 0;
    AlertHooksCount count = alert_hooks_count(fixture->hooks);

    while (count.running + count.waiting > 0 && g_get_monotonic_time() < end_us) {
        gint64 begin_us = g_get_monotonic_time();

        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
        else
            longest = MAX(longest, g_get_monotonic_time() - begin_us);
        count = alert_hooks_count(fixture->hooks);
    }
    assert_int_equal(count.running + count.waiting, 0);
    return longest;
}

static char *
read_out(Fixture *fixture, const char *name)
{
    char *text = NULL;

    return g_file_get_contents(tree_path(fixture->tree, name), &text, NULL, NULL) ? text : NULL;
}

static void
news_arrive_on_stdin_and_in_the_environment(void **state)
{
    Fixture *fixture = *state;
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
    Fixture *fixture = *state;

    tree_remove(fixture->tree, "config/alert.d");
    run_news(fixture, "text");
    (void)settle(fixture);
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(alert_hooks_count(fixture->hooks).run, 0);
}

static void
what_others_could_have_written_is_refused_and_said_once(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *good = NULL;

    add_hook(fixture, "good", "echo >>$OUT/good");
    add_hook(fixture, "writable", "echo >$OUT/bad");
    add_hook(fixture, "na me", "echo >$OUT/bad");
    add_hook(fixture, "off", "echo >$OUT/bad");
    add_hook(fixture, "old~", "echo >$OUT/bad");
    add_hook(fixture, "x.dpkg-old", "echo >$OUT/bad");
    add_hook(fixture, ".hidden", "echo >$OUT/bad");
    tree_directory(fixture->tree, "config/alert.d/directory");
    tree_fifo(fixture->tree, "config/alert.d/fifo");
    tree_link(fixture->tree, "config/alert.d/link", "good");
    chmod(tree_path(fixture->tree, "config/alert.d/writable"), 0775);
    chmod(tree_path(fixture->tree, "config/alert.d/off"), 0644);
    run_news(fixture, "one");
    (void)settle(fixture);
    run_news(fixture, "two");
    (void)settle(fixture);
    good = read_out(fixture, "good");
    assert_string_equal(good, "\n\n");
    assert_int_not_equal(access(tree_path(fixture->tree, "bad"), F_OK), 0);
    assert_int_equal(fixture->n_told, 3);
    assert_non_null(strstr(fixture->told->str, "alert.d/writable: not run: others than its owner"));
    assert_non_null(strstr(fixture->told->str, "alert.d/link: not run: it is a link"));
    assert_non_null(strstr(fixture->told->str, "alert.d/na me: not run: its name"));
}

typedef struct {
    const char *name;
    void (*spoil)(Fixture *fixture);
    const char *said;
} DirectoryRow;

static void
make_writable(Fixture *fixture)
{
    chmod(tree_path(fixture->tree, "config/alert.d"), 0777);
}

static void
make_parent_writable(Fixture *fixture)
{
    chmod(tree_path(fixture->tree, "config"), 0775);
}

static void
give_away(Fixture *fixture)
{
    assert_int_equal(chown(tree_path(fixture->tree, "config/alert.d"), NOBODY, (gid_t)-1), 0);
}

static void
make_link(Fixture *fixture)
{
    assert_int_equal(rename(tree_path(fixture->tree, "config/alert.d"),
                            tree_path(fixture->tree, "config/other")),
                     0);
    tree_link(fixture->tree, "config/alert.d", "other");
}

static const DirectoryRow directory_rows[] = {
    {"a directory that others write to is refused", make_writable, "others than its owner"},
    {"a directory below one that others write to is refused", make_parent_writable,
     "the directory above it"},
    {"a directory of somebody else is refused", give_away, "does not belong to root"},
    {"a link in place of the directory is refused", make_link, "it is a link"},
};

static void
a_directory_of_others_is_refused(void **state)
{
    const DirectoryRow *row = *state;
    void *made = NULL;
    Fixture *fixture;

    t_skip_unless(geteuid() == 0, "only root can give a directory away");
    fixture_set_up(&made);
    fixture = made;
    add_hook(fixture, "mail", "echo >$OUT/bad");
    row->spoil(fixture);
    run_news(fixture, "one");
    (void)settle(fixture);
    run_news(fixture, "two");
    (void)settle(fixture);
    assert_int_not_equal(access(tree_path(fixture->tree, "bad"), F_OK), 0);
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(fixture->told->str, row->said));
    fixture_tear_down(&made);
}

static bool
is_alive(Fixture *fixture, const char *name)
{
    g_autofree char *text = read_out(fixture, name);

    assert_non_null(text);
    return kill((pid_t)g_ascii_strtoll(text, NULL, 10), 0) == 0 || errno != ESRCH;
}

static void
what_hangs_is_killed_with_all_that_it_started(void **state)
{
    Fixture *fixture = *state;
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
    Fixture *fixture = *state;
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
    Fixture *fixture = *state;

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
    Fixture *fixture = *state;

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
    Fixture *fixture = *state;

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
    Fixture *fixture = *state;
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
    Fixture *fixture = *state;
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
    Fixture *fixture = *state;
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

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest alone[] = {
        row(news_arrive_on_stdin_and_in_the_environment),
        row(without_a_directory_nothing_is_run_or_told),
        row(what_others_could_have_written_is_refused_and_said_once),
        row(what_hangs_is_killed_with_all_that_it_started),
        row(what_is_left_at_work_has_until_the_deadline),
        row(what_floods_is_killed),
        row(a_failure_is_said_once_and_so_is_its_end),
        row(what_cannot_be_started_says_so),
        row(five_hundred_alerts_are_bounded_in_all),
        row(a_test_shows_each_result),
        cmocka_unit_test(a_service_leaves_its_sandbox_by_systemd),
        row(the_end_in_the_middle_is_clean),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(alone) + G_N_ELEMENTS(directory_rows)];

    memcpy(tests, alone, sizeof alone);
    for (guint i = 0; i < G_N_ELEMENTS(directory_rows); i++)
        tests[G_N_ELEMENTS(alone) + i] =
            t_row(directory_rows[i].name, a_directory_of_others_is_refused, &directory_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
