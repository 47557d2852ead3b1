/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "recorder.h"
#include "scenario.h"

#include <string.h>

#define SECOND ((gint64)G_USEC_PER_SEC)
/* A host that has been up for a day: scenario time is not monotonic time. */
#define START (86400 * SECOND)

/* One virtio disk; writes once a sample unless it is still. */
static void
add_samples(Recorder *recorder, guint from, guint n, guint64 frozen_at)
{
    for (guint i = from; i < from + n; i++) {
        DiskSample disk = {.id = (char *)"/machine/peripheral/virtio0/virtio-backend",
                           .label = (char *)"virtio0",
                           .has_counters = true,
                           .wr_ops = MIN(i, frozen_at),
                           .wr_bytes = MIN(i, frozen_at) * 65536,
                           .has_idle_time = true,
                           .idle_time_ns = i < frozen_at ? 500 : (i - frozen_at) * 2000000000};
        Sample sample = {.now_us = START + i * 2 * SECOND,
                         .boottime_us = START + i * 2 * SECOND,
                         .period_us = 2 * SECOND,
                         .age_us = START + i * 2 * SECOND,
                         .process_state = 'S',
                         .monitor = MONITOR_ANSWERED,
                         .waited_us = 300 + i % 7,
                         .run = RUN_RUNNING,
                         .disks = &disk,
                         .n_disks = 1,
                         .has_disks = true};

        recorder_add(recorder, &sample);
    }
}

/* Replays what the recorder tells: how many samples, the first and the last one's time. */
static guint
replay(const Recorder *recorder, gint64 after_us, gint64 *ret_first_us, gint64 *ret_last_us,
       guint64 *ret_wr_ops)
{
    g_autofree char *text = recorder_text(recorder, after_us);
    g_autofree char *wrong = NULL;
    g_autoptr(Scenario) scenario = scenario_parse(text, strlen(text), &wrong);
    const Sample *sample;
    guint n = 0;

    if (!scenario)
        fail_msg("%s in:\n%s", wrong, text);
    while ((sample = scenario_next(scenario))) {
        if (n++ == 0)
            *ret_first_us = sample->now_us;
        *ret_last_us = sample->now_us;
        assert_int_equal(sample->n_disks, 1);
        *ret_wr_ops = sample->disks[0].wr_ops;
    }
    return n;
}

static void
what_was_recorded_replays(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    gint64 first = 0, last = 0;
    guint64 ops = 0;

    add_samples(recorder, 0, 10, 1000);
    assert_int_equal(replay(recorder, -1, &first, &last, &ops), 10);
    assert_int_equal(first, START);
    assert_int_equal(last, START + 18 * SECOND);
    assert_int_equal(ops, 9);
}

static void
only_newer_samples_are_told_when_asked(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    gint64 first = 0, last = 0;
    guint64 ops = 0;

    add_samples(recorder, 0, 10, 1000);
    assert_int_equal(replay(recorder, START + 14 * SECOND, &first, &last, &ops), 2);
    assert_int_equal(first, START + 16 * SECOND);
}

static void
nothing_recorded_is_an_empty_text(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    g_autofree char *text = recorder_text(recorder, -1);

    assert_string_equal(text, "");
}

static void
old_samples_go_and_the_rest_is_one_story(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    gint64 first = 0, last = 0;
    guint64 ops = 0;
    guint n;

    add_samples(recorder, 0, 5000, 4000);
    n = replay(recorder, -1, &first, &last, &ops);
    assert_in_range(n, 200, 512);
    assert_int_equal(last, START + 4999 * 2 * SECOND);
    assert_int_equal(last - first, (gint64)(n - 1) * 2 * SECOND); /* no gap between the parts */
    assert_int_equal(ops, 4000);
}

static void
a_quarter_of_an_hour_fits_into_a_few_pages(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    g_autofree char *idle = NULL, *busy = NULL;

    add_samples(recorder, 0, 450, 0);
    idle = recorder_text(recorder, -1);
    assert_in_range(strlen(idle), 100, 24 * 1024);
    add_samples(recorder, 450, 5000, 10000);
    busy = recorder_text(recorder, -1);
    assert_in_range(strlen(busy), 100, 2 * 21 * 1024);
}

static void
a_disk_that_completes_is_known_since_when(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    const char *id = "/machine/peripheral/virtio0/virtio-backend";
    gint64 at = 0;

    add_samples(recorder, 0, 1, 50);
    assert_false(recorder_disk_moved(recorder, id, &at));
    add_samples(recorder, 1, 99, 50);
    assert_true(recorder_disk_moved(recorder, id, &at));
    assert_int_equal(at, START + 100 * SECOND);
    assert_false(recorder_disk_moved(recorder, "virtio1", &at));
    assert_false(recorder_disk_moved(recorder, NULL, &at));
}

static void
a_disk_that_went_away_is_forgotten(void **state)
{
    g_autoptr(Recorder) recorder = recorder_new("web");
    Sample without = {.now_us = START + 100 * SECOND, .period_us = 1, .has_disks = true};
    gint64 at = 0;

    add_samples(recorder, 0, 10, 50);
    recorder_add(recorder, &without);
    assert_false(recorder_disk_moved(recorder, "/machine/peripheral/virtio0/virtio-backend", &at));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        {"what was recorded replays", what_was_recorded_replays, NULL, NULL, NULL},
        {"only newer samples are told when asked", only_newer_samples_are_told_when_asked, NULL,
         NULL, NULL},
        {"nothing recorded is an empty text", nothing_recorded_is_an_empty_text, NULL, NULL, NULL},
        {"old samples go and the rest is one story", old_samples_go_and_the_rest_is_one_story, NULL,
         NULL, NULL},
        {"a quarter of an hour fits into a few pages", a_quarter_of_an_hour_fits_into_a_few_pages,
         NULL, NULL, NULL},
        {"a disk that completes is known since when", a_disk_that_completes_is_known_since_when,
         NULL, NULL, NULL},
        {"a disk that went away is forgotten", a_disk_that_went_away_is_forgotten, NULL, NULL,
         NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
