/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "sample-private.h"
#include "storage.h"
#include "tree.h"

#include <sys/syscall.h>

#define RING(taken, completed)                                                                     \
    "pos:\t0\nCachedSqHead:\t" taken "\nCachedCqTail:\t" completed "\nPollList:\nCqOverflowList:"  \
    "\n"

/* A VM with a guilty and an innocent disk, and a sample of it before its evidence is read. */
typedef struct {
    Tree *tree;
    Host *host;
    Vm *vm;
    Sampling sampling;
} Fixture;

static void
add_disk(Fixture *fixture, guint index, const char *id)
{
    DiskSample *disk = &fixture->sampling.sample.disks[index];
    DiskOrigin origin = {.device = g_strconcat("drive-", id, NULL),
                         .node_name = g_strdup_printf("libvirt-%u-format", index + 1)};

    disk->id = g_strdup(id);
    disk->label = g_strdup(id);
    if (index < fixture->vm->argv->disks->len)
        origin.argv = fixture->vm->argv->disks->pdata[index];
    g_array_append_val(fixture->sampling.origins, origin);
}

/* One disk a storage, named "guilty" and "innocent"; all are asked for. */
static void
begin(Fixture *fixture, const char *const *argv, guint n_disks)
{
    static const char *const ids[] = {"guilty", "innocent"};
    Sampling *sampling = &fixture->sampling;

    fixture->vm = vm_new(proc_open(fixture->host, 42, NULL), argv_parse(argv), "bare");
    fixture->vm->run = RUN_RUNNING;
    sampling->vm = fixture->vm;
    sampling->context.host = fixture->host;
    sampling->context.wants_all_evidence = true;
    sampling->sample.monitor = MONITOR_ANSWERED;
    sampling->sample.has_disks = true;
    sampling->sample.n_disks = n_disks;
    sampling->sample.disks = g_new0(DiskSample, n_disks);
    sampling->origins = g_array_new(FALSE, TRUE, sizeof(DiskOrigin));
    for (guint i = 0; i < n_disks; i++)
        add_disk(fixture, i, ids[i]);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/42/stat",
              "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    tree_link(fixture->tree, "proc/42/fd/11", "/srv/guilty.img");
    tree_link(fixture->tree, "proc/42/fd/12", "/srv/innocent.img");
    tree_link(fixture->tree, "proc/42/fd/13", "/srv/base.img");
    tree_link(fixture->tree, "proc/42/fd/14", "anon_inode:kvm-vcpu:0");
    tree_directory(fixture->tree, "proc/42/task");
    tree_link(fixture->tree, "sys/dev/block/8:1", "../../devices/pci0/sda/sda1");
    tree_file(fixture->tree, "sys/devices/pci0/sda/sda1/inflight", "0 2\n");
    tree_file(fixture->tree, "sys/devices/pci0/sda/sda1/stat", "30 0 0 0 12 0 0 0 0 0 0\n");
    roots[HOST_PROC] = tree_path(fixture->tree, "proc");
    roots[HOST_SYS] = tree_path(fixture->tree, "sys");
    fixture->host = host_new(roots, NULL);
    assert_non_null(fixture->host);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; fixture->sampling.origins && i < fixture->sampling.origins->len; i++) {
        g_free(sample_disk_origin(&fixture->sampling, i)->device);
        g_free(sample_disk_origin(&fixture->sampling, i)->node_name);
    }
    g_clear_pointer(&fixture->sampling.origins, g_array_unref);
    sample_clear(&fixture->sampling.sample);
    vm_free(fixture->vm);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static void
block_task(Fixture *fixture, guint tid, long number, guint descriptor)
{
    g_autofree char *stat_path = g_strdup_printf("proc/42/task/%u/stat", tid);
    g_autofree char *syscall_path = g_strdup_printf("proc/42/task/%u/syscall", tid);
    g_autofree char *stat =
        g_strdup_printf("%u (worker) D 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n", tid);
    g_autofree char *syscall = g_strdup_printf("%ld 0x%x 0x0\n", number, descriptor);

    tree_file(fixture->tree, stat_path, stat);
    tree_file(fixture->tree, syscall_path, syscall);
}

static const DiskSample *
disk_at(const Fixture *fixture, guint index)
{
    return &fixture->sampling.sample.disks[index];
}

