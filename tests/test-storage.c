/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "storage.h"
#include "tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that plays QEMU: it has a root and a working directory, and holds images open. */
typedef struct {
    Tree *tree;
    char *root; /* without links, as the kernel says it */
    Host *host;
    GMainContext *context;
    Children *children;
    pid_t pid;
    Vm *vm;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    fixture->root = realpath(tree_root(fixture->tree), NULL);
    fixture->host = host_new(NULL, NULL);
    fixture->context = g_main_context_new();
    fixture->children = children_new(fixture->context);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    vm_free(fixture->vm);
    children_free(fixture->children);
    if (fixture->pid > 0) {
        kill(fixture->pid, SIGKILL);
        waitpid(fixture->pid, NULL, 0);
    }
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    free(fixture->root);
    g_free(fixture);
    return 0;
}

static void
play_qemu(const Fixture *fixture, bool is_rooted, const char *opens, int ready_fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(fixture->root) < 0 || (is_rooted && chroot(fixture->root) < 0) ||
        (opens && open(opens, O_RDONLY | O_NONBLOCK) < 0) || write(ready_fd, "+", 1) < 0)
        _exit(1);
    close(ready_fd);
    for (;;)
        pause();
}

/* false: this machine does not allow it. */
static bool
vm_start(Fixture *fixture, bool is_rooted, const char *opens, const char *const *argv)
{
    int ready[2];
    char byte;
    bool is_up;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    fixture->pid = fork();
    if (fixture->pid == 0)
        play_qemu(fixture, is_rooted, opens, ready[1]);
    close(ready[1]);
    is_up = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    if (is_up)
        fixture->vm =
            vm_new(proc_open(fixture->host, fixture->pid, NULL), argv_parse(argv), "bare");
    return is_up;
}

static void
answers_wait(const Fixture *fixture)
{
    while (fixture->vm->storage_lookup)
        g_main_context_iteration(fixture->context, TRUE);
}

static const ArgvDisk *
disk_at(const Fixture *fixture, guint index)
{
    return fixture->vm->argv->disks->pdata[index];
}

static bool
is_at(const Fixture *fixture, guint index, const char *name)
{
    g_autofree char *link = g_build_filename(fixture->root, name, NULL);

    return storage_is_at(fixture->vm, disk_at(fixture, index), link);
}

static void
an_image_is_known_by_the_kernels_path(void **state)
{
    Fixture *fixture = *state;
    const char *link = tree_path(fixture->tree, "link.img");
    g_autofree char *first = g_strdup_printf("file=%s,if=virtio", link);
    const char *const argv[] = {"kvm",
                                "-drive",
                                first,
                                "-drive",
                                "file=innocent.img,if=virtio",
                                "-drive",
                                "file=nbd:unix:/run/x.sock,if=virtio",
                                NULL};
    g_autofree char *identity = NULL;
    struct stat st;

    tree_file(fixture->tree, "real.img", "");
    tree_file(fixture->tree, "innocent.img", "");
    tree_link(fixture->tree, "link.img", "real.img");
    assert_true(vm_start(fixture, false, NULL, argv));
    storage_look_up(fixture->vm, fixture->children);
    answers_wait(fixture);
    assert_true(is_at(fixture, 0, "real.img"));
    assert_true(is_at(fixture, 0, "real.img (deleted)"));
    assert_false(is_at(fixture, 0, "innocent.img"));
    assert_true(is_at(fixture, 1, "innocent.img"));
    assert_false(is_at(fixture, 1, "real.img"));
    assert_false(is_at(fixture, 2, "real.img"));
    assert_true(storage_may_be_open(disk_at(fixture, 0)));
    assert_false(storage_may_be_open(disk_at(fixture, 2)));
    assert_null(storage_facts(fixture->vm, disk_at(fixture, 2)));

    assert_int_equal(stat(fixture->root, &st), 0);
    identity = g_strdup_printf("dev:%u:%u", major(st.st_dev), minor(st.st_dev));
    assert_string_equal(storage_facts(fixture->vm, disk_at(fixture, 0))->identity, identity);
    assert_string_equal(storage_facts(fixture->vm, disk_at(fixture, 1))->identity, identity);
    assert_false(storage_facts(fixture->vm, disk_at(fixture, 1))->is_device);
}

