/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "neighbour.h"
#include "tree.h"

#define SECOND G_USEC_PER_SEC
#define N_VMS 3

/* Three VMs with one disk each, sampled every 2 s of virtual time. */
typedef struct {
    Tree *tree;
    Host *host;
    GPtrArray *vms;
    gint64 now_us;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};
    const char *const argv[] = {"kvm", NULL};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "42/stat", "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    roots[HOST_PROC] = tree_root(fixture->tree);
    fixture->host = host_new(roots, NULL);
    fixture->vms = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
    fixture->now_us = 1000 * SECOND;
    for (guint i = 0; i < N_VMS; i++) {
        Vm *vm = vm_new(proc_open(fixture->host, 42, NULL), argv_parse(argv), "bare");

        vm->sample.disks = g_new0(DiskSample, 1);
        vm->sample.n_disks = 1;
        vm->sample.has_disks = true;
        vm->sample.monitor = MONITOR_ANSWERED;
        vm->sample.run = RUN_RUNNING;
        vm->sample.period_us = 2 * SECOND;
        vm->sample.disks[0].id = g_strdup("disk");
        vm->sample.disks[0].storage = g_strdup(i < 2 ? "dev:8:1" : "dev:8:2");
        vm->sample.disks[0].has_counters = true;
        g_ptr_array_add(fixture->vms, vm);
    }
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    g_ptr_array_unref(fixture->vms);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* A round of samples every 2 s for so long, in which the disks whose letter is not '.' write. */
static void
go_on(Fixture *fixture, gint64 seconds, const char *writes)
{
    for (gint64 until = fixture->now_us + seconds * SECOND; fixture->now_us < until;) {
        fixture->now_us += 2 * SECOND;
        for (guint i = 0; i < N_VMS; i++) {
            Vm *vm = fixture->vms->pdata[i];

            vm->sample.now_us = fixture->now_us;
            vm->sample.disks[0].wr_ops += writes[i] != '.';
            neighbours_note(vm);
        }
    }
}

static const DiskSample *
count(Fixture *fixture)
{
    Vm *vm = fixture->vms->pdata[0];
    DiskSample *disk = &vm->sample.disks[0];

    disk->has_neighbours = false;
    disk->neighbours_moving = disk->neighbours_still = 0;
    vm->track.verdict.state = STATE_SUSPECT;
    neighbours_count(vm, fixture->vms);
    return disk;
}

static void
assert_count(Fixture *fixture, guint moving, guint still)
{
    const DiskSample *disk = count(fixture);

    assert_true(disk->has_neighbours);
    assert_int_equal(disk->neighbours_moving, moving);
    assert_int_equal(disk->neighbours_still, still);
}

static void
a_neighbour_that_writes_moves(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 20, "www");
    go_on(fixture, 30, ".ww");
    assert_count(fixture, 1, 0);
}

static void
a_neighbour_that_stopped_too_stands_still(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 20, "www");
    go_on(fixture, 8, "..w");
    assert_count(fixture, 1, 0);
    go_on(fixture, 4, "..w");
    assert_count(fixture, 0, 1);
    /* and it still counts an hour later: it was busy when this disk last moved */
    go_on(fixture, 3600, "..w");
    assert_count(fixture, 0, 1);
}

static void
a_neighbour_that_was_idle_before_does_not_count(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 20, "ww.");
    go_on(fixture, 62, "w..");
    go_on(fixture, 30, "...");
    assert_count(fixture, 0, 0);
    go_on(fixture, 2, ".w.");
    assert_count(fixture, 1, 0);
}

static void
a_neighbour_that_is_paused_does_not_count(void **state)
{
    Fixture *fixture = *state;
    Vm *neighbour = fixture->vms->pdata[1];

    go_on(fixture, 20, "www");
    neighbour->sample.run = RUN_PAUSED;
    go_on(fixture, 30, "..w");
    assert_count(fixture, 0, 0);
    neighbour->sample.run = RUN_RUNNING;
    neighbour->sample.monitor = MONITOR_SILENT;
    assert_count(fixture, 0, 0);
}

