/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "scenario.h"

#include <string.h>

#define SEED 20260131

#define HEAD "scenario 1\nvm demo clock=100s\ndisk a\ndisk b id=/machine/b\n"

/* Keeps every sample of a text, for tests that look at some of them. */
static GArray *
play(const char *text)
{
    g_autofree char *error = NULL;
    g_autoptr(Scenario) scenario = scenario_parse(text, strlen(text), &error);
    GArray *samples = g_array_new(FALSE, FALSE, sizeof(Sample));

    if (!scenario)
        fail_msg("%s\nin:\n%s", error, text);
    g_array_set_clear_func(samples, (GDestroyNotify)sample_clear);
    for (const Sample *sample = scenario_next(scenario); sample; sample = scenario_next(scenario)) {
        Sample copy;

        sample_copy(sample, &copy);
        g_array_append_val(samples, copy);
    }
    return samples;
}

#define SAMPLE(samples, i) (&g_array_index(samples, Sample, i))

static void
test_told_once_stays(void **state)
{
    g_autoptr(GArray) samples = play(HEAD "at 0s run=running monitor=answered process=S age=1h\n"
                                          "    a wr=10 time=12ms inflight=0 used=20\n"
                                          "at 2.5s a wr=+2\n");
    const Sample *last = SAMPLE(samples, 1);

    assert_int_equal(samples->len, 2);
    assert_int_equal(last->now_us, 102500000);
    assert_int_equal(last->boottime_us, 102500000);
    assert_int_equal(last->period_us, SCENARIO_PERIOD_US);
    assert_int_equal(last->age_us, G_GINT64_CONSTANT(3602500000));
    assert_int_equal(last->run, RUN_RUNNING);
    assert_int_equal(last->process_state, 'S');
    assert_int_equal(last->n_disks, 2);
    assert_string_equal(last->disks[0].id, "a");
    assert_string_equal(last->disks[1].id, "/machine/b");
    assert_string_equal(last->disks[1].label, "b");
    assert_true(last->disks[0].has_counters);
    assert_int_equal(last->disks[0].wr_ops, 12);
    assert_int_equal(last->disks[0].total_time_ns, 12000000);
    assert_true(last->disks[0].has_queue);
    assert_int_equal(last->disks[0].queue_used_idx, 20);
    assert_false(last->disks[0].has_limit);
    assert_false(last->disks[1].has_counters);
    assert_false(last->disks[1].has_queue);
}

static void
test_unknown_takes_its_group(void **state)
{
    g_autoptr(GArray) samples = play(HEAD "at 0s run=running age=5s a wr=7 used=3\n"
                                          "at 1s run=? age=? a used=? wr=8\n"
                                          "at 2s a inflight=1\n");

    assert_int_equal(SAMPLE(samples, 1)->run, RUN_UNKNOWN);
    assert_true(SAMPLE(samples, 1)->age_us < 0);
    assert_true(SAMPLE(samples, 2)->age_us < 0);
    assert_false(SAMPLE(samples, 1)->disks[0].has_queue);
    assert_true(SAMPLE(samples, 1)->disks[0].has_counters);
    assert_true(SAMPLE(samples, 2)->disks[0].has_queue);
    assert_int_equal(SAMPLE(samples, 2)->disks[0].queue_used_idx, 3);
}

static void
test_no_blockstats_no_disks(void **state)
{
    g_autoptr(GArray) samples = play(HEAD "at 0s a wr=7\nat 1s disks=no\nat 2s disks=yes b "
                                          "present=no\n");

    assert_int_equal(SAMPLE(samples, 0)->n_disks, 2);
    assert_true(SAMPLE(samples, 0)->has_disks);
    assert_int_equal(SAMPLE(samples, 1)->n_disks, 0);
    assert_false(SAMPLE(samples, 1)->has_disks);
    assert_int_equal(SAMPLE(samples, 2)->n_disks, 1);
    assert_int_equal(SAMPLE(samples, 2)->disks[0].wr_ops, 7);
}

static void
test_a_disk_may_come_later(void **state)
{
    g_autoptr(GArray) samples =
        play("scenario 1\nat 0s run=running\ndisk late bps=1Mi\nhold 4s every 2s per 4s\n"
             "    late wr=5\n");

    assert_int_equal(SAMPLE(samples, 0)->n_disks, 0);
    assert_int_equal(SAMPLE(samples, 1)->n_disks, 1);
    assert_int_equal(SAMPLE(samples, 1)->disks[0].limit_bps, 1048576);
    assert_false(SAMPLE(samples, 1)->disks[0].has_counters);
    assert_int_equal(SAMPLE(samples, 2)->disks[0].wr_ops, 5);
}

