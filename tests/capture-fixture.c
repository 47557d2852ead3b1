/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "capture-fixture.h"

#include "message.h"

#include <string.h>

#define NOW_US (1000 * CAPTURE_SECOND)

static void
make_process(Tree *tree)
{
    static const char *const files[] = {"status", "limits", "cgroup", "io"};
    static const char command_line[] = "qemu-system-x86_64\0-object\0secret,id=s,data=hunter2\0"
                                       "-name\0two\nlines\0";

    tree_file(tree, "proc/42/stat", "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 6 0 4242 1\n");
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strconcat("proc/42/", files[i], NULL);
        g_autofree char *text = g_strconcat("of ", files[i], "\n", NULL);

        tree_file(tree, path, text);
    }
    tree_bytes(tree, "proc/42/cmdline", command_line, sizeof command_line - 1);
    tree_link(tree, "proc/42/fd/7", "/images/disk.raw");
    tree_file(tree, "proc/42/task/42/comm", "kvm\n");
    tree_file(tree, "proc/42/task/42/stat", "42 (kvm) S 1\n");
    tree_file(tree, "proc/42/task/43/comm", "CPU 0/TCG\n");
    tree_file(tree, "proc/42/task/43/stat", "43 (CPU 0/TCG) R 1\n");
    tree_file(tree, "proc/42/task/43/wchan", "0");
    tree_file(tree, "proc/version", "Linux version 6.1\n");
    tree_file(tree, "proc/diskstats", "254 0 vda 1 2 3\n");
}

static Vm *
make_vm(const Host *host, const char *name)
{
    const char *const argv[] = {"qemu-system-x86_64", "-name", name, NULL};
    Vm *vm = vm_new(proc_open(host, 42, NULL), argv_parse(argv), "bare");

    limits_init_defaults(&vm->limits);
    vm->monitor_path = g_strdup("/monitor");
    vm->monitor_is_ours = true;
    vm->has_sample = true;
    vm->sample.monitor = MONITOR_SILENT;
    vm->sample.now_us = NOW_US - 20 * CAPTURE_SECOND;
    return vm;
}

CaptureFixture *
capture_fixture_new(const char *vm_name)
{
    CaptureFixture *fixture = g_new0(CaptureFixture, 1);
    const char *roots[HOST_N_ROOTS] = {NULL};
    static const char *const names[] = {
        [HOST_PROC] = "proc",     [HOST_SYS] = "sys", [HOST_RUN] = "run", [HOST_ETC] = "etc",
        [HOST_CONFIG] = "config", [HOST_VAR] = "var", [HOST_DEV] = "dev"};

    fixture->tree = tree_new();
    for (guint i = 0; i < HOST_N_ROOTS; i++) {
        tree_directory(fixture->tree, names[i]);
        roots[i] = tree_path(fixture->tree, names[i]);
    }
    make_process(fixture->tree);
    fixture->host = host_new(roots, NULL);
    /* 2026-07-30T15:21:07Z */
    host_set_clock(fixture->host, NOW_US, NOW_US, 1785424867 * CAPTURE_SECOND);
    fixture->context = g_main_context_new();
    fixture->captures = captures_new(fixture->host, fixture->context);
    fixture->vm = make_vm(fixture->host, vm_name);
    return fixture;
}

void
capture_fixture_free(CaptureFixture *fixture)
{
    vm_free(fixture->vm);
    captures_free(fixture->captures);
    g_clear_pointer(&fixture->fake, fake_qmp_free);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
}

void
capture_fixture_connect(CaptureFixture *fixture)
{
    int fd;

    fixture->fake = fake_qmp_new(fixture->context, &fd);
    fixture->vm->client = qmp_client_new(fd, fixture->context, QMP_CLASS_TICK);
    fake_qmp_greet(fixture->fake);
    while (qmp_client_stage(fixture->vm->client) != QMP_STAGE_READY)
        g_main_context_iteration(fixture->context, TRUE);
    fixture->vm->sample.monitor = MONITOR_ANSWERED;
}

void
capture_fixture_sample(CaptureFixture *fixture, bool is_moving)
{
    Sample *sample = &fixture->vm->sample;
    MonitorStage monitor = sample->monitor;
    guint64 ops = sample->n_disks > 0 ? sample->disks[0].wr_ops + is_moving : 1;
    gint64 now_us = sample->now_us + 2 * CAPTURE_SECOND;

    sample_clear(sample);
    sample->now_us = sample->boottime_us = now_us;
    sample->period_us = 2 * CAPTURE_SECOND;
    sample->monitor = monitor;
    sample->run = RUN_RUNNING;
    sample->has_disks = true;
    sample->n_disks = 2;
    sample->disks = g_new0(DiskSample, 2);
    for (guint i = 0; i < 2; i++) {
        sample->disks[i].id = g_strdup_printf("disk%u", i);
        sample->disks[i].label = g_strdup_printf("disk%u", i);
        sample->disks[i].has_counters = true;
        sample->disks[i].wr_ops = ops;
    }
    recorder_add(fixture->vm->recorder, sample);
}

/* Where it lies is what the summary says. */
static JsonNode *
read_manifest(JsonObject *summary)
{
    g_autofree char *path = g_build_filename(json_object_get_string_member(summary, "directory"),
                                             CAPTURE_MANIFEST, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    JsonNode *manifest;

    if (!g_file_get_contents(path, &text, NULL, &error))
        fail_msg("%s", error->message);
    manifest = json_from_string(text, &error);
    if (!manifest)
        fail_msg("%s: %s", error->message, text);
    return manifest;
}

JsonNode *
capture_fixture_run(CaptureFixture *fixture, const CaptureStepList *list)
{
    const CaptureStepList all = {.steps = capture_steps, .n = capture_n_steps};
    const CaptureOptions options = {.wants_stacks = true};
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) summary = NULL;

    if (!captures_begin_steps(fixture->captures, fixture->vm, &options, list ? list : &all, &name,
                              &error))
        fail_msg("%s", error->message);
    captures_wait(fixture->captures);
    summary = captures_status(fixture->captures, name, NULL);
    assert_non_null(summary);
    return read_manifest(json_node_get_object(summary));
}

JsonObject *
capture_fixture_step(JsonNode *manifest, const char *name)
{
    JsonArray *steps = message_get_array(json_node_get_object(manifest), "steps");

    for (guint i = 0; i < json_array_get_length(steps); i++) {
        JsonObject *step = json_array_get_object_element(steps, i);

        if (g_strcmp0(message_get_string(step, "name"), name) == 0)
            return step;
    }
    fail_msg("no step \"%s\"", name);
    return NULL;
}

const char *
capture_fixture_end(JsonNode *manifest, const char *name)
{
    return json_object_get_string_member(capture_fixture_step(manifest, name), "end");
}

const char *
capture_fixture_error(JsonNode *manifest, const char *name)
{
    const char *error = message_get_string(capture_fixture_step(manifest, name), "error");

    return error ? error : "";
}

char *
capture_fixture_file(JsonNode *manifest, const char *file)
{
    g_autofree char *path = g_build_filename(
        json_object_get_string_member(json_node_get_object(manifest), "directory"), file, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        fail_msg("no file %s", path);
    return text;
}
