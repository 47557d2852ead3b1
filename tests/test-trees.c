/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "trees.h"
#include "units.h"

#define MIB(n) ((guint64)(n)*UNITS_MIB)
#define PERIOD_US (30 * (gint64)G_USEC_PER_SEC)
#define MOUNT_V2 "41 31 0:38 %s /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
#define MOUNT_V1 "42 31 0:39 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

typedef struct {
    Tree *tree;
    Host *host;
    GPtrArray *vms; /* of Vm, owned */
} Fixture;

static void
vm_free_it(gpointer vm)
{
    vm_free(vm);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *mount = g_strdup_printf(MOUNT_V2, "/");

    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->vms = g_ptr_array_new_with_free_func(vm_free_it);
    tree_file(fixture->tree, "proc/self/mountinfo", mount);
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
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

static void
group_v2(Fixture *fixture, const char *group, guint anon_mib, const char *limit)
{
    g_autofree char *directory = g_strconcat("sys/fs/cgroup/", group, "/", NULL);
    g_autofree char *stat = g_strconcat(directory, "memory.stat", NULL);
    g_autofree char *max = g_strconcat(directory, "memory.max", NULL);
    g_autofree char *current = g_strconcat(directory, "memory.current", NULL);
    g_autofree char *text = g_strdup_printf("anon %" G_GUINT64_FORMAT "\nfile 9000000000\n"
                                            "shmem 0\n",
                                            MIB(anon_mib));

    tree_file(fixture->tree, stat, text);
    tree_file(fixture->tree, max, limit);
    tree_file(fixture->tree, current, "9000000000\n");
}

/* A VM in that group, which holds so much by itself. */
static Vm *
add_vm(Fixture *fixture, pid_t pid, const char *group, guint64 held_bytes, bool is_own)
{
    g_autofree char *path = g_strdup_printf("proc/%d/cgroup", (int)pid);
    g_autofree char *text = g_strdup_printf("0::/%s\n", group);
    const char *const words[] = {"qemu-system-x86_64", NULL};
    Vm *vm;

    fake_host_process(fixture->tree, pid, 1000, "kvm", words);
    tree_file(fixture->tree, path, text);
    vm = vm_new(proc_open(fixture->host, pid, NULL), argv_parse(words), "bare");
    vm->cgroup = cgroup_open(fixture->host, vm->proc, NULL);
    assert_non_null(vm->cgroup);
    vm->memory = (MemorySample){.has_rss = true,
                                .rss_anon_bytes = held_bytes,
                                .has_group = true,
                                .group_is_own = is_own,
                                .group_unreclaimable_bytes = is_own ? held_bytes : MIB(99999)};
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

static const HostTree *
tree_called(const Trees *trees, const char *label)
{
    GArray *list = trees_list(trees);

    for (guint i = 0; i < list->len; i++) {
        const HostTree *tree = &g_array_index(list, HostTree, i);

        if (g_str_equal(tree->label, label))
            return tree;
    }
    fail_msg("no tree is called %s", label);
    return NULL;
}

static void
each_tree_is_told_with_limit_and_vms(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Trees) trees = trees_new(fixture->host);

    group_v2(fixture, "user.slice", 2000, "max\n");
    group_v2(fixture, "system.slice", 300, "1073741824\n");
    group_v2(fixture, "machine.slice", 1500, "max\n");
    group_v2(fixture, "machine.slice/vm.scope", 1400, "max\n");
    tree_directory(fixture->tree, "sys/fs/cgroup/empty");
    tree_file(fixture->tree, "sys/fs/cgroup/memory.stat", "anon 1\n");
    (void)add_vm(fixture, 7, "machine.slice/vm.scope", MIB(1400), true);
    (void)add_vm(fixture, 8, "user.slice", MIB(500), false); /* in somebody's session */
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_list(trees)->len, 3);
    assert_string_equal(g_array_index(trees_list(trees), HostTree, 0).label, "/user.slice");
    assert_int_equal(tree_called(trees, "/user.slice")->held_bytes, MIB(2000));
    assert_int_equal(tree_called(trees, "/user.slice")->vms_bytes, MIB(500));
    assert_false(tree_called(trees, "/user.slice")->has_limit);
    assert_true(tree_called(trees, "/system.slice")->has_limit);
    assert_int_equal(tree_called(trees, "/system.slice")->limit_bytes, 1073741824);
    assert_int_equal(tree_called(trees, "/machine.slice")->vms_bytes, MIB(1400));
}

/* What a VM took that has just ended is nobody's: one look is no measure. */
static void
others_are_what_two_looks_agree_on(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Trees) trees = trees_new(fixture->host);

    group_v2(fixture, "user.slice", 200, "max\n");
    trees_follow(trees, fixture->vms, 1);
    assert_int_equal(trees_others_bytes(trees), 0);
    group_v2(fixture, "user.slice", 5000, "max\n");
    trees_follow(trees, fixture->vms, PERIOD_US); /* not due */
    assert_int_equal(trees_others_bytes(trees), 0);
    trees_follow(trees, fixture->vms, PERIOD_US + 1);
    assert_int_equal(trees_others_bytes(trees), MIB(200));
    trees_follow(trees, fixture->vms, 2 * PERIOD_US + 1);
    assert_int_equal(trees_others_bytes(trees), MIB(5000));
    (void)add_vm(fixture, 7, "user.slice", MIB(4000), false);
    ((Vm *)fixture->vms->pdata[0])->memory.has_rss = false;
    trees_follow(trees, fixture->vms, 3 * PERIOD_US + 1);
    assert_int_equal(trees_others_bytes(trees), 0);
}

