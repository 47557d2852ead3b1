/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "fake-monitor.h"
#include "sample.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENT_US (10 * G_USEC_PER_SEC)
#define SHORT_US (50 * G_GINT64_CONSTANT(1000))
#define SECOND G_USEC_PER_SEC
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define STATS(wr)                                                                                  \
    "{\"rd_operations\": 5, \"wr_operations\": " #wr ", \"flush_operations\": 1, "                 \
    "\"unmap_operations\": 0, \"rd_bytes\": 4096, \"wr_bytes\": 8192, "                            \
    "\"rd_total_time_ns\": 10, \"wr_total_time_ns\": 20, \"flush_total_time_ns\": 30, "            \
    "\"unmap_total_time_ns\": 0, \"failed_rd_operations\": 0, \"failed_wr_operations\": 2, "       \
    "\"failed_flush_operations\": 0, \"failed_unmap_operations\": 0, "                             \
    "\"invalid_rd_operations\": 0, \"invalid_wr_operations\": 0, "                                 \
    "\"invalid_flush_operations\": 0, \"invalid_unmap_operations\": 0, \"idle_time_ns\": 7}"
#define DISK(qdev, wr)                                                                             \
    "{\"device\": \"\", \"node-name\": \"node-" qdev "\", \"qdev\": \"" qdev                       \
    "\", \"stats\": " STATS(wr) "}"
#define BACKEND(id) "/machine/peripheral/" id "/virtio-backend"
#define RUNNING "{\"status\": \"running\", \"running\": true, \"singlestep\": false}"
#define QUEUE(inuse, used) "{\"inuse\": " #inuse ", \"used-idx\": " #used ", \"vring-num\": 256}"

/* One VM: this very process, as far as the socket's peer is concerned, in a fixture tree. */
typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    FakeMonitor *monitor;
    Vm *vm;
    guint n_done;
    gint64 now_us, period_us;
    bool wants_all_evidence;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *root = g_strdup_printf("proc/%d/root/run", (int)getpid());
    g_autofree char *socket = g_strconcat(root, "/q.sock", NULL);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_directory(fixture->tree, root);
    fixture->monitor = fake_monitor_new(fixture->context, tree_path(fixture->tree, socket));
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[" DISK(BACKEND("v0"), 9) "]");
    fake_monitor_answer(fixture->monitor, "query-status", RUNNING);
    fake_monitor_answer(fixture->monitor, "query-memdev",
                        "[{\"size\": 134217728, \"share\": false, \"id\": \"pc.ram\"}]");
    fake_monitor_answer(fixture->monitor, "query-version",
                        "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}, "
                        "\"package\": \"\"}");
    fixture->now_us = 1000 * SECOND;
    fixture->period_us = 2 * SECOND;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    sample_cancel(fixture->vm);
    vm_free(fixture->vm);
    fake_monitor_free(fixture->monitor);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* The VM, with these words on its command line beside its monitor. */
static Vm *
make_vm(Fixture *fixture, bool monitor_is_ours, const char *const *words)
{
    Vm *vm;

    fake_host_qemu(fixture->tree, getpid(), "web", NULL);
    vm = vm_new(proc_open(fixture->host, getpid(), NULL), argv_parse(words ? words : WORDS("kvm")),
                "bare");
    limits_init_defaults(&vm->limits);
    vm->limits.answer_deadline_us = PATIENT_US;
    vm->limits.hold_max_us = PATIENT_US;
    vm->monitor_path = g_strdup("/run/q.sock");
    vm->monitor_root = HOST_PROC;
    vm->monitor_is_ours = monitor_is_ours;
    fixture->vm = vm;
    return vm;
}

static void
on_done(Vm *vm, gpointer data)
{
    ((Fixture *)data)->n_done++;
}

static void
begin(Fixture *fixture)
{
    SampleContext context = {.host = fixture->host,
                             .context = fixture->context,
                             .now_us = fixture->now_us,
                             .boottime_us = fixture->now_us,
                             .period_us = fixture->period_us,
                             .wants_all_evidence = fixture->wants_all_evidence};

    fixture->n_done = 0;
    sample_begin(fixture->vm, &context, on_done, fixture);
}

static void
run_idle(Fixture *fixture)
{
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
}

