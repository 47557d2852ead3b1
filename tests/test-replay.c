/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every story in tests/scenarios must come out as it says, one subtest per file; and the replay
 * itself must notice when one does not. */

#include "t.h"

#include "ctl.h"
#include "replay.h"
#include "run-ctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STORY                                                                                      \
    "scenario 1\ndisk a\ndisk b\n"                                                                 \
    "at 0s run=running monitor=answered a wr=1 inflight=0 used=1 b wr=1 inflight=0 used=1\n"       \
    "hold 30s every 2s a wr=+1 used=+1 b wr=+1 used=+1\n"                                          \
    "at +2s a inflight=1 b wr=+1 used=+1\n"                                                        \
    "hold 28s every 2s b wr=+1 used=+1\n"

static Replay *
replay_story(const char *text)
{
    g_auto(Limits) limits = {0};
    g_autofree char *error = NULL;
    Replay *replay;

    limits_init_defaults(&limits);
    replay = replay_text(text, strlen(text), &limits, &error);
    if (!replay)
        fail_msg("%s", error);
    return replay;
}

static void
test_timeline(void **state)
{
    g_autoptr(Replay) replay = replay_story(STORY);
    static const struct {
        gint64 at_s;
        const char *disk;
        State state;
        Layer layer;
    } rows[] = {
        {0, NULL, STATE_OK, LAYER_NONE},
        {0, "a", STATE_OK, LAYER_NONE},
        {0, "b", STATE_OK, LAYER_NONE},
        {42, NULL, STATE_SUSPECT, LAYER_BLOCK_PATH},
        {42, "a", STATE_SUSPECT, LAYER_BLOCK_PATH},
        {52, NULL, STATE_FROZEN, LAYER_BLOCK_PATH},
        {52, "a", STATE_FROZEN, LAYER_BLOCK_PATH},
    };

    assert_int_equal(replay->verdicts->len, G_N_ELEMENTS(rows));
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const ReplayVerdict *verdict = &g_array_index(replay->verdicts, ReplayVerdict, i);

        assert_int_equal(verdict->at_us, rows[i].at_s * G_USEC_PER_SEC);
        assert_int_equal(g_strcmp0(verdict->disk, rows[i].disk), 0);
        assert_int_equal(verdict->state, rows[i].state);
        assert_int_equal(verdict->layer, rows[i].layer);
    }
    assert_int_equal(replay->final_state, STATE_FROZEN);
    assert_int_equal(replay->final_layer, LAYER_BLOCK_PATH);
    assert_true(replay->is_passed);
}

typedef struct {
    const char *name;
    const char *expectation;
    const char *wrong; /* NULL: it holds */
} ExpectationRow;

static const ExpectationRow expectation_rows[] = {
    {"the end is what counts without a span", "expect a frozen", NULL},
    {"the end of the innocent is its own", "expect b frozen", "from 1m it was ok/none"},
    {"the right layer holds", "expect a frozen block-path", NULL},
    {"a wrong layer is told", "expect a frozen storage",
     "from 1m it was frozen/block-path/in-flight"},
    {"a wrong cause is told", "expect vm frozen block-path broken",
     "from 1m it was frozen/block-path/in-flight"},
    {"a verdict holds until the next sample", "expect a ok from 41.9s to 41.9s", NULL},
    {"the sample at the span's beginning counts", "expect a ok from 42s to 43s",
     "from 42s it was suspect/block-path/in-flight"},
    {"the sample at the span's end counts", "expect a ok to 42s",
     "from 42s it was suspect/block-path/in-flight"},
    {"a sample after the span does not", "expect a ok to 41.999s", NULL},
    {"never means in the whole story", "expect a never suspect",
     "from 42s it was suspect/block-path/in-flight"},
    {"never may be held to a span", "expect a never suspect to 40s", NULL},
    {"never holds for the innocent", "expect b never frozen", NULL},
    {"always begins at the beginning", "expect b ok none always", NULL},
    {"the last verdict holds for ever", "expect a frozen from 1d", NULL},
};

static void
test_expectation(void **state)
{
    const ExpectationRow *row = *state;
    g_autofree char *text = g_strdup_printf(STORY "%s\n", row->expectation);
    g_autoptr(Replay) replay = replay_story(text);
    const ReplayExpectation *expectation =
        &g_array_index(replay->expectations, ReplayExpectation, 0);

    assert_int_equal(replay->expectations->len, 1);
    assert_string_equal(expectation->text, row->expectation);
    assert_int_equal(expectation->line, 8);
    assert_int_equal(replay->is_passed, row->wrong == NULL);
    if (row->wrong)
        assert_string_equal(expectation->wrong, row->wrong);
    else
        assert_null(expectation->wrong);
}

static void
test_no_sample_is_no_pass(void **state)
{
    g_autoptr(Replay) early =
        replay_story("scenario 1\nat 5s run=paused monitor=answered\nexpect vm ok to 4s\n");
    g_autoptr(Replay) empty = replay_story("scenario 1\nexpect vm never frozen\n");

    assert_false(early->is_passed);
    assert_false(empty->is_passed);
}