static void
v1_is_told_by_its_own_files(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *mounts = g_strdup_printf(MOUNT_V2 MOUNT_V1, "/");
    g_autoptr(Trees) trees = trees_new(fixture->host);

    group_v2(fixture, "user.slice", 2000, "max\n"); /* of the other hierarchy */
    tree_file(fixture->tree, "proc/self/mountinfo", mounts);
    tree_file(fixture->tree, "sys/fs/cgroup/memory/docker/memory.stat",
              "rss 1\ntotal_cache 900000000\ntotal_rss 104857600\ntotal_shmem 0\n");
    tree_file(fixture->tree, "sys/fs/cgroup/memory/docker/memory.kmem.usage_in_bytes", "1048576\n");
    tree_file(fixture->tree, "sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
              "9223372036854771712\n");
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_list(trees)->len, 1);
    assert_int_equal(tree_called(trees, "/docker")->held_bytes, MIB(101));
    assert_false(tree_called(trees, "/docker")->has_limit);
}

static void
a_part_of_the_hierarchy_says_nothing_of_the_host(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *mount = g_strdup_printf(MOUNT_V2, "/docker/abc");
    g_autoptr(Trees) trees = trees_new(fixture->host);

    group_v2(fixture, "user.slice", 2000, "max\n");
    tree_file(fixture->tree, "proc/self/mountinfo", mount);
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_list(trees)->len, 0);
    tree_file(fixture->tree, "proc/self/mountinfo", "nonsense\n");
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_list(trees)->len, 0);
}

/* In a pod of its own, beside another process; looked for only where KubeVirt runs a VM. */
static void
virt_handler_is_found_in_its_own_pod(void **state)
{
    static const char pod[] =
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podaa.slice";
    Fixture *fixture = *state;
    g_autofree char *container = g_strconcat(pod, "/cri-containerd-1.scope", NULL);
    g_autofree char *membership = g_strdup_printf("0::/%s\n", container);
    g_autofree char *vm_group = g_strconcat("kubepods.slice/vm.scope", NULL);
    const char *const words[] = {"virt-handler", NULL};
    g_autoptr(Trees) trees = trees_new(fixture->host);
    Vm *vm;

    group_v2(fixture, "kubepods.slice", 5000, "max\n");
    group_v2(fixture, "kubepods.slice/kubepods-burstable.slice", 4000, "max\n");
    group_v2(fixture, pod, 3100, "8589934592\n");
    group_v2(fixture, container, 3000, "max\n");
    group_v2(fixture, vm_group, 900, "max\n");
    fake_host_process(fixture->tree, 90, 1000, "virt-handler", words);
    fake_host_process(fixture->tree, 91, 1000, "virt-handler-x", words);
    tree_file(fixture->tree, "proc/90/cgroup", membership);
    vm = add_vm(fixture, 7, vm_group, MIB(900), true);
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_handler(trees)->pid, 0);
    vm->source = "kubevirt";
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_handler(trees)->pid, 90);
    assert_int_equal(trees_handler(trees)->held_bytes, MIB(3000));
    assert_int_equal(trees_handler(trees)->usage_bytes, 9000000000);
    assert_true(trees_handler(trees)->has_limit);
    assert_int_equal(trees_handler(trees)->limit_bytes, 8589934592);
    assert_true(g_str_has_suffix(trees_handler(trees)->group, "cri-containerd-1.scope"));
    tree_remove(fixture->tree, "proc/90"); /* the DaemonSet starts another one */
    trees_look(trees, fixture->vms, 1);
    assert_int_equal(trees_handler(trees)->pid, 0);
}

static void
put_handler(Fixture *fixture, pid_t pid)
{
    fake_host_process(fixture->tree, pid, 1000, "virt-handler", NULL);
}

/* A node whose VMs outlive KubeVirt, or whose virt-handler another name has. */
static void
a_missing_virt_handler_is_looked_for_more_and_more_rarely(void **state)
{
    static const gint64 pauses_s[] = {30, 60, 120, 240, 480, 600, 600};
    Fixture *fixture = *state;
    Handler handler = {0};
    gint64 now_us = 1;

    for (guint i = 0; i < G_N_ELEMENTS(pauses_s); i++) {
        gint64 pause_us = pauses_s[i] * (gint64)G_USEC_PER_SEC;

        handler_look(fixture->host, &handler, now_us);
        assert_int_equal(handler.pid, 0);
        put_handler(fixture, 90);
        handler_look(fixture->host, &handler, now_us + pause_us - 1);
        assert_int_equal(handler.pid, 0);
        tree_remove(fixture->tree, "proc/90");
        now_us += pause_us;
    }
    put_handler(fixture, 91);
    handler_look(fixture->host, &handler, now_us);
    assert_int_equal(handler.pid, 91);
    tree_remove(fixture->tree, "proc/91"); /* the next one is found at once */
    put_handler(fixture, 92);
    handler_look(fixture->host, &handler, now_us + 1);
    assert_int_equal(handler.pid, 92);
    tree_remove(fixture->tree, "proc/92"); /* and the pauses are short again */
    handler_look(fixture->host, &handler, now_us + 2);
    put_handler(fixture, 93);
    handler_look(fixture->host, &handler, now_us + 2 + PERIOD_US);
    assert_int_equal(handler.pid, 93);
    handler_clear(&handler);
}

#define WITH_TREES(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_TREES(each_tree_is_told_with_limit_and_vms),
        WITH_TREES(others_are_what_two_looks_agree_on),
        WITH_TREES(v1_is_told_by_its_own_files),
        WITH_TREES(virt_handler_is_found_in_its_own_pod),
        WITH_TREES(a_missing_virt_handler_is_looked_for_more_and_more_rarely),
        WITH_TREES(a_part_of_the_hierarchy_says_nothing_of_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
