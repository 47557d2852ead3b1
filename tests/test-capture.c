/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "capture-fixture.h"

#include "message.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char silent[] = "not done: the monitor is silent (silent)";

static int
set_up(void **state)
{
    *state = capture_fixture_new("web 1");
    return 0;
}

static int
tear_down(void **state)
{
    capture_fixture_free(*state);
    return 0;
}

static bool
is_of_media(const CaptureStep *step)
{
    return step->begin == capture_ask_media;
}

static void
what_could_hang_qemu_comes_last(void **state)
{
    bool has_stopped = false, has_media = false;

    for (guint i = 0; i < capture_n_steps; i++) {
        const CaptureStep *step = &capture_steps[i];

        if (step->kind == KIND_MONITOR) {
            const QmpCommandInfo *info = qmp_command_info(step->command);

            assert_int_equal(info->is_safe_in_freeze, !is_of_media(step));
            assert_true(info->class <= QMP_CLASS_CAPTURE);
        }
        /* after a stop nothing but media, after media nothing else */
        assert_false(has_stopped && step->kind == KIND_MONITOR && !is_of_media(step));
        assert_false(has_media && !is_of_media(step));
        has_stopped = has_stopped || step->kind == KIND_STOP;
        has_media = has_media || is_of_media(step);
    }
    assert_true(has_stopped && has_media);
}

static void
the_boxes_fit_into_the_time(void **state)
{
    gint64 monitor_us = 0;

    /* of questions only one can hang */
    for (guint i = 0; i < capture_n_steps; i++)
        if (capture_steps[i].kind == KIND_MONITOR)
            monitor_us = MAX(monitor_us, capture_steps[i].box_us);
    assert_true(monitor_us <= 5 * CAPTURE_SECOND);
    for (guint i = 0; i < capture_n_steps; i++)
        assert_in_range(capture_steps[i].box_us, STACKS_TOOL_US, 5 * CAPTURE_SECOND);
}

static void
a_silent_monitor_is_not_asked_and_the_rest_is_there(void **state)
{
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;
    g_autofree char *threads = NULL, *descriptors = NULL, *process = NULL, *host = NULL;
    JsonObject *object;

    capture_fixture_sample(fixture, true);
    capture_fixture_sample(fixture, true);
    manifest = capture_fixture_run(fixture, NULL);
    object = json_node_get_object(manifest);
    assert_true(json_object_get_boolean_member(object, "complete"));
    assert_string_equal(json_object_get_string_member(object, "vm"), "web 1");
    assert_string_equal(json_object_get_string_member(object, "name"), "web_1-20260730T152107Z");
    assert_string_equal(json_object_get_string_member(object, "started_utc"),
                        "2026-07-30T15:21:07Z");
    assert_int_equal(json_array_get_length(message_get_array(object, "steps")), capture_n_steps);
    assert_string_equal(capture_fixture_end(manifest, "state"), "done");
    assert_string_equal(capture_fixture_end(manifest, "samples-before"), "done");
    assert_string_equal(capture_fixture_end(manifest, "timeline"), "done");
    assert_string_equal(capture_fixture_error(manifest, "status"), silent);
    assert_string_equal(capture_fixture_error(manifest, "virtqueues"), silent);
    assert_string_equal(capture_fixture_end(manifest, "block"), "not-done");
    threads = capture_fixture_file(manifest, "threads.txt");
    assert_non_null(strstr(threads, "### task/43/comm\nCPU 0/TCG\n"));
    assert_non_null(strstr(threads, "### task/43/stack\n(No such file or directory)\n"));
    descriptors = capture_fixture_file(manifest, "descriptors.txt");
    assert_string_equal(descriptors, "7 -> /images/disk.raw\n");
    process = capture_fixture_file(manifest, "process.txt");
    assert_non_null(strstr(process, "### io\nof io\n"));
    host = capture_fixture_file(manifest, "host.txt");
    assert_non_null(strstr(host, "### diskstats\n254 0 vda"));
}

static void
nobody_else_may_read_it(void **state)
{
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = capture_fixture_run(fixture, NULL);
    const char *directory =
        json_object_get_string_member(json_node_get_object(manifest), "directory");
    g_autofree char *file = g_build_filename(directory, "process.txt", NULL);
    struct stat st;

    assert_int_equal(stat(directory, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(g_str_has_prefix(directory, tree_path(fixture->tree, "var")));
    assert_int_not_equal(
        access(tree_path(fixture->tree, "run/" CAPTURE_DIRECTORY "/web_1-20260730T152107Z"), F_OK),
        0);
}

static void
secrets_and_newlines_do_not_come_through(void **state)
{
    g_autoptr(JsonNode) manifest = capture_fixture_run(*state, NULL);
    g_autofree char *text = capture_fixture_file(manifest, "command-line.txt");

    assert_string_equal(text, "qemu-system-x86_64\n-object\nsecret,id=s,data=***\n-name\n"
                              "two\\x0alines\n");
}

static void
an_executable_that_cannot_be_read_is_not_traced(void **state)
{
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = capture_fixture_run(fixture, NULL);

    assert_string_equal(capture_fixture_end(manifest, "versions"), "failed");
    assert_string_equal(capture_fixture_error(manifest, "stacks"),
                        "not done: QEMU's executable could not be read before");
}

static void
a_bundle_stays_below_its_size(void **state)
{
    CaptureFixture *fixture = *state;
    g_autofree char *much = g_strnfill(30000, 'x');
    g_autoptr(JsonNode) manifest = NULL;

    tree_file(fixture->tree, "proc/42/status", much);
    fixture->vm->limits.capture_size_max_bytes = 20000;
    manifest = capture_fixture_run(fixture, NULL);
    assert_true(json_object_get_boolean_member(json_node_get_object(manifest), "complete"));
    assert_string_equal(capture_fixture_error(manifest, "process"), CAPTURE_CUT);
    assert_string_equal(capture_fixture_error(manifest, "threads"), CAPTURE_CUT);
    assert_in_range(json_object_get_int_member(capture_fixture_step(manifest, "process"), "bytes"),
                    1000, 20000);
    assert_int_equal(json_object_get_int_member(capture_fixture_step(manifest, "threads"), "bytes"),
                     0);
}

static void
one_capture_of_a_vm_at_a_time(void **state)
{
    CaptureFixture *fixture = *state;
    const CaptureOptions options = {0}, automatic = {.is_automatic = true};
    g_autofree char *name = NULL, *again = NULL;
    g_autoptr(GError) error = NULL;

    assert_true(captures_begin(fixture->captures, fixture->vm, &automatic, &name, NULL));
    assert_false(captures_begin(fixture->captures, fixture->vm, &options, &again, &error));
    assert_true(g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY));
    captures_wait(fixture->captures);
    g_clear_error(&error);
    assert_false(captures_begin(fixture->captures, fixture->vm, &automatic, &again, &error));
    assert_string_equal(error->message, "web 1 has just been captured");
    assert_true(captures_begin(fixture->captures, fixture->vm, &options, &again, NULL));
    captures_wait(fixture->captures);
    assert_string_not_equal(name, again);
}

#define capture_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_hang_qemu_comes_last),
        cmocka_unit_test(the_boxes_fit_into_the_time),
        capture_test(a_silent_monitor_is_not_asked_and_the_rest_is_there),
        capture_test(nobody_else_may_read_it),
        capture_test(secrets_and_newlines_do_not_come_through),
        capture_test(an_executable_that_cannot_be_read_is_not_traced),
        capture_test(a_bundle_stays_below_its_size),
        capture_test(one_capture_of_a_vm_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
