/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One event, one story: kills that follow each other, before and after the first one was told. */

#include "t.h"

#include "alerting-private.h"
#include "oom-before.h"
#include "oom-fixture.h"

#include <string.h>

static const OomStory *
story_at(const OomFixture *fixture, guint i)
{
    const GPtrArray *stories = oom_watch_stories(fixture->oom);

    assert_true(i < stories->len);
    return stories->pdata[i];
}

static guint
count_chain(const OomStory *story)
{
    return json_array_get_length(json_object_get_array_member(story->report, "chain"));
}

/* What a QEMU held is charged until it is gone, which may take seconds. */
static void
assert_is_one_story(const OomFixture *fixture, guint n_told)
{
    const OomStory *story = story_at(fixture, 0);

    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_int_equal(fixture->n_told, n_told);
    assert_true(g_str_has_prefix(
        story->line, "qemu-system-x86[42] was OOM-killed, then memhold[107]: /kubepods/pod"));
    assert_non_null(
        strstr(story->line, "; the VM died of it; blame: stranger, memhold[107] holds "));
    assert_null(strstr(story->line, "a loop"));
    assert_non_null(strstr(story->text, "killed   2 in this event, in order: qemu-system-x86[42]"));
    assert_int_equal(story->n_kills, 1);
    assert_int_equal(count_chain(story), 2);
    assert_true(story->is_death);
}

static void
a_stranger_that_dies_with_qemu_is_in_its_story(void **state)
{
    OomFixture *fixture = *state;

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 1);
    oom_fixture_kill(fixture, 42, "memhold", 107, true);
    oom_fixture_wait(fixture, 3);
    assert_is_one_story(fixture, 1);
    assert_false(oom_fixture_is_told(fixture, "innocent"));
}

static void
a_story_that_was_told_gets_its_further_victims(void **state)
{
    OomFixture *fixture = *state;
    gint64 seen_us;

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 3);
    assert_int_equal(fixture->n_told, 1);
    assert_int_equal(count_chain(story_at(fixture, 0)), 1);
    seen_us = story_at(fixture, 0)->seen_us;
    tree_remove(fixture->tree, "proc/42");
    guardian_look_twice(fixture->guardian, 0);
    oom_fixture_wait(fixture, 5);
    oom_fixture_kill(fixture, 42, "memhold", 107, true);
    oom_fixture_wait(fixture, 3);
    assert_is_one_story(fixture, 2);
    assert_int_equal(story_at(fixture, 0)->seen_us, seen_us); /* when it began */
    /* the daemon after this one knows that all of it was told */
    guardian_free(fixture->guardian);
    oom_fixture_daemon(fixture);
    assert_is_one_story(fixture, 3);
}

/* Of the VM alone, and counted once: whoever is killed before QEMU is part of its death. */
static void
a_stranger_first_and_then_qemu_is_a_death(void **state)
{
    OomFixture *fixture = *state;
    const OomStory *story;

    oom_fixture_kill_beside(fixture, 42, "memhold", 107, "qemu-system-x86", 42);
    oom_fixture_wait(fixture, 3);
    assert_false(story_at(fixture, 0)->is_death);
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 3);
    story = story_at(fixture, 0);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_true(story->is_death);
    assert_true(g_str_has_prefix(
        story->line, "memhold[107] was OOM-killed, then qemu-system-x86[42]: /kubepods/pod"));
    assert_non_null(strstr(story->line, "; the VM died of it; "));
}

static void
a_vm_that_begins_again_is_a_loop(void **state)
{
    OomFixture *fixture = *state;

    for (int i = 0; i < 3; i++) {
        oom_fixture_kill(fixture, 42, "qemu-system-x86", 42 + 1000 * i, true);
        oom_fixture_wait(fixture, 6);
    }
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 3);
    assert_int_equal(count_chain(story_at(fixture, 2)), 1);
    assert_non_null(strstr(fixture->told, "; kill 3 of this VM within an hour: a loop"));
}