static const Sample *
end(Fixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US + SECOND;

    while (fixture->n_done == 0 && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(fixture->n_done, 1);
    assert_null(fixture->vm->sampling);
    fixture->now_us += fixture->period_us;
    run_idle(fixture);
    return &fixture->vm->sample;
}

static const Sample *
take(Fixture *fixture)
{
    begin(fixture);
    return end(fixture);
}

static void
assert_asked(Fixture *fixture, const char *expected)
{
    g_autofree char *asked = fake_monitor_take_asked(fixture->monitor);

    assert_string_equal(asked, expected);
}

static void
a_sample_holds_what_the_monitor_says(void **state)
{
    Fixture *fixture = *state;
    const Sample *sample;
    const DiskSample *disk;

    make_vm(fixture, true, WORDS("kvm", "-device", "virtio-blk-pci,drive=d,id=v0"));
    sample = take(fixture);
    assert_int_equal(sample->monitor, MONITOR_ANSWERED);
    assert_int_equal(sample->run, RUN_RUNNING);
    assert_true(sample->has_disks);
    assert_int_equal(sample->n_disks, 1);
    disk = &sample->disks[0];
    assert_string_equal(disk->id, BACKEND("v0"));
    assert_string_equal(disk->label, "v0");
    assert_string_equal(disk->driver, "virtio-blk-pci");
    assert_null(disk->storage);
    assert_true(disk->has_counters);
    assert_int_equal(disk->wr_ops, 9);
    assert_int_equal(disk->total_time_ns, 60);
    assert_int_equal(disk->failed_ops, 2);
    assert_true(disk->has_idle_time);
    assert_false(disk->has_limit);
    assert_false(disk->has_queue);
    assert_int_equal(sample->process_state, 'S');
    assert_true(sample->memory.has_guest_ram || fixture->vm->has_guest_ram);
    assert_string_equal(fixture->vm->qemu_version, "7.2.22");
    assert_null(fixture->vm->client_error);
}

static void
a_monitor_of_our_own_stays_connected_and_is_asked_little(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "x-query-virtio", "[]");
    take(fixture);
    assert_asked(fixture, "query-blockstats query-status query-version query-memdev "
                          "x-query-virtio ");
    fixture->vm->track.has_last = true;
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[]");
    take(fixture);
    assert_asked(fixture, "query-blockstats ");
    fake_monitor_send(fixture->monitor, "{\"event\": \"STOP\", \"timestamp\": {}}\n");
    run_idle(fixture);
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"paused\"}");
    assert_int_equal(take(fixture)->run, RUN_PAUSED);
    assert_asked(fixture, "query-blockstats query-status ");
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 1);
    fixture->now_us += 60 * SECOND; /* what hardly ever changes, once a minute */
    take(fixture);
    assert_asked(fixture, "query-blockstats query-memdev ");
}

static void
a_shared_monitor_is_left_within_the_sample(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, false, NULL);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    assert_null(fixture->vm->client);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 2);
}

static void
a_socket_of_another_process_is_not_asked(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *socket = g_strdup_printf("proc/%d/root/run/q.sock", (int)getpid());
    int ready[2];
    char byte;
    pid_t child;

    make_vm(fixture, true, NULL);
    fake_monitor_free(fixture->monitor);
    tree_remove(fixture->tree, socket);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        fixture->monitor = fake_monitor_new(fixture->context, tree_path(fixture->tree, socket));
        (void)!write(ready[1], "x", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(take(fixture)->monitor, MONITOR_NOT_ASKED);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    assert_false(fixture->vm->sample.has_disks);
    assert_null(fixture->vm->client);
    assert_non_null(strstr(fixture->vm->client_error, "not to the VM"));
    tree_remove(fixture->tree, socket);
    fixture->monitor = fake_monitor_new(fixture->context, tree_path(fixture->tree, socket));
}

static void
a_socket_that_is_gone_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *socket = g_strdup_printf("proc/%d/root/run/q.sock", (int)getpid());

    make_vm(fixture, true, NULL);
    tree_remove(fixture->tree, socket);
    assert_int_equal(take(fixture)->monitor, MONITOR_REFUSED);
    assert_non_null(fixture->vm->client_error);
}

static void
a_vm_without_a_monitor_is_not_asked(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, false, NULL);
    g_clear_pointer(&fixture->vm->monitor_path, g_free);
    assert_int_equal(take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
}