static void
test_a_suspend_shows_in_boottime(void **state)
{
    g_autoptr(GArray) samples = play(HEAD "at 0s asleep=1h\nat 2s asleep=+8h\n");

    assert_int_equal(SAMPLE(samples, 0)->boottime_us - SAMPLE(samples, 0)->now_us,
                     G_GINT64_CONSTANT(3600000000));
    assert_int_equal(SAMPLE(samples, 1)->boottime_us - SAMPLE(samples, 1)->now_us,
                     G_GINT64_CONSTANT(9) * 3600000000);
}

static void
test_thirty_days_in_one_line(void **state)
{
    static const char text[] = HEAD "at 0s age=0s a wr=0 rd=0\n"
                                    "hold 30d every 2s per 1h a wr=+1\n"
                                    "hold 10s every 1s a rd=+3\n"
                                    "at +2s run=paused\n";
    g_autofree char *error = NULL;
    g_autoptr(Scenario) scenario = scenario_parse(text, strlen(text), &error);
    const Sample *sample;
    guint n = 0;

    assert_non_null(scenario);
    for (sample = scenario_next(scenario); sample; sample = scenario_next(scenario)) {
        n++;
        if (n == 1801) /* the hour's last sample */
            assert_int_equal(sample->disks[0].wr_ops, 1);
        if (n == 1800)
            assert_int_equal(sample->disks[0].wr_ops, 0);
        if (n == 1 + 1296000 + 10 + 1) {
            assert_int_equal(sample->disks[0].wr_ops, 720);
            assert_int_equal(sample->disks[0].rd_ops, 30);
            assert_int_equal(sample->age_us, G_GINT64_CONSTANT(2592012) * G_USEC_PER_SEC);
            assert_int_equal(sample->run, RUN_PAUSED);
        }
    }
    assert_int_equal(n, 1 + 1296000 + 10 + 1);
}

static void
test_expectations(void **state)
{
    static const char text[] = HEAD "at 0s\n"
                                    "expect vm ok always\n"
                                    "expect b frozen block-path in-flight from 26s to 1m # why\n"
                                    "expect a never frozen\n"
                                    "expect a suspect throttle\n";
    g_autofree char *error = NULL;
    g_autoptr(Scenario) scenario = scenario_parse(text, strlen(text), &error);
    const ScenarioExpectation *all;

    assert_non_null(scenario);
    assert_string_equal(scenario_name(scenario), "demo");
    assert_int_equal(scenario_start_us(scenario), 100 * G_USEC_PER_SEC);
    assert_int_equal(scenario_expectations(scenario)->len, 4);
    all = (const ScenarioExpectation *)(const void *)scenario_expectations(scenario)->data;
    assert_null(all[0].disk);
    assert_int_equal(all[0].state, STATE_OK);
    assert_int_equal(all[0].from_us, 0);
    assert_true(all[0].to_us < 0);
    assert_false(all[0].has_layer);
    assert_string_equal(all[1].disk, "/machine/b");
    assert_int_equal(all[1].layer, LAYER_BLOCK_PATH);
    assert_string_equal(all[1].cause, "in-flight");
    assert_int_equal(all[1].from_us, 26 * G_USEC_PER_SEC);
    assert_int_equal(all[1].to_us, 60 * G_USEC_PER_SEC);
    assert_int_equal(all[1].line, 7);
    assert_string_equal(all[1].text, "expect b frozen block-path in-flight from 26s to 1m");
    assert_true(all[2].is_never);
    assert_int_equal(all[2].from_us, 0);
    assert_false(all[3].is_never);
    assert_true(all[3].from_us < 0);
    assert_true(all[3].has_layer);
}

typedef struct {
    const char *name;
    const char *text;
    const char *error;
} BadText;