static void
an_image_that_cannot_be_looked_at_is_known_by_its_name(void **state)
{
    Fixture *fixture = *state;
    const char *path = tree_path(fixture->tree, "missing.img");
    g_autofree char *first = g_strdup_printf("file=%s,if=virtio", path);
    const char *const argv[] = {"kvm", "-drive", first, "-drive", "file=beside.img,if=virtio",
                                NULL};

    assert_true(vm_start(fixture, false, NULL, argv));
    storage_look_up(fixture->vm, fixture->children);
    answers_wait(fixture);
    assert_null(storage_facts(fixture->vm, disk_at(fixture, 0)));
    assert_true(storage_is_at(fixture->vm, disk_at(fixture, 0), path));
    assert_false(storage_is_at(fixture->vm, disk_at(fixture, 1), "beside.img"));
    assert_true(storage_may_be_open(disk_at(fixture, 1)));
    assert_true(storage_may_be_open(NULL));
}

static void
a_link_means_the_vms_own_root(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-drive", "file=/link.img,if=virtio", NULL};

    tree_file(fixture->tree, "real.img", "");
    tree_link(fixture->tree, "link.img", "/real.img");
    t_skip_unless(vm_start(fixture, true, NULL, argv), "may not change the root");
    storage_look_up(fixture->vm, fixture->children);
    answers_wait(fixture);
    assert_true(is_at(fixture, 0, "real.img"));
}

/* What a storage engine does that restarts: the same name, another device. */
static void
a_device_that_was_replaced_is_told(void **state)
{
    Fixture *fixture = *state;
    const char *path = tree_path(fixture->tree, "disk");
    g_autofree char *first = g_strdup_printf("file.driver=host_device,file.filename=%s", path);
    const char *const argv[] = {"kvm", "-drive", first, NULL};
    const StorageFacts *facts;

    t_skip_unless(mknod(path, S_IFBLK | 0600, makedev(7, 0)) == 0 &&
                      vm_start(fixture, false, "disk", argv),
                  "may not make and open a block device");
    storage_look_up(fixture->vm, fixture->children);
    answers_wait(fixture);
    storage_look_again(fixture->vm, fixture->children, 1);
    answers_wait(fixture);
    facts = storage_facts(fixture->vm, disk_at(fixture, 0));
    assert_non_null(facts);
    assert_true(facts->is_device);
    assert_true(facts->has_held);
    assert_int_equal(facts->held.minor, 0);
    assert_int_equal(facts->today.minor, 0);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mknod(path, S_IFBLK | 0600, makedev(7, 1)), 0);
    storage_look_again(fixture->vm, fixture->children, 29 * G_USEC_PER_SEC);
    assert_null(fixture->vm->storage_lookup);
    storage_look_again(fixture->vm, fixture->children, 31 * G_USEC_PER_SEC);
    answers_wait(fixture);
    assert_int_equal(facts->held.minor, 0);
    assert_int_equal(facts->today.minor, 1);
    assert_string_equal(facts->identity, "dev:7:0");
}

static void
a_file_is_never_looked_at_again(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-drive", "file=real.img,if=virtio", NULL};

    tree_file(fixture->tree, "real.img", "");
    assert_true(vm_start(fixture, false, "real.img", argv));
    storage_look_up(fixture->vm, fixture->children);
    answers_wait(fixture);
    storage_look_again(fixture->vm, fixture->children, G_USEC_PER_SEC);
    assert_null(fixture->vm->storage_lookup);
    storage_look_up(fixture->vm, fixture->children);
    assert_null(fixture->vm->storage_lookup);
}

static void
an_answer_after_the_vms_end_is_dropped(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm", "-drive", "file=real.img,if=virtio", NULL};

    tree_file(fixture->tree, "real.img", "");
    assert_true(vm_start(fixture, false, NULL, argv));
    storage_look_up(fixture->vm, fixture->children);
    assert_non_null(fixture->vm->storage_lookup);
    g_clear_pointer(&fixture->vm, vm_free);
    while (children_running(fixture->children) > 0)
        g_main_context_iteration(fixture->context, TRUE);
}

static void
a_driver_without_a_place_is_no_storage(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"kvm",
                                "-drive",
                                "file.driver=null-co,if=virtio",
                                "-drive",
                                "file=nbd:unix:/run/x.sock,if=virtio",
                                NULL};
    g_autofree char *nowhere = NULL, *place = NULL;

    assert_true(vm_start(fixture, false, NULL, argv));
    nowhere = storage_identity(fixture->vm, disk_at(fixture, 0));
    place = storage_identity(fixture->vm, disk_at(fixture, 1));
    assert_null(nowhere); /* else strangers' disks would be one storage */
    assert_non_null(place);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_image_is_known_by_the_kernels_path),
        test(an_image_that_cannot_be_looked_at_is_known_by_its_name),
        test(a_link_means_the_vms_own_root),
        test(a_device_that_was_replaced_is_told),
        test(a_driver_without_a_place_is_no_storage),
        test(a_file_is_never_looked_at_again),
        test(an_answer_after_the_vms_end_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
