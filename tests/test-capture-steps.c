/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "capture-fixture.h"

#include "message.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
set_up(void **state)
{
    *state = capture_fixture_new("web");
    return 0;
}

static int
tear_down(void **state)
{
    capture_fixture_free(*state);
    return 0;
}

static void
the_monitor_is_asked_one_question_at_a_time(void **state)
{
    static const char *const questions[] = {"query-status", "query-blockstats", "query-block-jobs",
                                            "query-jobs",   "query-iothreads",  "query-cpus-fast",
                                            "query-memdev", "x-query-virtio"};
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;
    g_autofree char *text = NULL;

    capture_fixture_connect(fixture);
    for (guint i = 0; i < G_N_ELEMENTS(questions); i++) {
        g_autofree char *line =
            g_strdup_printf("{\"execute\":\"%s\",\"id\":%u}", questions[i], i + 1);
        g_autofree char *answer = g_strdup_printf("{\"return\": [], \"id\": %u}\n", i + 1);

        fake_qmp_expect(fixture->fake, line, answer);
    }
    /* the second sample brings nothing: a disk that stands is not stat'ed */
    capture_fixture_sample(fixture, true);
    capture_fixture_sample(fixture, true);
    capture_fixture_sample(fixture, false);
    manifest = capture_fixture_run(fixture, NULL);
    fake_qmp_check(fixture->fake);
    assert_string_equal(capture_fixture_end(manifest, "cpus"), "done");
    assert_string_equal(capture_fixture_end(manifest, "virtqueues"), "done");
    text = capture_fixture_file(manifest, "jobs.json");
    assert_string_equal(text, "[]\n");
    assert_string_equal(capture_fixture_error(manifest, "block"),
                        "not done: disk disk0 completed nothing since 2026-07-30T15:20:51Z, and "
                        "this command would hang QEMU if its storage were dead");
}

static void
every_queue_of_every_device_is_asked(void **state)
{
    static const CaptureStep steps[] = {{"virtqueues", "virtqueues.json", KIND_MONITOR,
                                         2 * CAPTURE_SECOND, capture_virtqueues, QMP_VIRTIO_LIST}};
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL, list = NULL;
    g_autofree char *text = NULL;

    capture_fixture_connect(fixture);
    fake_qmp_expect(fixture->fake, "{\"execute\":\"x-query-virtio\",\"id\":1}",
                    "{\"return\": [{\"path\": \"/a\", \"name\": \"virtio-blk\"}], \"id\": 1}\n");
    fake_qmp_expect(
        fixture->fake,
        "{\"execute\":\"x-query-virtio-status\",\"arguments\":{\"path\":\"/a\"},\"id\":2}",
        "{\"return\": {\"num-vqs\": 2}, \"id\": 2}\n");
    fake_qmp_expect(fixture->fake,
                    "{\"execute\":\"x-query-virtio-queue-status\",\"arguments\":{\"path\":\"/a\","
                    "\"queue\":0},\"id\":3}",
                    "{\"return\": {\"inuse\": 1, \"used-idx\": 7}, \"id\": 3}\n");
    fake_qmp_expect(fixture->fake,
                    "{\"execute\":\"x-query-virtio-queue-status\",\"arguments\":{\"path\":\"/a\","
                    "\"queue\":1},\"id\":4}",
                    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"vhost\"}, \"id\": 4}\n");
    manifest = capture_fixture_run(fixture, &(CaptureStepList){steps, G_N_ELEMENTS(steps)});
    fake_qmp_check(fixture->fake);
    assert_string_equal(capture_fixture_end(manifest, "virtqueues"), "failed");
    assert_non_null(strstr(capture_fixture_error(manifest, "virtqueues"), "vhost"));
    text = capture_fixture_file(manifest, "virtqueues.json");
    list = json_from_string(text, NULL);
    assert_non_null(list);
    assert_int_equal(json_array_get_length(json_node_get_array(list)), 4);
}

static const char *
hang(CaptureOut *out, const Capture *capture)
{
    out_text(out, "so far\n");
    (void)pause();
    return "went on";
}

static void
begin_hanging(Capture *capture)
{
    capture_run_child(capture, hang);
}

static const char *
work(CaptureOut *out, const Capture *capture)
{
    out_text(out, "all of it\n");
    return NULL;
}

static void
begin_working(Capture *capture)
{
    capture_run_child(capture, work);
}

static void
begin_noting(Capture *capture)
{
    capture_step_end(capture, STEP_DONE, NULL);
}

/* Long enough for a child to begin on a busy machine. */
#define SOON_US CAPTURE_SECOND