static const BadText bad_texts[] = {
    {"nothing at all is refused", "", "line 0: the file tells nothing, not even \"scenario 1\""},
    {"a missing header is refused", "vm demo\n", "line 1: the first line must be \"scenario 1\""},
    {"another version is refused", "# a story\nscenario 2\n",
     "line 2: only \"scenario 1\" can be read"},
    {"an unknown fact is named", HEAD "at 0s a foo=1\n",
     "line 5: \"foo\" is an unknown fact of a disk"},
    {"a disk's fact is none of the VM", HEAD "at 0s wr=1\n",
     "line 5: \"wr\" is an unknown fact of a VM"},
    {"the line of a continued statement is its own", HEAD "at 0s\n  a wr=1\n\n # why\n  b x=1\n",
     "line 9: \"x\" is an unknown fact of a disk"},
    {"a time without unit is refused", HEAD "at 5\n",
     "line 5: \"5\" needs a unit: ns, us, ms, s, m, h or d"},
    {"a wrong unit is refused", HEAD "at 0s waited=5min\n",
     "line 5: \"waited=5min\" needs a unit: ns, us, ms, s, m, h or d"},
    {"a size in GB is refused", HEAD "at 0s guest_ram=2GB\n",
     "line 5: \"guest_ram=2GB\" has an unknown unit: use K, M, G or T"},
    {"a number past 64 bits is refused", HEAD "at 0s a wr=18446744073709551616\n",
     "line 5: \"wr=18446744073709551616\" is out of range"},
    {"a sum past 64 bits is refused", HEAD "at 0s a wr=18446744073709551615\nat 1s a wr=+1\n",
     "line 6: \"wr=+1\" grows out of range"},
    {"a sum past 64 bits in a hold is refused",
     HEAD "at 0s a wr=18446744073709551600\nhold 1m every 1s a wr=+1\n",
     "line 6: \"wr=+1\" grows out of range"},
    {"a sum on an unknown number is refused", HEAD "at 0s a wr=+1\n",
     "line 5: \"wr=+1\" is unknown so far: nothing to add to"},
    {"a monitor is never unknown", HEAD "at 0s monitor=?\n",
     "line 5: \"monitor=?\" is never unknown"},
    {"a time that goes backwards is refused", HEAD "at 4s\nat 2s\n",
     "line 6: \"2s\" is not later than the sample before"},
    {"two samples at one time are refused", HEAD "at 4s\nat 4000ms\n",
     "line 6: \"4000ms\" is not later than the sample before"},
    {"finer than a microsecond is refused", HEAD "at 0.0000001s\n",
     "line 5: \"0.0000001s\" is finer than a microsecond"},
    {"more than a hundred years are refused", HEAD "at 0s\nhold 36500d every 1d\nat +1s\n",
     "line 7: ends after more than a hundred years"},
    {"more than ten million samples are refused", HEAD "at 0s\nhold 300d every 2s\n",
     "line 6: makes more than 10 million samples"},
    {"a hold needs a sample", HEAD "hold 1d every 2s\n",
     "line 5: there is no sample yet that could be held"},
    {"a hold of nothing is refused", HEAD "at 0s\nhold 1d every 0s\n",
     "line 6: holds for no sample"},
    {"a duplicate disk is refused", HEAD "disk a\n",
     "line 5: \"a\" is told of twice: a disk has one disk line"},
    {"a duplicate id is refused", HEAD "disk c id=a\n",
     "line 5: \"a\" is the id of a disk told of above"},
    {"a disk that was not told of is refused", HEAD "at 0s c wr=1\n",
     "line 5: \"c\" is neither a fact nor a disk told of above"},
    {"an expectation of an unknown disk is refused", HEAD "at 0s\nexpect c ok\n",
     "line 6: \"c\" is not a disk of this story"},
    {"an unknown state is refused", HEAD "expect a stuck\n",
     "line 5: \"stuck\" is not a state: ok, unknown, suspect and frozen are"},
    {"an unknown layer is refused", HEAD "expect a frozen disk\n",
     "line 5: \"disk\" is not a layer"},
    {"a span that ends before it begins is refused", HEAD "expect a ok from 5s to 4s\n",
     "line 5: the span ends before it begins"},
    {"words after an expectation are refused", HEAD "expect a ok always now\n",
     "line 5: \"now\" is too much: the line was complete"},
    {"an unknown keyword is refused", HEAD "sleep 5s\n",
     "line 5: \"sleep\" begins no line: vm, disk, at, hold and expect do"},
    {"a second vm line is refused", HEAD "vm other\n",
     "line 5: the vm line stands once, before the first sample"},
    {"control characters do not reach the message", HEAD "at 0s \033[31m=1\n",
     "line 5: \"\\x1b[31m\" is an unknown fact of a VM"},
    {"bytes that are not UTF-8 are refused", HEAD "at 0s\nat \xff\n", "line 6: is not UTF-8 text"},
    {"an escaped NUL is refused", "scenario 1\ndisk a\\x00b\n",
     "line 2: \"a\\x5cx00b\" has a broken escape"},
    {"a first line that begins with a blank is refused", " scenario 1\n",
     "line 1: begins with a blank, and there is no line to go on with"},
};