static void
a_stopped_process_is_not_asked(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    fake_host_set_state(fixture->tree, getpid(), 1000 + (guint64)getpid(), "kvm", 'T');
    assert_int_equal(take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_int_equal(fixture->vm->sample.process_state, 'T');
    assert_false(fixture->vm->sample.process_is_gone);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
}

static void
a_busy_monitor_holds_one_pending_connect_of_ours(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, false, NULL);
    fixture->vm->limits.hold_max_us = SHORT_US;
    fixture->period_us = 2 * SHORT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_DEAF);
    for (guint i = 0; i < 4; i++) {
        assert_int_equal(take(fixture)->monitor, MONITOR_NO_GREETING);
        assert_non_null(fixture->vm->client);
    }
    /* it is our turn: the waiting connect is used, and left */
    fixture->vm->limits.hold_max_us = PATIENT_US;
    fixture->period_us = 20 * SECOND;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_TALKS);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

static void
silence_after_the_greeting_is_no_negotiation(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_HANGS);
    for (guint i = 0; i < 2; i++) {
        const Sample *sample = take(fixture);

        assert_int_equal(sample->monitor, MONITOR_NO_NEGOTIATION);
        assert_true(sample->waited_us >= SHORT_US && sample->waited_us < PATIENT_US);
    }
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
}

/* The greeting has just come when a sample begins: nothing is wrong. */
static void
a_handshake_in_the_making_is_no_silence(void **state)
{
    Fixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    make_vm(fixture, false, NULL);
    fixture->vm->limits.hold_max_us = SHORT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_DEAF);
    assert_int_equal(take(fixture)->monitor, MONITOR_NO_GREETING);
    fixture->vm->limits.hold_max_us = PATIENT_US;
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_TALKS);
    while (qmp_client_stage(fixture->vm->client) == QMP_STAGE_GREETING &&
           g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(qmp_client_stage(fixture->vm->client), QMP_STAGE_NEGOTIATING);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

static void
silence_is_counted_from_the_question_not_the_connect(void **state)
{
    Fixture *fixture = *state;
    const Sample *sample;
    gint64 before_us;

    make_vm(fixture, true, NULL);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    g_usleep(2 * SHORT_US); /* an old connection, as far as the clock of the client goes */
    fake_monitor_answer(fixture->monitor, "query-blockstats", NULL);
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    before_us = g_get_monotonic_time();
    sample = take(fixture);
    assert_int_equal(sample->monitor, MONITOR_SILENT);
    assert_true(sample->waited_us >= SHORT_US);
    sample = take(fixture);
    assert_int_equal(sample->monitor, MONITOR_SILENT);
    assert_true(sample->waited_us <= g_get_monotonic_time() - before_us);
    assert_false(sample->has_disks);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
    assert_non_null(fixture->vm->client_error);
}

static void
a_late_answer_ends_the_silence(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "query-blockstats", NULL);
    fixture->vm->limits.answer_deadline_us = SHORT_US;
    assert_int_equal(take(fixture)->monitor, MONITOR_SILENT);
    fixture->vm->limits.answer_deadline_us = PATIENT_US;
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[]");
    fake_monitor_send(fixture->monitor, "{\"return\": [], \"id\": 1}\n");
    run_idle(fixture);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    assert_null(fixture->vm->client_error);
}

static void
a_shared_monitor_that_is_silent_is_left_too(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, false, NULL);
    fixture->vm->limits.hold_max_us = SHORT_US;
    fake_monitor_answer(fixture->monitor, "query-blockstats", NULL);
    assert_int_equal(take(fixture)->monitor, MONITOR_SILENT);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

typedef struct {
    const char *name, *text;
    guint n_brackets;
} RavingRow;

static const RavingRow raving_rows[] = {
    {"a monitor that sends garbage is broken", "HTTP/1.1 400 Bad Request\r\n", 0},
    {"80,000 brackets are broken, and crash nothing", NULL, 80000},
    {"a greeting that is cut by a NUL is broken", "{\"QMP\": \"\\u0000\"}\n", 0},
};

static void
raving_is_broken(void **state)
{
    const RavingRow *row = *state;
    g_autofree char *brackets = row->n_brackets ? g_strnfill(row->n_brackets + 1, '[') : NULL;
    void *inner = NULL;
    Fixture *fixture;

    assert_int_equal(fixture_set_up(&inner), 0);
    fixture = inner;
    if (brackets)
        brackets[row->n_brackets] = '\n';
    make_vm(fixture, true, NULL);
    fake_monitor_set_raw(fixture->monitor, brackets ? brackets : row->text,
                         strlen(brackets ? brackets : row->text));
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_RAVES);
    assert_int_equal(take(fixture)->monitor, MONITOR_BROKEN);
    assert_false(fixture->vm->sample.has_disks);
    assert_null(fixture->vm->client);
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_TALKS);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    fixture_tear_down(&inner);
}

