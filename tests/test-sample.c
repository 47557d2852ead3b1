/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "memory-watch.h"
#include "sample-fixture.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
a_sample_holds_what_the_monitor_says(void **state)
{
    SampleFixture *fixture = *state;
    const Sample *sample;
    const DiskSample *disk;

    sample_fixture_vm(fixture, true, WORDS("kvm", "-device", "virtio-blk-pci,drive=d,id=v0"));
    sample = sample_fixture_take(fixture);
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
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "x-query-virtio", "[]");
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats query-status query-version query-memdev "
                          "x-query-virtio ");
    fixture->vm->track.has_last = true;
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[]");
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats ");
    fake_monitor_send(fixture->monitor, "{\"event\": \"STOP\", \"timestamp\": {}}\n");
    sample_fixture_run_idle(fixture);
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"paused\"}");
    assert_int_equal(sample_fixture_take(fixture)->run, RUN_PAUSED);
    assert_asked(fixture, "query-blockstats query-status ");
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 1);
    fixture->now_us += 60 * SECOND; /* what hardly ever changes, once a minute */
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats query-block-jobs query-memdev ");
}

static void
a_balloon_is_asked_each_time_while_it_holds_memory(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, WORDS("kvm", "-device", "virtio-balloon-pci,id=b0"));
    fake_monitor_answer(fixture->monitor, "x-query-virtio", "[]");
    fake_monitor_answer(fixture->monitor, "query-balloon", "{\"actual\": 134217728}");
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats query-status query-version query-memdev query-balloon "
                          "x-query-virtio ");
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats ");
    fixture->now_us += 60 * SECOND;
    fake_monitor_answer(fixture->monitor, "query-balloon", "{\"actual\": 67108864}");
    sample_fixture_take(fixture);
    assert_int_equal(fixture->vm->memory_watch->balloon_bytes, 67108864);
    g_free(fake_monitor_take_asked(fixture->monitor));
    fake_monitor_answer(fixture->monitor, "query-balloon", "{\"actual\": 134217728}");
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats query-balloon ");
    assert_int_equal(fixture->vm->memory_watch->balloon_bytes, 134217728);
    sample_fixture_take(fixture);
    assert_asked(fixture, "query-blockstats ");
}

static void
a_shared_monitor_is_left_within_the_sample(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, false, NULL);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_null(fixture->vm->client);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 2);
}

static void
a_socket_of_another_process_is_not_asked(void **state)
{
    SampleFixture *fixture = *state;
    g_autofree char *socket = g_strdup_printf("proc/%d/root/run/q.sock", (int)getpid());
    int ready[2];
    char byte;
    pid_t child;

    sample_fixture_vm(fixture, true, NULL);
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
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NOT_ASKED);
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
    SampleFixture *fixture = *state;
    g_autofree char *socket = g_strdup_printf("proc/%d/root/run/q.sock", (int)getpid());

    sample_fixture_vm(fixture, true, NULL);
    tree_remove(fixture->tree, socket);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_REFUSED);
    assert_non_null(fixture->vm->client_error);
}

static void
a_vm_without_a_monitor_is_not_asked(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, false, NULL);
    g_clear_pointer(&fixture->vm->monitor_path, g_free);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
}

/* Six threads and four iothreads: no vCPU yet. */
static void
a_qemu_that_waits_for_its_owner_is_not_let_go(void **state)
{
    SampleFixture *fixture = *state;
    g_autoptr(Argv) started = NULL;

    sample_fixture_vm(fixture, false,
                      WORDS("kvm", "-object", "iothread,id=a", "-object", "iothread,id=b",
                            "-object", "iothread,id=c", "-object", "iothread,id=d", "-qmp",
                            "unix:/run/q.sock,server"));
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_non_null(strstr(fixture->vm->client_error, "waits for its owner"));
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
    /* with one iothread less the sixth thread is a vCPU: somebody has connected */
    started = fixture->vm->argv;
    fixture->vm->argv =
        argv_parse(WORDS("kvm", "-object", "iothread,id=a", "-object", "iothread,id=b", "-object",
                         "iothread,id=c", "-qmp", "unix:/run/q.sock,server"));
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
}

