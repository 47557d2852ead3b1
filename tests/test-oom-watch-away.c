/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* OOM kills while the VM, or the daemon, is not there; and what people are told of them. */

#include "t.h"

#include "alerting-private.h"
#include "oom-fixture.h"

#include <string.h>

static void
a_vm_that_is_gone_is_known_for_a_while(void **state)
{
    OomFixture *fixture = *state;

    tree_remove(fixture->tree, "proc/42");
    tree_remove(fixture->tree, "proc/43");
    oom_fixture_clock(fixture, fixture->now + 60 * S);
    guardian_look_twice(fixture->guardian, 0);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 0);
    oom_fixture_wait(fixture, 480);
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 2);
    assert_int_equal(fixture->n_told, 1);
    assert_true(g_str_has_prefix(fixture->told, "guilty: "));
    oom_fixture_wait(fixture, 120); /* and no longer */
    oom_fixture_kill(fixture, 43, "qemu-system-x86", 43, true);
    oom_fixture_wait(fixture, 2);
    assert_int_equal(fixture->n_told, 1);
}

/* While nobody watched one VM dies, of another one a helper; it is told once, at its time. */
static void
what_died_while_nobody_watched_is_told_once(void **state)
{
    OomFixture *fixture = *state;
    const OomStory *story;

    oom_watch_follow(fixture->oom); /* both VMs are known, and noted down */
    guardian_free(g_steal_pointer(&fixture->guardian));
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    tree_remove(fixture->tree, "proc/42");
    oom_fixture_clock(fixture, fixture->now + 600 * S);
    oom_fixture_kill(fixture, 43, "virtqemud", 77, true);
    oom_fixture_clock(fixture, fixture->now + 600 * S);
    for (guint i = 0; i < 2; i++) {
        oom_fixture_daemon(fixture);
        guardian_look_twice(fixture->guardian, 0);
        oom_fixture_flush(fixture);
        oom_fixture_wait(fixture, 2);
        assert_int_equal(oom_watch_stories(fixture->oom)->len, 2);
        story = oom_watch_stories(fixture->oom)->pdata[0];
        assert_string_equal(story->vm, "guilty");
        assert_true(story->is_death && story->is_open);
        assert_in_range(fixture->now - story->seen_us, 1200 * S, 1260 * S);
        story = oom_watch_stories(fixture->oom)->pdata[1];
        assert_string_equal(story->vm, "innocent");
        assert_false(story->is_death);
        assert_int_equal(fixture->n_told, 2 * (i + 1)); /* a new daemon tells what is open */
        /* and a log that is read again from its beginning tells nothing new */
        oom_watch_take(fixture->oom, "[ 3605.000000] java invoked oom-killer: order=0\n", 48);
        oom_fixture_wait(fixture, 20);
        assert_int_equal(oom_watch_stories(fixture->oom)->len, 2);
        if (i == 0)
            guardian_free(g_steal_pointer(&fixture->guardian));
    }
}

/* It began after the kill, with the same process number and name. */
static void
a_kill_before_its_start_is_not_the_vms(void **state)
{
    OomFixture *fixture = *state;

    fixture->now -= HOUR; /* the log's stamp: 10 s after the boot, the VMs began at 42 s */
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    fixture->now += HOUR;
    oom_fixture_wait(fixture, 5);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_null(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->vm);
    assert_int_equal(fixture->n_told, 0);
}

static void
a_restart_forgets_nothing(void **state)
{
    OomFixture *fixture = *state;
    g_autofree char *before = NULL, *told = NULL;
    int status;

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_kill(fixture, 99, "java", 500, true);
    oom_fixture_wait(fixture, 5);
    before = oom_fixture_status(fixture, &status);
    told = g_strdup(fixture->told);
    guardian_free(fixture->guardian);
    tree_remove(fixture->tree, "proc/42");
    oom_fixture_daemon(fixture);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 2);
    assert_int_equal(fixture->n_told, 2); /* the alert goes on: it is the same one */
    assert_string_equal(fixture->told, told);
    assert_true(oom_fixture_is_told(fixture, "guilty"));
    oom_fixture_wait(fixture, 3600);
    assert_int_equal(fixture->n_closed, 1);
    assert_true(oom_fixture_is_told(fixture, "guilty")); /* for those who ask */
    /* another boot is another story */
    tree_file(fixture->tree, "proc/sys/kernel/random/boot_id", "another\n");
    guardian_free(fixture->guardian);
    oom_fixture_daemon(fixture);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 0);
}

static void
a_host_without_a_log_says_so(void **state)
{
    OomFixture *fixture = *state;

    guardian_free(fixture->guardian);
    tree_remove(fixture->tree, "dev/kmsg");
    oom_fixture_daemon(fixture);
    assert_int_equal(fixture->n_warned, 1);
    oom_fixture_wait(fixture, 5);
}

typedef struct {
    guint n_raised, n_paged, n_closed;
    char *line;
} Heard;

static void
hear(const AlertingNews *news, gpointer data)
{
    Heard *heard = data;

    heard->n_raised += strcmp(news->step, "raised") == 0;
    heard->n_paged += strcmp(news->step, "paged") == 0;
    heard->n_closed += strcmp(news->step, "closed") == 0;
    assert_string_equal(news->vm, "guilty");
    if (strcmp(news->step, "closed") != 0)
        assert_string_equal(news->cause, "oom-killed");
    g_free(heard->line);
    heard->line = g_strdup(news->line);
}

static void
no_warning(const char *line, gpointer data)
{
    fail_msg("%s", line);
}

static void
the_alert_is_one_and_a_page_for_a_death(void **state)
{
    OomFixture *fixture = *state;

    for (guint is_death = 0; is_death < 2; is_death++) {
        Heard heard = {0};
        AlertingFuncs funcs = {.speak = hear, .warn = no_warning, .data = &heard};
        g_autoptr(Alerting) alerting = alerting_new(fixture->host, fixture->context, &funcs);
        OomStory story = {.vm = (char *)"guilty",
                          .line = (char *)"it was OOM-killed",
                          .is_death = is_death,
                          .seen_us = fixture->now};

        alerting_follow_oom(alerting, &story, true); /* once: nothing else comes of a dead VM */
        for (guint i = 0; i < 60; i++) {
            oom_fixture_clock(fixture, fixture->now + 60 * S);
            alerting_speak_due(alerting, false);
        }
        alerting_follow_oom(alerting, &story, false);
        oom_fixture_clock(fixture, fixture->now + 5 * S);
        alerting_follow_oom(alerting, &story, false);
        assert_int_equal(heard.n_raised, 1);
        assert_int_equal(heard.n_paged, is_death);
        assert_int_equal(heard.n_closed, 1);
        g_free(heard.line);
        tree_remove(fixture->tree, "run/vm-guardian/alerts.json");
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_OOM(a_vm_that_is_gone_is_known_for_a_while),
        WITH_OOM(what_died_while_nobody_watched_is_told_once),
        WITH_OOM(a_kill_before_its_start_is_not_the_vms),
        WITH_OOM(a_restart_forgets_nothing),
        WITH_OOM(a_host_without_a_log_says_so),
        WITH_OOM(the_alert_is_one_and_a_page_for_a_death),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