typedef struct {
    const char *name, *blockstats;
    bool has_disks;
    guint n_disks;
    bool has_counters;
} ShapeRow;

static const ShapeRow shape_rows[] = {
    {"blockstats of another shape are no disks", "{\"a\": 1}", false, 0, false},
    {"an ordinary disk is one", "[" DISK("v0", 1) "]", true, 1, true},
    {"a counter out of range is no counter", "[" DISK("v0", 99999999999999999999) "]", true, 1,
     false},
    {"a disk without any name is passed over", "[{\"stats\": " STATS(1) "}]", true, 0, false},
    {"an empty CD drive is no disk",
     "[{\"device\": \"ide1-cd0\", \"qdev\": \"/machine/unattached/device[23]\", \"stats\": " STATS(
         0) "}, " DISK("v0", 1) "]",
     true, 1, true},
    {"no disk at all is an answer", "[]", true, 0, false},
};

static void
blockstats_of_any_shape(void **state)
{
    const ShapeRow *row = *state;
    void *inner = NULL;
    Fixture *fixture;
    const Sample *sample;

    assert_int_equal(fixture_set_up(&inner), 0);
    fixture = inner;
    make_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "query-blockstats", row->blockstats);
    sample = take(fixture);
    assert_int_equal(sample->monitor, MONITOR_ANSWERED);
    assert_int_equal(sample->has_disks, row->has_disks);
    assert_int_equal(sample->n_disks, row->n_disks);
    if (row->n_disks)
        assert_int_equal(sample->disks[0].has_counters, row->has_counters);
    fixture_tear_down(&inner);
}

static void
a_status_that_is_unknown_is_unknown(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"dancing\"}");
    assert_int_equal(take(fixture)->run, RUN_UNKNOWN);
    fake_monitor_answer(fixture->monitor, "query-status", "[]");
    fixture->vm->has_fresh_status = false;
    assert_int_equal(take(fixture)->run, RUN_UNKNOWN);
}

static void
a_process_that_vanishes_in_mid_sample_is_gone(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *stat = g_strdup_printf("proc/%d/stat", (int)getpid());

    make_vm(fixture, true, NULL);
    fake_monitor_hang_up_on(fixture->monitor, "query-status");
    begin(fixture);
    assert_non_null(fixture->vm->sampling);
    tree_remove(fixture->tree, stat);
    end(fixture);
    assert_true(fixture->vm->sample.process_is_gone);
    assert_int_not_equal(fixture->vm->sample.monitor, MONITOR_ANSWERED);
}

static void
a_process_that_is_gone_is_not_asked(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    fake_host_set_state(fixture->tree, getpid(), 5, "kvm", 'S'); /* another one has its pid */
    begin(fixture);
    assert_int_equal(fixture->n_done, 1);
    assert_true(fixture->vm->sample.process_is_gone);
    assert_true(fixture->vm->sample.age_us < 0);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
}

static void
a_monitor_that_hung_up_between_samples_is_connected_anew(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    fake_monitor_hang_up(fixture->monitor);
    run_idle(fixture);
    assert_int_equal(take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 2);
}

static void
a_cancelled_sample_leaves_the_last_one(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, NULL);
    take(fixture);
    begin(fixture);
    assert_non_null(fixture->vm->sampling);
    sample_cancel(fixture->vm);
    assert_null(fixture->vm->sampling);
    assert_int_equal(fixture->n_done, 0);
    assert_int_equal(fixture->vm->sample.monitor, MONITOR_ANSWERED);
    assert_true(fixture->vm->sample.has_disks);
    assert_null(fixture->vm->client_error);
    sample_cancel(fixture->vm); /* once more is nothing */
}

/* Evidence. */

#define SCSI_VM                                                                                    \
    WORDS("kvm", "-device", "virtio-scsi-pci,id=s0", "-device",                                    \
          "scsi-hd,bus=s0.0,drive=d0,id=scsi0", "-device", "scsi-hd,bus=s0.0,drive=d1,id=scsi1",   \
          "-device", "virtio-blk-pci,drive=d2,id=v0", "-device", "ide-hd,drive=d3,id=ide0")
#define SCSI_DISKS                                                                                 \
    "[" DISK("scsi0", 1) ", " DISK("scsi1", 1) ", " DISK(BACKEND("v0"), 1) ", " DISK("ide0", 1) "]"