static void
a_stopped_process_is_not_asked(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    fake_host_set_state(fixture->tree, getpid(), 1000 + (guint64)getpid(), "kvm", 'T');
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_int_equal(fixture->vm->sample.process_state, 'T');
    assert_false(fixture->vm->sample.process_is_gone);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
}

/* v1's is a D of its own kind, v2's shows in the group alone. A QEMU that answers is not looked
 * into. */
static void
a_process_in_the_cgroup_freezer_is_not_asked(void **state)
{
    SampleFixture *fixture = *state;
    static const char *const events = "sys/fs/cgroup/vm/cgroup.events";
    g_autofree char *wchan = g_strdup_printf("proc/%d/wchan", (int)getpid());
    g_autofree char *member = g_strdup_printf("proc/%d/cgroup", (int)getpid());

    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_file(fixture->tree, "sys/fs/cgroup/vm/memory.current", "1\n");
    tree_file(fixture->tree, events, "populated 1\nfrozen 1\n");
    sample_fixture_vm(fixture, true, NULL);
    tree_file(fixture->tree, member, "0::/vm\n");
    fixture->vm->cgroup = cgroup_open(fixture->host, fixture->vm->proc, NULL);
    assert_non_null(fixture->vm->cgroup);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_true(fixture->vm->sample.process_is_frozen);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
    tree_file(fixture->tree, events, "populated 1\nfrozen 0\n");
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_false(fixture->vm->sample.process_is_frozen);
    fake_host_set_state(fixture->tree, getpid(), 1000 + (guint64)getpid(), "kvm", 'D');
    tree_file(fixture->tree, wchan, "__refrigerator");
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_NOT_ASKED);
    assert_true(fixture->vm->sample.process_is_frozen);
    tree_file(fixture->tree, wchan, "request_wait_answer"); /* a D of another kind */
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_false(fixture->vm->sample.process_is_frozen);
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
    SampleFixture *fixture;

    assert_int_equal(sample_fixture_set_up(&inner), 0);
    fixture = inner;
    if (brackets)
        brackets[row->n_brackets] = '\n';
    sample_fixture_vm(fixture, true, NULL);
    fake_monitor_set_raw(fixture->monitor, brackets ? brackets : row->text,
                         strlen(brackets ? brackets : row->text));
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_RAVES);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_BROKEN);
    assert_false(fixture->vm->sample.has_disks);
    assert_null(fixture->vm->client);
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_TALKS);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    sample_fixture_tear_down(&inner);
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
    SampleFixture *fixture;
    const Sample *sample;

    assert_int_equal(sample_fixture_set_up(&inner), 0);
    fixture = inner;
    sample_fixture_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "query-blockstats", row->blockstats);
    sample = sample_fixture_take(fixture);
    assert_int_equal(sample->monitor, MONITOR_ANSWERED);
    assert_int_equal(sample->has_disks, row->has_disks);
    assert_int_equal(sample->n_disks, row->n_disks);
    if (row->n_disks)
        assert_int_equal(sample->disks[0].has_counters, row->has_counters);
    sample_fixture_tear_down(&inner);
}

static void
a_status_that_is_unknown_is_unknown(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"dancing\"}");
    assert_int_equal(sample_fixture_take(fixture)->run, RUN_UNKNOWN);
    fake_monitor_answer(fixture->monitor, "query-status", "[]");
    fixture->vm->has_fresh_status = false;
    assert_int_equal(sample_fixture_take(fixture)->run, RUN_UNKNOWN);
}

static void
a_process_that_vanishes_in_mid_sample_is_gone(void **state)
{
    SampleFixture *fixture = *state;
    g_autofree char *stat = g_strdup_printf("proc/%d/stat", (int)getpid());

    sample_fixture_vm(fixture, true, NULL);
    fake_monitor_hang_up_on(fixture->monitor, "query-status");
    sample_fixture_begin(fixture);
    assert_non_null(fixture->vm->sampling);
    tree_remove(fixture->tree, stat);
    sample_fixture_end(fixture);
    assert_true(fixture->vm->sample.process_is_gone);
    assert_int_not_equal(fixture->vm->sample.monitor, MONITOR_ANSWERED);
}

