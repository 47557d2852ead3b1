/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reason of a verdict, completed by what has a name: here the limit that binds. */

#include "t.h"

#include "neighbour.h"
#include "report-reason.h"
#include "tree.h"

typedef struct {
    Tree *tree;
    Host *host;
    Vm *vm;
} Fixture;

/* A VM with two disks, of which the first may be said to be bound. */
static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};
    const char *const argv[] = {"kvm", NULL};
    Sample *sample;

    fixture->tree = tree_new();
    tree_file(fixture->tree, "42/stat", "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    roots[HOST_PROC] = tree_root(fixture->tree);
    fixture->host = host_new(roots, NULL);
    fixture->vm = vm_new(proc_open(fixture->host, 42, NULL), argv_parse(argv), "bare");
    sample = &fixture->vm->sample;
    sample->now_us = G_USEC_PER_SEC;
    sample->has_disks = true;
    sample->n_disks = 2;
    sample->disks = g_new0(DiskSample, 2);
    for (guint i = 0; i < 2; i++) {
        sample->disks[i].id = g_strdup_printf("disk%u", i);
        sample->disks[i].label = g_strdup_printf("disk%u", i);
    }
    track_follow_disks(&fixture->vm->track, sample);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    vm_free(fixture->vm);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* Says so of the disk, and of the VM. */
static DiskTrack *
say(Fixture *fixture, guint index, Verdict verdict)
{
    Track *track = &fixture->vm->track;
    DiskTrack *disk = NULL;

    for (guint i = 0; i < track->disks->len; i++) {
        DiskTrack *one = track->disks->pdata[i];

        if (g_strcmp0(one->id, fixture->vm->sample.disks[index].id) == 0)
            disk = one;
    }
    assert_non_null(disk);
    disk->verdict = verdict;
    track->verdict = verdict;
    return disk;
}

static void
assert_reason(const Fixture *fixture, const DiskTrack *disk, const char *expected)
{
    const Verdict *verdict = disk ? &disk->verdict : &fixture->vm->track.verdict;
    g_autofree char *reason = report_reason(fixture->vm, disk, verdict);

    assert_string_equal(reason, expected);
}

static void
a_limit_that_binds_is_named(void **state)
{
    static const struct {
        guint64 bps, iops;
        const char *reason;
    } rows[] = {
        {1, 0, "it waits (limit 1 B/s)"},
        {0, 10, "it waits (limit 10 operations/s)"},
        {60 << 20, 500, "it waits (limit 60Mi B/s, 500 operations/s)"},
        {0, 0, "it waits"},
    };
    Fixture *fixture = *state;
    DiskSample *sample = &fixture->vm->sample.disks[0];
    const DiskTrack *disk = say(
        fixture, 0,
        (Verdict){
            .state = STATE_SUSPECT, .layer = LAYER_THROTTLE, .since_us = 7, .reason = "it waits"});

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        sample->has_limit = true;
        sample->limit_bps = rows[i].bps;
        sample->limit_iops = rows[i].iops;
        assert_reason(fixture, disk, rows[i].reason);
        assert_reason(fixture, NULL, rows[i].reason);
    }
    sample->limit_bps = 1;
    sample->has_limit = false;
    assert_reason(fixture, disk, "it waits");
}

static void
a_limit_that_does_not_bind_is_not_named(void **state)
{
    Fixture *fixture = *state;
    DiskSample *sample = &fixture->vm->sample.disks[1];
    const DiskTrack *disk = say(fixture, 1,
                                (Verdict){.state = STATE_FROZEN,
                                          .layer = LAYER_BLOCK_PATH,
                                          .since_us = 7,
                                          .reason = "it is stuck"});

    sample->has_limit = true;
    sample->limit_bps = 60 << 20;
    assert_reason(fixture, disk, "it is stuck");
    assert_reason(fixture, NULL, "it is stuck");
}

static void
a_disk_that_is_gone_has_no_limit(void **state)
{
    Fixture *fixture = *state;
    DiskTrack gone = {.id = (char *)"gone",
                      .verdict = {.layer = LAYER_THROTTLE, .reason = "it waits"}};

    assert_reason(fixture, &gone, "it waits");
    gone.verdict.reason = NULL;
    assert_reason(fixture, &gone, "");
}

static void
the_top_writer_of_a_saturated_storage_is_named(void **state)
{
    Fixture *fixture = *state;
    Vm *vm = fixture->vm;
    DiskSample *sample = &vm->sample.disks[0];
    g_autoptr(GPtrArray) vms = g_ptr_array_new();
    const DiskTrack *disk = say(fixture, 0,
                                (Verdict){.state = STATE_SUSPECT,
                                          .layer = LAYER_STORAGE,
                                          .cause = "storage-saturated",
                                          .since_us = 7,
                                          .reason = "it waits its turn"});

    assert_reason(fixture, disk, "it waits its turn");
    g_ptr_array_add(vms, vm);
    g_free(vm->name);
    vm->name = g_strdup("web1");
    vm->sample.monitor = MONITOR_ANSWERED;
    vm->sample.run = RUN_RUNNING;
    sample->has_counters = true;
    sample->storage = g_strdup("dev:8:0");
    neighbours_note(vm);
    vm->sample.now_us += 10 * G_USEC_PER_SEC;
    sample->wr_bytes += 20 << 20;
    neighbours_note(vm);
    neighbours_count(vm, vms);
    assert_reason(fixture, disk, "it waits its turn (web1 writes most there: 2.0M/s)");
    assert_reason(fixture, NULL, "it waits its turn (web1 writes most there: 2.0M/s)");
}

#define reason_test(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        reason_test(a_limit_that_binds_is_named),
        reason_test(a_limit_that_does_not_bind_is_not_named),
        reason_test(the_top_writer_of_a_saturated_storage_is_named),
        reason_test(a_disk_that_is_gone_has_no_limit),
    };

    return cmocka_run_group_tests_name("report-reason", tests, NULL, NULL);
}