static void
a_harmless_step_that_hangs_costs_itself_only(void **state)
{
    static const CaptureStep steps[] = {
        {"hangs", "a.txt", KIND_HARMLESS, SOON_US, begin_hanging, 0},
        {"works", "b.txt", KIND_HARMLESS, 2 * CAPTURE_SECOND, begin_working, 0},
        {"asks", "c.txt", KIND_MONITOR, 2 * CAPTURE_SECOND, begin_working, 0}};
    g_autoptr(JsonNode) manifest =
        capture_fixture_run(*state, &(CaptureStepList){steps, G_N_ELEMENTS(steps)});
    g_autofree char *text = capture_fixture_file(manifest, "a.txt");

    assert_string_equal(text, "so far\n");
    assert_string_equal(capture_fixture_end(manifest, "hangs"), "hung");
    assert_in_range(
        json_object_get_int_member(capture_fixture_step(manifest, "hangs"), "duration_us"),
        SOON_US * 9 / 10, 10 * SOON_US);
    assert_string_equal(capture_fixture_end(manifest, "works"), "done");
    assert_string_equal(capture_fixture_end(manifest, "asks"), "done");
}

static void
after_an_intrusive_one_that_hangs_no_other_is_done(void **state)
{
    static const CaptureStep steps[] = {
        {"jobs", "a.json", KIND_MONITOR, SOON_US, capture_ask, QMP_QUERY_JOBS},
        {"cpus", "b.json", KIND_MONITOR, SOON_US, capture_ask, QMP_QUERY_CPUS},
        {"works", "c.txt", KIND_HARMLESS, 2 * CAPTURE_SECOND, begin_working, 0},
        {"stops", "d.txt", KIND_STOP, 2 * CAPTURE_SECOND, begin_working, 0}};
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;

    capture_fixture_connect(fixture);
    fake_qmp_expect(fixture->fake, "{\"execute\":\"query-jobs\",\"id\":1}", NULL);
    manifest = capture_fixture_run(fixture, &(CaptureStepList){steps, G_N_ELEMENTS(steps)});
    fake_qmp_check(fixture->fake);
    assert_int_equal(fake_qmp_lines(fixture->fake), 2); /* qmp_capabilities and one question */
    assert_string_equal(capture_fixture_end(manifest, "jobs"), "hung");
    assert_string_equal(capture_fixture_error(manifest, "cpus"), "not done: jobs hung");
    assert_string_equal(capture_fixture_end(manifest, "works"), "done");
    assert_string_equal(capture_fixture_error(manifest, "stops"), "not done: jobs hung");
}

static void
a_file_that_hangs_a_child_would_hang_qemu(void **state)
{
    static const CaptureStep steps[] = {
        {"media", NULL, KIND_HARMLESS, SOON_US, begin_hanging, 0},
        {"block", "a.json", KIND_MONITOR, SOON_US, capture_ask_media, QMP_QUERY_BLOCK}};
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;

    capture_fixture_connect(fixture);
    capture_fixture_sample(fixture, true);
    capture_fixture_sample(fixture, true);
    manifest = capture_fixture_run(fixture, &(CaptureStepList){steps, G_N_ELEMENTS(steps)});
    assert_int_equal(fake_qmp_lines(fixture->fake), 1);
    assert_string_equal(capture_fixture_error(manifest, "block"),
                        "not done: not every open file let itself be looked at, and this command "
                        "could hang QEMU");
}

static void
an_alert_never_asks_for_media(void **state)
{
    static const CaptureStep steps[] = {
        {"media", NULL, KIND_HARMLESS, CAPTURE_SECOND, begin_noting, 0},
        {"block", "a.json", KIND_MONITOR, CAPTURE_SECOND, capture_ask_media, QMP_QUERY_BLOCK}};
    CaptureFixture *fixture = *state;
    const CaptureStepList list = {steps, G_N_ELEMENTS(steps)};
    const CaptureOptions options = {.is_automatic = true};
    g_autofree char *name = NULL;

    capture_fixture_connect(fixture);
    capture_fixture_sample(fixture, true);
    capture_fixture_sample(fixture, true);
    assert_true(captures_begin_steps(fixture->captures, fixture->vm, &options, &list, &name, NULL));
    captures_wait(fixture->captures);
    assert_int_equal(fake_qmp_lines(fixture->fake), 1);
}