static void
assert_threads(Fixture *fixture, guint32 first, guint32 second)
{
    sample_fill_evidence(&fixture->sampling);
    assert_true(disk_at(fixture, 0)->has_thread);
    assert_true(disk_at(fixture, 1)->has_thread);
    assert_int_equal(disk_at(fixture, 0)->blocked_thread, first);
    assert_int_equal(disk_at(fixture, 1)->blocked_thread, second);
}

static const char *const two_files[] = {
    "kvm", "-drive", "file=/srv/guilty.img,if=virtio", "-drive", "file=/srv/innocent.img,if=virtio",
    NULL};
static const char *const two_rings[] = {"kvm",
                                        "-drive",
                                        "file=/srv/guilty.img,if=virtio,aio=io_uring",
                                        "-drive",
                                        "file=/srv/innocent.img,if=virtio,aio=io_uring",
                                        NULL};

static void
a_thread_is_of_the_disk_it_works_on(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_files, 2);
    block_task(fixture, 50, SYS_pwrite64, 11);
    assert_threads(fixture, 50, 0);
}

static void
a_thread_of_no_known_disk_is_of_none_of_several(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_files, 2);
    block_task(fixture, 50, SYS_pread64, 13);
    assert_threads(fixture, 0, 0);
}

static void
a_thread_on_any_file_is_of_the_only_disk_with_one(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {
        "kvm", "-drive", "file=overlay.img,if=virtio", "-drive", "file=nbd:unix:/run/x,if=virtio",
        NULL};

    begin(fixture, argv, 2);
    block_task(fixture, 50, SYS_pread64, 13);
    assert_threads(fixture, 50, 0);
}

static void
a_thread_on_no_file_is_of_no_disk(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {
        "kvm", "-drive", "file=overlay.img,if=virtio", "-drive", "file=nbd:unix:/run/x,if=virtio",
        NULL};

    begin(fixture, argv, 2);
    block_task(fixture, 50, SYS_ioctl, 14);
    assert_threads(fixture, 0, 0);
}

static void
the_thread_seen_last_time_is_preferred(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_files, 2);
    fixture->vm->sample.disks = g_new0(DiskSample, 1);
    fixture->vm->sample.n_disks = 1;
    fixture->vm->sample.disks[0].id = g_strdup("guilty");
    fixture->vm->sample.disks[0].has_thread = true;
    fixture->vm->sample.disks[0].blocked_thread = 60;
    block_task(fixture, 50, SYS_pwrite64, 11);
    block_task(fixture, 60, SYS_fdatasync, 11);
    assert_threads(fixture, 60, 0);
}

static void
an_empty_virtqueue_has_answered_already(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_files, 2);
    block_task(fixture, 50, SYS_pwrite64, 11);
    block_task(fixture, 51, SYS_pwrite64, 12);
    fixture->sampling.sample.disks[0].has_queue = true;
    fixture->sampling.sample.disks[0].queue_inflight = 1;
    fixture->sampling.sample.disks[1].has_queue = true;
    sample_fill_evidence(&fixture->sampling);
    assert_int_equal(disk_at(fixture, 0)->blocked_thread, 50);
    assert_false(disk_at(fixture, 1)->has_thread);
}

static void
a_vm_that_does_not_run_or_answer_is_not_looked_into(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_files, 2);
    fixture->vm->run = RUN_PAUSED;
    sample_fill_evidence(&fixture->sampling);
    assert_false(disk_at(fixture, 0)->has_thread);
    fixture->vm->run = RUN_RUNNING;
    fixture->sampling.sample.monitor = MONITOR_SILENT;
    sample_fill_evidence(&fixture->sampling);
    assert_false(disk_at(fixture, 0)->has_thread);
}

static void
add_ring(Fixture *fixture, const char *text)
{
    tree_link(fixture->tree, "proc/42/fd/20", "anon_inode:[io_uring]");
    tree_file(fixture->tree, "proc/42/fdinfo/20", text);
}

static void
a_ring_is_of_the_disk_that_uses_one(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm",
                                "-drive",
                                "file=/srv/guilty.img,if=virtio,aio=io_uring",
                                "-drive",
                                "file=/srv/innocent.img,if=virtio,aio=threads",
                                NULL};

    begin(fixture, argv, 2);
    add_ring(fixture, RING("19", "18"));
    sample_fill_evidence(&fixture->sampling);
    assert_true(disk_at(fixture, 0)->has_ring);
    assert_int_equal(disk_at(fixture, 0)->ring_inflight, 1);
    assert_int_equal(disk_at(fixture, 0)->ring_completed, 18);
    assert_false(disk_at(fixture, 0)->ring_is_shared);
    assert_false(disk_at(fixture, 1)->has_ring);
}

