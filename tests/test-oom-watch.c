/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* OOM kills as the kernel's log tells them. */

#include "t.h"

#include "oom-fixture.h"

#include <string.h>
#include <unistd.h>

#define POD_42 "/kubepods/pod00000042-1111-2222-3333-444444444444"

static void
a_killed_vm_is_told_once_with_its_story(void **state)
{
    OomFixture *fixture = *state;
    const GPtrArray *stories = oom_watch_stories(fixture->oom);
    const OomStory *story;
    g_autofree char *text = NULL;
    int status;

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 1);
    assert_int_equal(fixture->n_told, 0); /* more may follow */
    oom_fixture_wait(fixture, 1);
    oom_fixture_wait(fixture, 60);
    assert_int_equal(fixture->n_told, 1);
    assert_int_equal(stories->len, 1);
    story = stories->pdata[0];
    assert_string_equal(story->vm, "guilty");
    assert_true(story->is_death && story->is_open);
    assert_true(g_str_has_prefix(story->line, "qemu-system-x86[42] was OOM-killed: " POD_42));
    assert_non_null(strstr(story->line, "used 96M of its limit 96M; the VM died of it; blame: "
                                        "stranger, memhold[107]"));
    assert_non_null(strstr(story->line, "; do: keep memhold out of the VM's group, or give the "
                                        "group a limit of "));
    /* the guest's size is known of the VM, not of the log */
    assert_non_null(strstr(story->text, "  guest           32M  at most"));
    text = oom_fixture_status(fixture, &status);
    assert_int_equal(status, 1);
    assert_non_null(strstr(text, "oom      guilty at 2026-"));
    assert_null(strstr(text, "oom      innocent"));
    assert_true(oom_fixture_is_told(fixture, "guilty") && oom_fixture_is_told(fixture, "42"));
    assert_false(oom_fixture_is_told(fixture, "innocent"));
}

static void
a_helper_is_no_death_of_its_vm(void **state)
{
    OomFixture *fixture = *state;

    oom_fixture_kill(fixture, 43, "virtqemud", 77, true);
    oom_fixture_wait(fixture, 5);
    assert_int_equal(fixture->n_told, 1);
    assert_true(g_str_has_prefix(fixture->told, "innocent: virtqemud[77] was OOM-killed"));
    assert_non_null(strstr(fixture->told, "; QEMU itself was not killed; "));
    assert_false(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->is_death);
    assert_false(oom_fixture_is_told(fixture, "guilty"));
}

static void
what_dies_elsewhere_is_kept_and_not_told(void **state)
{
    OomFixture *fixture = *state;
    int status;
    g_autofree char *text = NULL;

    oom_fixture_kill(fixture, 99, "java", 500, true);
    oom_fixture_wait(fixture, 5);
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_null(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->vm);
    text = oom_fixture_status(fixture, &status);
    assert_null(strstr(text, "oom      "));
}

static void
a_report_without_its_end_is_told_as_far_as_it_goes(void **state)
{
    OomFixture *fixture = *state;

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, false);
    oom_fixture_wait(fixture, 9);
    assert_int_equal(fixture->n_told, 0);
    oom_fixture_wait(fixture, 2);
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(((const OomStory *)oom_watch_stories(fixture->oom)->pdata[0])->text,
                           "is not complete"));
}

static void
kills_again_and_again_are_a_loop(void **state)
{
    OomFixture *fixture = *state;

    for (guint i = 0; i < 3; i++) {
        oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
        oom_fixture_wait(fixture, 60);
    }
    assert_non_null(strstr(fixture->told, "; kill 3 of this VM within an hour: a loop"));
    oom_fixture_wait(fixture, 3600);
    assert_int_equal(fixture->n_closed, 1); /* by the newest alone */
    guardian_look_twice(fixture->guardian, 0);
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 60);
    assert_int_equal(fixture->n_told, 4);
    assert_null(strstr(fixture->told, "a loop"));
}

static void
many_kills_keep_the_newest(void **state)
{
    OomFixture *fixture = *state;

    for (guint i = 0; i < OOM_STORIES_MAX + 5; i++) {
        guardian_look_twice(fixture->guardian, 0);
        oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
        oom_fixture_wait(fixture, 30);
    }
    assert_int_equal(fixture->n_told, OOM_STORIES_MAX + 5);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, OOM_STORIES_MAX);
}

static void
hostile_records_do_no_harm(void **state)
{
    static const char *const records[] = {";\n",
                                          "6,1\n",
                                          "x,y,z,-;invoked oom-killer\n",
                                          "6,1,99999999999999999999999,-;a\n",
                                          "6,1,1,-;\\x00\\x1b[31m\\xzz\\x\n",
                                          " continuation of nothing\n",
                                          "\n"};
    OomFixture *fixture = *state;
    g_autofree char *flood = g_strnfill(60000, 'x');

    for (guint i = 0; i < G_N_ELEMENTS(records); i++)
        assert_true(write(fixture->log_fd, records[i], strlen(records[i])) > 0);
    oom_fixture_flush(fixture);
    assert_int_equal(write(fixture->log_fd, flood, 60000), 60000); /* no end: dropped */
    oom_fixture_flush(fixture);
    assert_int_equal(write(fixture->log_fd, "\n", 1), 1);
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 5);
    assert_int_equal(fixture->n_told, 1);
    assert_int_equal(fixture->n_warned, 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_OOM(a_killed_vm_is_told_once_with_its_story),
        WITH_OOM(a_helper_is_no_death_of_its_vm),
        WITH_OOM(what_dies_elsewhere_is_kept_and_not_told),
        WITH_OOM(a_report_without_its_end_is_told_as_far_as_it_goes),
        WITH_OOM(kills_again_and_again_are_a_loop),
        WITH_OOM(many_kills_keep_the_newest),
        WITH_OOM(hostile_records_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