static void
kills_of_others_in_between_are_theirs(void **state)
{
    OomFixture *fixture = *state;

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_kill(fixture, 43, "qemu-system-x86", 43, true);
    oom_fixture_kill(fixture, 99, "java", 500, true);
    oom_fixture_wait(fixture, 4);
    oom_fixture_kill(fixture, 42, "memhold", 107, true);
    oom_fixture_wait(fixture, 4);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 3);
    assert_non_null(
        strstr(story_at(fixture, 0)->line, "qemu-system-x86[42] was OOM-killed, then memhold"));
    for (guint i = 0; i < 3; i++) {
        assert_int_equal(count_chain(story_at(fixture, i)), i == 0 ? 2 : 1);
        assert_int_equal(story_at(fixture, i)->n_kills, 1);
    }
    assert_true(
        g_str_has_prefix(story_at(fixture, 1)->line, "qemu-system-x86[43] was OOM-killed: "));
}

/* Whoever is started again and again beside a VM. */
static void
a_long_event_is_one_story_to_its_end(void **state)
{
    OomFixture *fixture = *state;

    for (int i = 0; i < 40; i++) {
        oom_fixture_kill(fixture, 42, "memhold", 1000 + i, true);
        oom_fixture_wait(fixture, 8);
    }
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 1);
    assert_int_equal(count_chain(story_at(fixture, 0)), 40);
    assert_false(story_at(fixture, 0)->is_death);
    assert_non_null(strstr(fixture->told, ", then memhold[1001], memhold[1002], memhold[1003] and "
                                          "36 more: "));
}

/* More stories than are kept, and further victims of one that is not. */
static void
a_flood_of_events_is_bounded(void **state)
{
    OomFixture *fixture = *state;

    for (int i = 0; i < 3 * OOM_STORIES_MAX; i++) {
        oom_fixture_kill(fixture, 100 + i, "java", 500 + i, true);
        oom_fixture_wait(fixture, i % 3);
    }
    oom_fixture_kill(fixture, 100, "memhold", 107, true);
    oom_fixture_wait(fixture, 3);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, OOM_STORIES_MAX);
    assert_int_equal(count_chain(story_at(fixture, OOM_STORIES_MAX - 1)), 1);
}

/* So long later there is so much in the group of the guilty; nothing changes in the other. */
static void
read_later(OomFixture *fixture, gint64 seconds, guint mib)
{
    g_autofree char *stat = g_strdup_printf("anon %u\nfile 0\nshmem 0\n", mib << 20);

    tree_file(fixture->tree,
              "sys/fs/cgroup/kubepods/pod00000042-1111-2222-3333-444444444444/vm/memory.stat",
              stat);
    oom_fixture_wait(fixture, seconds);
    guardian_look_twice(fixture->guardian, 0);
}

static JsonArray *
before_of(const OomStory *story)
{
    return json_object_get_array_member(story->report, "before");
}

static gint64
number_before(const OomStory *story, guint i, const char *member)
{
    return json_object_get_int_member(json_array_get_object_element(before_of(story), i), member);
}

static void
assert_shows_growth(const OomStory *story)
{
    static const guint mib[] = {50, 60, 70, 90};

    assert_int_equal(json_array_get_length(before_of(story)), 5);
    for (guint i = 0; i < G_N_ELEMENTS(mib); i++) {
        assert_int_equal(number_before(story, i + 1, "unreclaimable_bytes"), mib[i] << 20);
        assert_int_equal(number_before(story, i + 1, "limit_bytes"), 96 << 20);
        assert_int_equal(number_before(story, i + 1, "before_s"), 60 * (3 - i) + 1);
    }
}