/* Runs the verb with its output in a string. */
static int
run_replay(bool is_json, char **argv, char **ret_output)
{
    CtlOptions options = {.is_json = is_json};
    FILE *capture = tmpfile();
    int saved, status;
    char buffer[16384];
    gsize length;

    assert_non_null(capture);
    fflush(stdout);
    saved = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(capture), STDOUT_FILENO) >= 0);
    status = ctl_replay(&options, (int)g_strv_length(argv), argv);
    fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    rewind(capture);
    length = fread(buffer, 1, sizeof buffer - 1, capture);
    fclose(capture);
    *ret_output = g_strndup(buffer, length);
    return status;
}

static char *
write_story(const char *expectation)
{
    g_autofree char *text = g_strdup_printf(STORY "%s\n", expectation);
    char *path = NULL;
    int fd = g_file_open_tmp("replay-XXXXXX.txt", &path, NULL);

    assert_true(fd >= 0);
    close(fd);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static void
test_exit_status(void **state)
{
    g_autofree char *good = write_story("expect a frozen");
    g_autofree char *bad = write_story("expect a ok");
    char *output[7] = {NULL};

    assert_int_equal(run_replay(false, (char *[]){"replay", good, NULL}, &output[0]), 0);
    assert_non_null(strstr(output[0], "  PASS line 8: expect a frozen\n"));
    assert_int_equal(run_replay(false, (char *[]){"replay", bad, good, NULL}, &output[1]), 1);
    assert_non_null(strstr(output[1], "  FAIL line 8: expect a ok: from 1m it was frozen"));
    assert_int_equal(run_replay(false, (char *[]){"replay", bad, "/", NULL}, &output[2]), 2);
    assert_int_equal(run_replay(false, (char *[]){"replay", "/dev/null", NULL}, &output[3]), 2);
    assert_int_equal(run_replay(false, (char *[]){"replay", NULL}, &output[4]), 2);
    assert_int_equal(run_replay(false, (char *[]){"replay", "--foo", good, NULL}, &output[5]), 2);
    assert_int_equal(run_replay(false, (char *[]){"replay", "/dev/zero", NULL}, &output[6]), 2);
    for (guint i = 0; i < G_N_ELEMENTS(output); i++)
        g_free(output[i]);
    unlink(good);
    unlink(bad);
}

static void
test_json(void **state)
{
    g_autofree char *path = write_story("expect a ok");
    g_autofree char *output = NULL;
    int status = run_replay(true, (char *[]){"replay", path, "/", NULL}, &output);
    g_autoptr(JsonNode) root = json_from_string(output, NULL);
    JsonObject *object, *file, *last, *expectation;
    JsonArray *verdicts;

    assert_int_equal(status, 2);
    assert_non_null(root);
    object = json_node_get_object(root);
    assert_int_equal(json_object_get_int_member(object, "schema"), 1);
    file = json_array_get_object_element(json_object_get_array_member(object, "files"), 0);
    assert_string_equal(json_object_get_string_member(file, "file"), path);
    verdicts = json_object_get_array_member(file, "verdicts");
    assert_true(json_object_get_null_member(json_array_get_object_element(verdicts, 0), "disk"));
    last = json_array_get_object_element(verdicts, json_array_get_length(verdicts) - 1);
    assert_int_equal(json_object_get_int_member(last, "t_s"), 52);
    assert_string_equal(json_object_get_string_member(last, "disk"), "a");
    assert_string_equal(json_object_get_string_member(last, "state"), "frozen");
    assert_string_equal(json_object_get_string_member(last, "layer"), "block-path");
    assert_string_equal(json_object_get_string_member(last, "cause"), "in-flight");
    expectation =
        json_array_get_object_element(json_object_get_array_member(file, "expectations"), 0);
    assert_int_equal(json_object_get_int_member(expectation, "line"), 8);
    assert_false(json_object_get_boolean_member(expectation, "passed"));
    assert_string_equal(
        json_object_get_string_member(json_object_get_object_member(file, "final"), "state"),
        "frozen");
    file = json_array_get_object_element(json_object_get_array_member(object, "files"), 1);
    assert_true(json_object_has_member(file, "error"));
    unlink(path);
}

/* A file of its own for one test; unlink and free it. */
static char *
write_text(const char *text)
{
    g_autoptr(GError) error = NULL;
    char *path = NULL;
    int fd = g_file_open_tmp("replay-XXXXXX.conf", &path, &error);

    assert_true(fd >= 0);
    close(fd);
    assert_true(g_file_set_contents(path, text, -1, &error));
    return path;
}

/* The story's request is in flight for 28 s: frozen with 20 s of patience, suspect with 40 s. */
static void
test_config(void **state)
{
    g_autofree char *frozen = write_story("expect a frozen block-path");
    g_autofree char *suspect = write_story("expect a suspect block-path");
    g_autofree char *patient = write_text("[freeze]\npatience = 40s\n");
    g_autofree char *same = write_text("# nothing\n");
    g_autofree char *joined = g_strconcat("--config=", patient, NULL);
    char *output[5];

    assert_int_equal(run_replay(false, (char *[]){"replay", suspect, NULL}, &output[0]), 1);
    assert_int_equal(
        run_replay(false, (char *[]){"replay", suspect, "--config", patient, NULL}, &output[1]), 0);
    assert_int_equal(run_replay(false, (char *[]){"replay", joined, suspect, NULL}, &output[2]), 0);
    assert_int_equal(run_replay(false, (char *[]){"replay", joined, frozen, NULL}, &output[3]), 1);
    assert_int_equal(
        run_replay(false, (char *[]){"replay", "--config", same, frozen, NULL}, &output[4]), 0);
    unlink(frozen);
    unlink(suspect);
    unlink(patient);
    unlink(same);
    for (guint i = 0; i < G_N_ELEMENTS(output); i++)
        g_free(output[i]);
}

static void
test_wrong_config(void **state)
{
    g_autofree char *story = write_story("expect a frozen");
    g_autofree char *wrong = write_text("[freeze]\npatience = 40s\n\npatince = 3s\n");
    g_autofree char *where = g_strdup_printf("%s:4: ", wrong);
    const char *const words[] = {"replay", story, "--config", wrong, NULL};
    const char *const missing[] = {"replay", story, "--config", "/nowhere/x.conf", NULL};
    const char *const bare[] = {"replay", story, "--config", NULL};
    const char *const *const rows[] = {words, missing, bare};
    const char *const texts[] = {where, "/nowhere/x.conf", "needs a FILE"};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(Run) run = run_ctl(rows[i]);

        assert_int_equal(run.status, 2);
        assert_non_null(strstr(run.err, texts[i]));
        assert_string_equal(run.out, "");
    }
    unlink(story);
    unlink(wrong);
}