static void
test_bad_text(void **state)
{
    const BadText *row = *state;
    g_autofree char *error = NULL;
    g_autoptr(Scenario) scenario = scenario_parse(row->text, strlen(row->text), &error);

    assert_null(scenario);
    assert_string_equal(error, row->error);
}

static void
test_bounds(void **state)
{
    g_autoptr(GString) text = g_string_new("scenario 1\n#");
    g_autofree char *error = NULL, *nul_error = NULL, *disks_error = NULL;

    for (guint i = 0; i < 64 * 1024; i++)
        g_string_append_c(text, 'x');
    assert_null(scenario_parse(text->str, text->len, &error));
    assert_string_equal(error, "line 2: is longer than 64 KiB");
    assert_null(scenario_parse("scenario 1\n\0", 12, &nul_error));
    assert_string_equal(nul_error, "line 2: is not UTF-8 text");
    g_string_assign(text, "scenario 1\n");
    for (guint i = 0; i < 1025; i++)
        g_string_append_printf(text, "disk d%u\n", i);
    assert_null(scenario_parse(text->str, text->len, &disks_error));
    assert_string_equal(disks_error, "line 1026: more than 1024 disks");
}

/* Whatever is cut out of, or changed in, a good text: an answer or an error, never a crash. */
static void
test_hostile_text(void **state)
{
    static const char good[] = HEAD "at 0s run=running age=1h a wr=1 storage=x\\x41 used=1\n"
                                    "hold 30s every 2s per 4s a wr=+1 inflight=? b present=no\n"
                                    "at +1s a time=1.5ms\nexpect a never frozen from 1s to 2s\n";
    static const char bytes[] = "\n #=+?\\x0s9:\t\r\xff";
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);

    for (guint i = 0; i < 20000; i++) {
        g_autofree char *text = g_strdup(good);
        g_autofree char *error = NULL;
        gsize length = (gsize)g_rand_int_range(rand, 0, sizeof good);
        Scenario *scenario;

        for (gint n = g_rand_int_range(rand, 0, 4); n > 0; n--)
            text[g_rand_int_range(rand, 0, sizeof good)] =
                bytes[g_rand_int_range(rand, 0, sizeof bytes)];
        scenario = scenario_parse(text, length, &error);
        assert_true((scenario == NULL) == (error != NULL));
        if (!scenario)
            continue;
        for (guint n = 0; n < 1000 && scenario_next(scenario); n++)
            ;
        scenario_free(scenario);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        {"a fact told once stays", test_told_once_stays, NULL, NULL, NULL},
        {"unknown takes its group along", test_unknown_takes_its_group, NULL, NULL, NULL},
        {"without query-blockstats a sample has no disks", test_no_blockstats_no_disks, NULL, NULL,
         NULL},
        {"a disk may come later", test_a_disk_may_come_later, NULL, NULL, NULL},
        {"a suspend shows in boottime", test_a_suspend_shows_in_boottime, NULL, NULL, NULL},
        {"thirty days fit in one line", test_thirty_days_in_one_line, NULL, NULL, NULL},
        {"an expectation has a verdict and a span", test_expectations, NULL, NULL, NULL},
        {"lines and disks are bounded", test_bounds, NULL, NULL, NULL},
        {"hostile text is an answer or an error", test_hostile_text, NULL, NULL, NULL},
    };
    struct CMUnitTest all[G_N_ELEMENTS(tests) + G_N_ELEMENTS(bad_texts)];

    memcpy(all, tests, sizeof tests);
    for (guint i = 0; i < G_N_ELEMENTS(bad_texts); i++)
        all[G_N_ELEMENTS(tests) + i] = t_row(bad_texts[i].name, test_bad_text, &bad_texts[i]);
    return cmocka_run_group_tests_name("scenario", all, NULL, NULL);
}