static void
the_minutes_before_the_kill_join_its_report(void **state)
{
    OomFixture *fixture = *state;
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < 4; i++)
        read_later(fixture, 60, i < 3 ? 50 + 10 * i : 90);
    oom_fixture_clock(fixture, fixture->now + S);
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 1);
    read_later(fixture, 1, 10); /* after the kill */
    oom_fixture_wait(fixture, 1);
    assert_shows_growth(story_at(fixture, 0));
    oom_fixture_kill(fixture, 42, "memhold", 107, true);
    oom_fixture_kill(fixture, 43, "virtqemud", 77, true);
    oom_fixture_kill(fixture, 99, "java", 500, true);
    oom_fixture_wait(fixture, 3);
    assert_int_equal(oom_watch_stories(fixture->oom)->len, 3);
    assert_shows_growth(story_at(fixture, 0));
    /* the other's is its own, and nobody's is empty */
    for (guint i = 0; i < json_array_get_length(before_of(story_at(fixture, 1))); i++)
        assert_int_equal(number_before(story_at(fixture, 1), i, "unreclaimable_bytes"), 50331648);
    assert_int_equal(json_array_get_length(before_of(story_at(fixture, 2))), 0);
    guardian_free(fixture->guardian);
    oom_fixture_daemon(fixture);
    assert_shows_growth(story_at(fixture, 0));
    oom_before_append(text, story_at(fixture, 0)->report, 2);
    assert_non_null(strstr(text->str, "\n      2m    60M    96M "));
}

/* It is not the clock of the readings. */
static void
a_log_whose_clock_is_off_is_told_at_its_time(void **state)
{
    OomFixture *fixture = *state;

    fixture->behind = 90 * S;
    for (guint i = 0; i < 4; i++)
        read_later(fixture, 60, i < 3 ? 50 + 10 * i : 90);
    oom_fixture_clock(fixture, fixture->now + S);
    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 3);
    assert_in_range(fixture->now - story_at(fixture, 0)->seen_us, 2 * S, 3 * S);
    assert_shows_growth(story_at(fixture, 0));
}

typedef struct {
    guint n_raised, n_paged;
} Heard;

static void
hear(const AlertingNews *news, gpointer data)
{
    Heard *heard = data;

    heard->n_raised += strcmp(news->step, "raised") == 0;
    heard->n_paged += strcmp(news->step, "paged") == 0;
}

static void
no_warning(const char *line, gpointer data)
{
    fail_msg("%s", line);
}

static void
a_story_with_a_further_victim_is_one_page(void **state)
{
    OomFixture *fixture = *state;
    Heard heard = {0};
    AlertingFuncs funcs = {.speak = hear, .warn = no_warning, .data = &heard};
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Alerting) alerting = alerting_new(fixture->host, context, &funcs);

    oom_fixture_kill(fixture, 42, "qemu-system-x86", 42, true);
    oom_fixture_wait(fixture, 3);
    alerting_follow_oom(alerting, story_at(fixture, 0), true);
    oom_fixture_wait(fixture, 5);
    alerting_speak_due(alerting, false);
    assert_int_equal(heard.n_paged, 1);
    oom_fixture_kill(fixture, 42, "memhold", 107, true);
    oom_fixture_wait(fixture, 3);
    assert_int_equal(fixture->n_told, 2);
    alerting_follow_oom(alerting, story_at(fixture, 0), true);
    oom_fixture_wait(fixture, 60);
    alerting_speak_due(alerting, false);
    assert_int_equal(heard.n_raised, 1);
    assert_int_equal(heard.n_paged, 1);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_OOM(a_stranger_that_dies_with_qemu_is_in_its_story),
        WITH_OOM(a_story_that_was_told_gets_its_further_victims),
        WITH_OOM(a_stranger_first_and_then_qemu_is_a_death),
        WITH_OOM(a_vm_that_begins_again_is_a_loop),
        WITH_OOM(kills_of_others_in_between_are_theirs),
        WITH_OOM(a_long_event_is_one_story_to_its_end),
        WITH_OOM(a_flood_of_events_is_bounded),
        WITH_OOM(the_minutes_before_the_kill_join_its_report),
        WITH_OOM(a_log_whose_clock_is_off_is_told_at_its_time),
        WITH_OOM(a_story_with_a_further_victim_is_one_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