static void
a_process_that_is_gone_is_not_asked(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    fake_host_set_state(fixture->tree, getpid(), 5, "kvm", 'S'); /* another one has its pid */
    sample_fixture_begin(fixture);
    assert_int_equal(fixture->n_done, 1);
    assert_true(fixture->vm->sample.process_is_gone);
    assert_true(fixture->vm->sample.age_us < 0);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 0);
}

static void
a_monitor_that_hung_up_between_samples_is_connected_anew(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    fake_monitor_hang_up(fixture->monitor);
    sample_fixture_run_idle(fixture);
    assert_int_equal(sample_fixture_take(fixture)->monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 2);
}

static void
a_cancelled_sample_leaves_the_last_one(void **state)
{
    SampleFixture *fixture = *state;

    sample_fixture_vm(fixture, true, NULL);
    sample_fixture_take(fixture);
    sample_fixture_begin(fixture);
    assert_non_null(fixture->vm->sampling);
    sample_cancel(fixture->vm);
    assert_null(fixture->vm->sampling);
    assert_int_equal(fixture->n_done, 0);
    assert_int_equal(fixture->vm->sample.monitor, MONITOR_ANSWERED);
    assert_true(fixture->vm->sample.has_disks);
    assert_null(fixture->vm->client_error);
    sample_cancel(fixture->vm); /* once more is nothing */
}

static void
limits_of_a_throttle_group_are_those_in_force(void **state)
{
    SampleFixture *fixture = *state;
    const Sample *sample;

    sample_fixture_vm(fixture, true,
                      WORDS("kvm", "-object", "throttle-group,id=tg,x-bps-total=1000000",
                            "-blockdev", "driver=null-co,node-name=n0", "-blockdev",
                            "driver=throttle,node-name=t0,throttle-group=tg,file=n0", "-device",
                            "virtio-blk-pci,drive=t0,id=v0"));
    sample = sample_fixture_take(fixture); /* QEMU refuses qom-get: the command line is the word */
    assert_true(sample->disks[0].has_limit);
    assert_int_equal(sample->disks[0].limit_bps, 1000000);
    fake_monitor_answer(fixture->monitor, "qom-get",
                        "{\"bps-total\": 5, \"bps-read\": 0, \"bps-write\": 3, \"iops-total\": 0, "
                        "\"iops-read\": 0, \"iops-write\": 9}");
    fixture->now_us += 60 * SECOND;
    sample_fixture_take(fixture);
    sample = sample_fixture_take(fixture);
    assert_true(sample->disks[0].has_limit);
    assert_int_equal(sample->disks[0].limit_bps, 3);
    assert_int_equal(sample->disks[0].limit_iops, 9);
}

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        WITH_SAMPLES(a_sample_holds_what_the_monitor_says),
        WITH_SAMPLES(a_monitor_of_our_own_stays_connected_and_is_asked_little),
        WITH_SAMPLES(a_balloon_is_asked_each_time_while_it_holds_memory),
        WITH_SAMPLES(a_shared_monitor_is_left_within_the_sample),
        WITH_SAMPLES(a_socket_of_another_process_is_not_asked),
        WITH_SAMPLES(a_socket_that_is_gone_is_refused),
        WITH_SAMPLES(a_vm_without_a_monitor_is_not_asked),
        WITH_SAMPLES(a_qemu_that_waits_for_its_owner_is_not_let_go),
        WITH_SAMPLES(a_stopped_process_is_not_asked),
        WITH_SAMPLES(a_process_in_the_cgroup_freezer_is_not_asked),
        WITH_SAMPLES(a_status_that_is_unknown_is_unknown),
        WITH_SAMPLES(a_process_that_vanishes_in_mid_sample_is_gone),
        WITH_SAMPLES(a_process_that_is_gone_is_not_asked),
        WITH_SAMPLES(a_monitor_that_hung_up_between_samples_is_connected_anew),
        WITH_SAMPLES(a_cancelled_sample_leaves_the_last_one),
        WITH_SAMPLES(limits_of_a_throttle_group_are_those_in_force),
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