static void
disks_of_the_main_loop_share_its_ring(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_rings, 2);
    add_ring(fixture, RING("19", "18"));
    sample_fill_evidence(&fixture->sampling);
    for (guint i = 0; i < 2; i++) {
        assert_true(disk_at(fixture, i)->has_ring);
        assert_int_equal(disk_at(fixture, i)->ring_inflight, 1);
        assert_true(disk_at(fixture, i)->ring_is_shared);
    }
}

static void
rings_of_iothreads_acquit_but_do_not_accuse(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm",        "-object", "iothread,id=t", "-drive",
                                two_rings[2], "-drive",  two_rings[4],    NULL};

    begin(fixture, argv, 2);
    add_ring(fixture, RING("19", "18"));
    sample_fill_evidence(&fixture->sampling);
    assert_false(disk_at(fixture, 0)->has_ring);
    assert_false(disk_at(fixture, 1)->has_ring);
    tree_file(fixture->tree, "proc/42/fdinfo/20", RING("19", "19"));
    sample_fill_evidence(&fixture->sampling);
    assert_true(disk_at(fixture, 0)->has_ring);
    assert_int_equal(disk_at(fixture, 1)->ring_inflight, 0);
}

static StorageFacts *
add_storage(Fixture *fixture, guint index, guint32 minor, bool is_device)
{
    const ArgvDisk *argv = fixture->vm->argv->disks->pdata[index];
    StorageFacts *facts = g_new0(StorageFacts, 1);

    facts->identity = g_strdup_printf("dev:8:%u", minor);
    facts->today = (DeviceNumber){8, minor};
    facts->is_device = is_device;
    g_hash_table_insert(fixture->vm->storages, g_strdup(argv->storage), facts);
    return facts;
}

static void
the_device_below_a_disk_is_read(void **state)
{
    Fixture *fixture = *state;

    begin(fixture, two_files, 2);
    add_storage(fixture, 0, 1, false);
    add_storage(fixture, 1, 9, false); /* a file system without a device of its own */
    sample_fill_evidence(&fixture->sampling);
    assert_true(disk_at(fixture, 0)->has_device);
    assert_int_equal(disk_at(fixture, 0)->device_inflight, 2);
    assert_int_equal(disk_at(fixture, 0)->device_completed, 42);
    assert_false(disk_at(fixture, 0)->device_is_stale);
    assert_true(disk_at(fixture, 0)->device_is_shared);
    assert_false(disk_at(fixture, 1)->has_device);
}

static void
a_device_that_is_no_longer_the_paths_is_stale(void **state)
{
    Fixture *fixture = *state;
    StorageFacts *moved, *gone;

    begin(fixture, two_files, 2);
    moved = add_storage(fixture, 0, 2, true);
    moved->has_held = true;
    moved->held = (DeviceNumber){8, 1};
    gone = add_storage(fixture, 1, 9, true);
    gone->has_held = true;
    gone->held = gone->today;
    sample_fill_evidence(&fixture->sampling);
    assert_true(disk_at(fixture, 0)->has_device);
    assert_true(disk_at(fixture, 0)->device_is_stale);
    assert_false(disk_at(fixture, 0)->device_is_shared);
    assert_int_equal(disk_at(fixture, 0)->device_completed, 42);
    assert_true(disk_at(fixture, 1)->has_device);
    assert_true(disk_at(fixture, 1)->device_is_stale);
    moved->today = moved->held;
    sample_fill_evidence(&fixture->sampling);
    assert_false(disk_at(fixture, 0)->device_is_stale);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_thread_is_of_the_disk_it_works_on),
        test(a_thread_of_no_known_disk_is_of_none_of_several),
        test(a_thread_on_any_file_is_of_the_only_disk_with_one),
        test(a_thread_on_no_file_is_of_no_disk),
        test(the_thread_seen_last_time_is_preferred),
        test(an_empty_virtqueue_has_answered_already),
        test(a_vm_that_does_not_run_or_answer_is_not_looked_into),
        test(a_ring_is_of_the_disk_that_uses_one),
        test(disks_of_the_main_loop_share_its_ring),
        test(rings_of_iothreads_acquit_but_do_not_accuse),
        test(the_device_below_a_disk_is_read),
        test(a_device_that_is_no_longer_the_paths_is_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