static void
a_neighbour_that_is_asked_rarely_gets_its_time(void **state)
{
    Fixture *fixture = *state;
    Vm *neighbour = fixture->vms->pdata[1];

    neighbour->sample.period_us = 10 * SECOND;
    go_on(fixture, 20, "www");
    go_on(fixture, 18, "..w");
    assert_count(fixture, 1, 0);
    go_on(fixture, 4, "..w");
    assert_count(fixture, 0, 1);
}

static void
a_disk_on_unknown_storage_has_unknown_neighbours(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 20, "www");
    for (guint i = 0; i < N_VMS; i++)
        g_clear_pointer(&((Vm *)fixture->vms->pdata[i])->sample.disks[0].storage, g_free);
    assert_false(count(fixture)->has_neighbours);
}

/* As go_on(), for 20 s; each VM writes so many bytes a second. */
static void
write_on(Fixture *fixture, const guint64 bps[N_VMS])
{
    for (guint tick = 0; tick < 10; tick++) {
        for (guint i = 0; i < N_VMS; i++)
            ((Vm *)fixture->vms->pdata[i])->sample.disks[0].wr_bytes += 2 * bps[i];
        go_on(fixture, 2, "www");
    }
}

static void
assert_top_writer(Fixture *fixture, const char *name, guint64 bps)
{
    Vm *vm = fixture->vms->pdata[0];
    guint64 found = 0;
    const char *writer;

    count(fixture);
    writer = neighbours_top_writer(vm, "disk", &found);
    assert_int_equal(g_strcmp0(writer, name), 0);
    assert_int_equal(found, bps);
}

static void
the_top_writer_of_a_storage_is_named(void **state)
{
    Fixture *fixture = *state;
    static const char *const names[N_VMS] = {"slow", "greedy", "elsewhere"};
    Vm *greedy = fixture->vms->pdata[1];

    for (guint i = 0; i < N_VMS; i++) {
        Vm *vm = fixture->vms->pdata[i];

        g_free(vm->name);
        vm->name = g_strdup(names[i]);
    }
    assert_top_writer(fixture, NULL, 0);
    write_on(fixture, (guint64[N_VMS]){1000, 90000000, 500000000});
    assert_top_writer(fixture, "greedy", 90000000);
    write_on(fixture, (guint64[N_VMS]){1000, 500, 500000000});
    assert_top_writer(fixture, "slow", 1000);
    /* counters that begin anew are no rate, and a VM that is paused writes nothing */
    greedy->sample.disks[0].wr_bytes = 0;
    write_on(fixture, (guint64[N_VMS]){1000, 2000, 0});
    assert_top_writer(fixture, "greedy", 2000);
    greedy->sample.run = RUN_PAUSED;
    assert_top_writer(fixture, "slow", 1000);
    write_on(fixture, (guint64[N_VMS]){0, 0, 0});
    assert_top_writer(fixture, NULL, 0);
}

static void
names_without_end_are_forgotten(void **state)
{
    Fixture *fixture = *state;
    Vm *vm = fixture->vms->pdata[0];

    for (guint i = 0; i < 10000; i++) {
        g_free(vm->sample.disks[0].id);
        vm->sample.disks[0].id = g_strdup_printf("disk%u", i);
        neighbours_note(vm);
    }
    assert_true(g_hash_table_size(vm->motions) < 3000);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_neighbour_that_writes_moves),
        test(a_neighbour_that_stopped_too_stands_still),
        test(a_neighbour_that_was_idle_before_does_not_count),
        test(a_neighbour_that_is_paused_does_not_count),
        test(a_neighbour_that_is_asked_rarely_gets_its_time),
        test(a_disk_on_unknown_storage_has_unknown_neighbours),
        test(the_top_writer_of_a_storage_is_named),
        test(names_without_end_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