static void
media_are_asked_for_when_all_is_well(void **state)
{
    static const CaptureStep steps[] = {
        {"media", NULL, KIND_HARMLESS, CAPTURE_SECOND, begin_noting, 0},
        {"nodes", "a.json", KIND_MONITOR, CAPTURE_SECOND, capture_ask_media, QMP_QUERY_NODES}};
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;

    capture_fixture_connect(fixture);
    capture_fixture_sample(fixture, true);
    capture_fixture_sample(fixture, true);
    fake_qmp_expect(
        fixture->fake,
        "{\"execute\":\"query-named-block-nodes\",\"arguments\":{\"flat\":true},\"id\":1}",
        "{\"return\": [], \"id\": 1}\n");
    manifest = capture_fixture_run(fixture, &(CaptureStepList){steps, G_N_ELEMENTS(steps)});
    fake_qmp_check(fixture->fake);
    assert_string_equal(capture_fixture_end(manifest, "nodes"), "done");
}

#define STUCK "not done: a thread is in state D, or waits for a file, and could not be stopped"
#define STOPPED "not done: the process is stopped or traced already"
#define PWRITE_64 G_STRINGIFY(__NR_pwrite64)
#define IOCTL G_STRINGIFY(__NR_ioctl)

static void
a_thread_that_waits_for_a_file_is_never_traced(void **state)
{
    static const CaptureStep steps[] = {
        {"versions", NULL, KIND_HARMLESS, CAPTURE_SECOND, begin_noting, 0},
        {"stacks", "stacks.txt", KIND_STOP, CAPTURE_SECOND, capture_stacks, 0}};
    static const struct {
        const char *stat, *syscall, *error;
    } rows[] = {
        {"43 (CPU) D 1\n", "running\n", STUCK},
        {"43 (worker) S 1\n", PWRITE_64 " 0xb 0x1 0x2\n", STUCK},
        {"43 (a) T) D) t 1\n", "running\n", STOPPED},
        {"43 (CPU) T 1\n", "running\n", STOPPED},
        /* a vCPU that is halted is no hindrance: what is said is said of the other one */
        {"43 (CPU) S 1\n", IOCTL " 0xc 0xae80\n", STOPPED},
    };
    CaptureFixture *fixture = *state;

    tree_file(fixture->tree, "proc/42/task/44/stat", "44 (CPU) T 1\n");
    tree_link(fixture->tree, "proc/42/fd/11", "/srv/fuse.img");
    tree_link(fixture->tree, "proc/42/fd/12", "anon_inode:kvm-vcpu:0");
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(JsonNode) manifest = NULL;

        tree_file(fixture->tree, "proc/42/task/43/stat", rows[i].stat);
        tree_file(fixture->tree, "proc/42/task/43/syscall", rows[i].syscall);
        manifest = capture_fixture_run(fixture, &(CaptureStepList){steps, G_N_ELEMENTS(steps)});
        assert_string_equal(capture_fixture_error(manifest, "stacks"), rows[i].error);
    }
}

static void
a_vm_that_ends_leaves_what_was_got(void **state)
{
    static const CaptureStep steps[] = {
        {"works", "a.txt", KIND_HARMLESS, 2 * CAPTURE_SECOND, begin_working, 0},
        {"state", "b.json", KIND_HARMLESS, 2 * CAPTURE_SECOND, capture_state, 0},
        {"status", "c.json", KIND_MONITOR, 2 * CAPTURE_SECOND, capture_ask, QMP_QUERY_STATUS}};
    CaptureFixture *fixture = *state;
    const CaptureStepList list = {steps, G_N_ELEMENTS(steps)};
    const CaptureOptions options = {0};
    g_autofree char *name = NULL;
    g_autoptr(JsonNode) summary = NULL;

    assert_true(captures_begin_steps(fixture->captures, fixture->vm, &options, &list, &name, NULL));
    g_clear_pointer(&fixture->vm, vm_free);
    captures_wait(fixture->captures);
    summary = captures_status(fixture->captures, name, NULL);
    assert_int_equal(json_object_get_int_member(json_node_get_object(summary), "steps_done"), 1);
    assert_int_equal(json_object_get_int_member(json_node_get_object(summary), "steps_ended"), 3);
}

/* A question in flight when everything ends is answered into a capture that is still there. */
static void
an_end_with_an_open_question_is_an_end(void **state)
{
    static const CaptureStep steps[] = {
        {"jobs", "a.json", KIND_MONITOR, 5 * CAPTURE_SECOND, capture_ask, QMP_QUERY_JOBS}};
    CaptureFixture *fixture = *state;
    const CaptureStepList list = {steps, G_N_ELEMENTS(steps)};
    const CaptureOptions options = {0};
    g_autofree char *name = NULL;

    capture_fixture_connect(fixture);
    fake_qmp_expect(fixture->fake, "{\"execute\":\"query-jobs\",\"id\":1}", NULL);
    assert_true(captures_begin_steps(fixture->captures, fixture->vm, &options, &list, &name, NULL));
    while (fake_qmp_lines(fixture->fake) < 2)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(qmp_client_open_questions(fixture->vm->client), 1);
    g_clear_pointer(&fixture->vm, vm_free);
    assert_int_equal(captures_open(fixture->captures), 1);
}