#define VIRTIO_LIST                                                                                \
    "[{\"name\": \"virtio-scsi\", \"path\": \"" BACKEND(                                           \
        "s0") "\"}, "                                                                              \
              "{\"name\": \"virtio-blk\", \"path\": \"" BACKEND(                                   \
                  "v0") "\"}, "                                                                    \
                        "{\"name\": \"virtio-net\", \"path\": \"" BACKEND("n0") "\"}]"

static void
answer_queue(Fixture *fixture, const char *path, guint queue, const char *json)
{
    g_autofree char *command =
        g_strdup_printf("x-query-virtio-queue-status {\"path\":\"%s\",\"queue\":%u}", path, queue);

    fake_monitor_answer(fixture->monitor, command, json);
}

static void
set_virtio(Fixture *fixture)
{
    fake_monitor_answer(fixture->monitor, "query-blockstats", SCSI_DISKS);
    fake_monitor_answer(fixture->monitor, "x-query-virtio", VIRTIO_LIST);
    fake_monitor_answer(fixture->monitor, "x-query-virtio-status {\"path\":\"" BACKEND("s0") "\"}",
                        "{\"num-vqs\": 4}");
    fake_monitor_answer(fixture->monitor, "x-query-virtio-status {\"path\":\"" BACKEND("v0") "\"}",
                        "{\"num-vqs\": 2}");
    answer_queue(fixture, BACKEND("s0"), 2, QUEUE(1, 10));
    answer_queue(fixture, BACKEND("s0"), 3, QUEUE(2, 20));
    answer_queue(fixture, BACKEND("v0"), 0, QUEUE(0, 7));
    answer_queue(fixture, BACKEND("v0"), 1, QUEUE(4, 8));
}

static void
queues_are_summed_for_the_disks_they_carry(void **state)
{
    Fixture *fixture = *state;
    const Sample *sample;

    make_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    sample = take(fixture);
    assert_int_equal(sample->n_disks, 4);
    for (guint i = 0; i < 2; i++) { /* two disks on one HBA; its queues 0 and 1 carry no request */
        assert_true(sample->disks[i].has_queue);
        assert_int_equal(sample->disks[i].queue_inflight, 3);
        assert_int_equal(sample->disks[i].queue_used_idx, 30);
        assert_true(sample->disks[i].queue_is_shared);
    }
    assert_true(sample->disks[2].has_queue);
    assert_int_equal(sample->disks[2].queue_inflight, 4);
    assert_int_equal(sample->disks[2].queue_used_idx, 15);
    assert_false(sample->disks[2].queue_is_shared);
    assert_false(sample->disks[3].has_queue);
}

static void
one_queue_without_an_answer_is_no_evidence(void **state)
{
    Fixture *fixture = *state;
    const Sample *sample;

    make_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    answer_queue(fixture, BACKEND("v0"), 1, "{\"inuse\": -1}");
    sample = take(fixture);
    assert_false(sample->disks[2].has_queue);
    assert_true(sample->disks[0].has_queue); /* the innocent beside it */
}

static void
of_too_many_queues_an_empty_part_proves_nothing(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    fake_monitor_answer(fixture->monitor, "x-query-virtio-status {\"path\":\"" BACKEND("v0") "\"}",
                        "{\"num-vqs\": 100}");
    fake_monitor_answer(fixture->monitor, "x-query-virtio-queue-status", QUEUE(0, 1));
    answer_queue(fixture, BACKEND("v0"), 1, QUEUE(0, 1));
    assert_false(take(fixture)->disks[2].has_queue);
    answer_queue(fixture, BACKEND("v0"), 63, QUEUE(5, 1));
    assert_true(take(fixture)->disks[2].has_queue);
    assert_int_equal(fixture->vm->sample.disks[2].queue_inflight, 5);
}

static void
a_disk_that_moves_is_not_looked_into(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *asked = NULL;

    make_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    take(fixture);
    freeze_judge(&fixture->vm->track, &fixture->vm->sample, &fixture->vm->limits);
    g_free(fake_monitor_take_asked(fixture->monitor));
    fake_monitor_answer(fixture->monitor, "query-blockstats",
                        "[" DISK("scsi0", 2) ", " DISK("scsi1", 2) ", " DISK(BACKEND("v0"), 2) "]");
    assert_false(take(fixture)->disks[0].has_queue);
    asked = fake_monitor_take_asked(fixture->monitor);
    assert_string_equal(asked,
                        "query-blockstats query-block-jobs "); /* the jobs of a near suspect */

    fixture->wants_all_evidence = true; /* as for a check */
    fake_monitor_answer(fixture->monitor, "query-blockstats",
                        "[" DISK("scsi0", 3) ", " DISK("scsi1", 3) ", " DISK(BACKEND("v0"), 3) "]");
    assert_true(take(fixture)->disks[0].has_queue);
}