static void
test_scenario_file(void **state)
{
    const char *path = *state;
    g_autofree char *text = NULL;
    g_autoptr(Replay) replay = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    replay = replay_story(text);
    assert_true(replay->expectations->len > 0);
    for (guint i = 0; i < replay->expectations->len; i++) {
        const ReplayExpectation *expectation =
            &g_array_index(replay->expectations, ReplayExpectation, i);

        if (expectation->wrong)
            fail_msg("line %u: %s: %s", expectation->line, expectation->text, expectation->wrong);
    }
}

static gint
names_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One test per file, in the order of their names; `strings` owns names and paths. */
static void
add_scenario_files(GArray *tests, GPtrArray *strings)
{
    const char *root = g_getenv("SOURCE_ROOT");
    g_autofree char *folder = g_build_filename(root ? root : ".", "tests", "scenarios", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(name, ".txt"))
            continue;
        g_ptr_array_add(names, g_strdup(name));
        g_ptr_array_add(strings, names->pdata[names->len - 1]);
    }
    g_ptr_array_sort(names, names_compare);
    for (guint i = 0; i < names->len; i++) {
        struct CMUnitTest test = {.name = names->pdata[i], .test_func = test_scenario_file};

        test.initial_state = g_build_filename(folder, test.name, NULL);
        g_ptr_array_add(strings, test.initial_state);
        g_array_append_val(tests, test);
    }
}

static void
test_there_are_stories(void **state)
{
    assert_true(*(const guint *)*state >= 30);
}

int
main(void)
{
    g_autoptr(GArray) tests = g_array_new(FALSE, FALSE, sizeof(struct CMUnitTest));
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    guint n_files;
    const struct CMUnitTest fixed[] = {
        {"a timeline tells each change once", test_timeline, NULL, NULL, NULL},
        {"an expectation that met no sample fails", test_no_sample_is_no_pass, NULL, NULL, NULL},
        {"the exit status is the worst of all files", test_exit_status, NULL, NULL, NULL},
        {"JSON has the timeline, the end and the expectations", test_json, NULL, NULL, NULL},
        {"another policy says something else", test_config, NULL, NULL, NULL},
        {"a wrong policy is named by file and line", test_wrong_config, NULL, NULL, NULL},
        {"the stories are found", test_there_are_stories, NULL, NULL, &n_files},
    };

    add_scenario_files(tests, strings);
    n_files = tests->len;
    g_array_append_vals(tests, fixed, G_N_ELEMENTS(fixed));
    for (guint i = 0; i < G_N_ELEMENTS(expectation_rows); i++) {
        struct CMUnitTest test =
            t_row(expectation_rows[i].name, test_expectation, &expectation_rows[i]);

        g_array_append_val(tests, test);
    }
    return _cmocka_run_group_tests("replay", (struct CMUnitTest *)(void *)tests->data, tests->len,
                                   NULL, NULL);
}