static void
an_end_in_the_middle_leaves_a_readable_manifest(void **state)
{
    static const CaptureStep steps[] = {
        {"works", "a.txt", KIND_HARMLESS, 2 * CAPTURE_SECOND, begin_working, 0},
        {"hangs", "b.txt", KIND_HARMLESS, 5 * CAPTURE_SECOND, begin_hanging, 0}};
    CaptureFixture *fixture = *state;
    const CaptureStepList list = {steps, G_N_ELEMENTS(steps)};
    const CaptureOptions options = {0};
    g_autofree char *name = NULL, *path = NULL, *text = NULL;
    g_autoptr(JsonNode) manifest = NULL;

    assert_true(captures_begin_steps(fixture->captures, fixture->vm, &options, &list, &name, NULL));
    path = g_build_filename(tree_path(fixture->tree, "run"), CAPTURE_DIRECTORY, name,
                            CAPTURE_MANIFEST, NULL);
    while (!g_file_test(path, G_FILE_TEST_EXISTS))
        g_main_context_iteration(fixture->context, TRUE);
    g_clear_pointer(&fixture->vm, vm_free);
    g_clear_pointer(&fixture->captures, captures_free);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    manifest = json_from_string(text, NULL);
    assert_non_null(manifest);
    assert_false(json_object_get_boolean_member(json_node_get_object(manifest), "complete"));
    assert_string_equal(capture_fixture_end(manifest, "works"), "done");
}

#define capture_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static const CaptureStep witness_steps[] = {
    {"configuration", "configuration.txt", KIND_HARMLESS, CAPTURE_SECOND, capture_configuration, 0},
    {"statistics", "statistics.rrd", KIND_HARMLESS, CAPTURE_SECOND, capture_statistics, 0}};
static const CaptureStepList witnesses = {.steps = witness_steps, .n = G_N_ELEMENTS(witness_steps)};

static void
a_proxmox_configuration_is_kept_without_its_secrets(void **state)
{
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;
    g_autofree char *text = NULL;

    fixture->vm->id = g_strdup("102");
    tree_file(fixture->tree, "etc/pve/qemu-server/102.conf",
              "cores: 4\ncipassword: hunter2\nscsi0: local-lvm:vm-102-disk-0,mbps_wr=60\n"
              "args: -object secret,id=sec0,data=hunter2\n[before]\ncipassword: hunter2");
    tree_file(fixture->tree, "etc/pve/qemu-server/103.conf", "name: neighbour\n");
    tree_file(fixture->tree, "var/rrdcached/db/pve2-vm/102", "RRD-of-102");
    manifest = capture_fixture_run(fixture, &witnesses);
    text = capture_fixture_file(manifest, "configuration.txt");
    assert_non_null(strstr(text, "\nscsi0: local-lvm:vm-102-disk-0,mbps_wr=60\n"));
    assert_non_null(strstr(text, "\ncipassword: ***\n"));
    assert_non_null(strstr(text, "\nargs: "));
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "neighbour"));
    g_free(text);
    text = capture_fixture_file(manifest, "statistics.rrd");
    assert_string_equal(text, "RRD-of-102");
}

static void
an_id_is_no_path(void **state)
{
    CaptureFixture *fixture = *state;
    g_autoptr(JsonNode) manifest = NULL;

    fixture->vm->id = g_strdup("../../passwd");
    manifest = capture_fixture_run(fixture, &witnesses);
    assert_string_equal(capture_fixture_end(manifest, "configuration"), "not-done");
    assert_string_equal(capture_fixture_end(manifest, "statistics"), "not-done");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        capture_test(the_monitor_is_asked_one_question_at_a_time),
        capture_test(every_queue_of_every_device_is_asked),
        capture_test(a_proxmox_configuration_is_kept_without_its_secrets),
        capture_test(an_id_is_no_path),
        capture_test(a_harmless_step_that_hangs_costs_itself_only),
        capture_test(after_an_intrusive_one_that_hangs_no_other_is_done),
        capture_test(a_file_that_hangs_a_child_would_hang_qemu),
        capture_test(an_alert_never_asks_for_media),
        capture_test(media_are_asked_for_when_all_is_well),
        capture_test(a_thread_that_waits_for_a_file_is_never_traced),
        capture_test(a_vm_that_ends_leaves_what_was_got),
        capture_test(an_end_with_an_open_question_is_an_end),
        capture_test(an_end_in_the_middle_leaves_a_readable_manifest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