static void
a_vm_that_does_not_run_is_not_looked_into(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, SCSI_VM);
    set_virtio(fixture);
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"io-error\"}");
    assert_false(take(fixture)->disks[2].has_queue);
    assert_asked(fixture, "query-blockstats query-status query-version query-memdev ");
}

static void
an_old_qemu_is_asked_for_queues_once(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, true, SCSI_VM);
    fake_monitor_answer(fixture->monitor, "query-blockstats", SCSI_DISKS);
    assert_false(take(fixture)->disks[2].has_queue);
    assert_true(fixture->vm->has_no_virtio_query);
    g_free(fake_monitor_take_asked(fixture->monitor));
    take(fixture);
    assert_asked(fixture, "query-blockstats ");
}

static void
limits_of_a_throttle_group_are_those_in_force(void **state)
{
    Fixture *fixture = *state;
    const Sample *sample;

    make_vm(fixture, true,
            WORDS("kvm", "-object", "throttle-group,id=tg,x-bps-total=1000000", "-blockdev",
                  "driver=null-co,node-name=n0", "-blockdev",
                  "driver=throttle,node-name=t0,throttle-group=tg,file=n0", "-device",
                  "virtio-blk-pci,drive=t0,id=v0"));
    sample = take(fixture); /* QEMU refuses qom-get: the command line is the word */
    assert_true(sample->disks[0].has_limit);
    assert_int_equal(sample->disks[0].limit_bps, 1000000);
    fake_monitor_answer(fixture->monitor, "qom-get",
                        "{\"bps-total\": 5, \"bps-read\": 0, \"bps-write\": 3, \"iops-total\": 0, "
                        "\"iops-read\": 0, \"iops-write\": 9}");
    fixture->now_us += 60 * SECOND;
    take(fixture);
    sample = take(fixture);
    assert_true(sample->disks[0].has_limit);
    assert_int_equal(sample->disks[0].limit_bps, 3);
    assert_int_equal(sample->disks[0].limit_iops, 9);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        row(a_sample_holds_what_the_monitor_says),
        row(a_monitor_of_our_own_stays_connected_and_is_asked_little),
        row(a_shared_monitor_is_left_within_the_sample),
        row(a_socket_of_another_process_is_not_asked),
        row(a_socket_that_is_gone_is_refused),
        row(a_vm_without_a_monitor_is_not_asked),
        row(a_stopped_process_is_not_asked),
        row(a_busy_monitor_holds_one_pending_connect_of_ours),
        row(silence_after_the_greeting_is_no_negotiation),
        row(a_handshake_in_the_making_is_no_silence),
        row(silence_is_counted_from_the_question_not_the_connect),
        row(a_late_answer_ends_the_silence),
        row(a_shared_monitor_that_is_silent_is_left_too),
        row(a_status_that_is_unknown_is_unknown),
        row(a_process_that_vanishes_in_mid_sample_is_gone),
        row(a_process_that_is_gone_is_not_asked),
        row(a_monitor_that_hung_up_between_samples_is_connected_anew),
        row(a_cancelled_sample_leaves_the_last_one),
        row(queues_are_summed_for_the_disks_they_carry),
        row(one_queue_without_an_answer_is_no_evidence),
        row(of_too_many_queues_an_empty_part_proves_nothing),
        row(a_disk_that_moves_is_not_looked_into),
        row(a_vm_that_does_not_run_is_not_looked_into),
        row(an_old_qemu_is_asked_for_queues_once),
        row(limits_of_a_throttle_group_are_those_in_force),
    };
    struct CMUnitTest
        tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(raving_rows) + G_N_ELEMENTS(shape_rows)];
    guint n = G_N_ELEMENTS(fixed);

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(raving_rows); i++)
        tests[n++] = t_row(raving_rows[i].name, raving_is_broken, &raving_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(shape_rows); i++)
        tests[n++] = t_row(shape_rows[i].name, blockstats_of_any_shape, &shape_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
