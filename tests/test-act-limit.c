/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-limit.h"
#include "fake-host.h"

#define PID 42
#define OLD G_GUINT64_CONSTANT(67108864)
#define NEW G_GUINT64_CONSTANT(134217728)
#define NONE "9223372036854771712\n"
#define SCOPE "/machine.slice/_vm42.scope"
#define POD "/kubepods/pod4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01"
#define LIBVIRT "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt"
#define LIMIT "memory.limit_in_bytes 67108864 134217728\n"
#define WITH_SWAP "memory.memsw.limit_in_bytes 67108864 134217728\n"

typedef struct {
    const char *name;
    const char *group, *owner;
    const char *with_swap; /* memory.memsw.limit_in_bytes; NULL: swap is not accounted */
    const char *wanted;    /* "means file old new", one a line */
} Row;

/* The memory of the VM's group of v1 is raised from OLD to NEW. */
static const Row rows[] = {
    {"a pod without swap accounting is one write", POD, "kubelet", NULL, "cgroup " LIMIT},
    {"memory and swap without a limit stay so", POD, "kubelet", NONE, "cgroup " LIMIT},
    {"memory and swap with room stay so", POD, "kubelet", "134217728\n", "cgroup " LIMIT},
    {"with less room they are raised first", POD, "kubelet", "67108864\n",
     "cgroup " WITH_SWAP "cgroup " LIMIT},
    {"in a unit they are none of systemd's", SCOPE, "systemd", "67108864\n",
     "cgroup " WITH_SWAP "systemd " LIMIT},
    {"a unit without them is systemd's alone", SCOPE, "systemd", NONE, "systemd " LIMIT},
    {"libvirt has a word for them", LIBVIRT, "libvirt", "67108864\n",
     "libvirt " WITH_SWAP "libvirt " LIMIT},
};

static void
limit_clear(gpointer data)
{
    g_free(((CgroupLimit *)data)->path);
}

static Vm *
make_vm(Tree *tree, const Host *host, const Row *row)
{
    g_autofree char *membership = g_strconcat("5:memory:", row->group, "\n", NULL);
    g_autofree char *base = g_strconcat("sys/fs/cgroup", row->group, "/memory.", NULL);
    g_autofree char *limit = g_strconcat(base, "limit_in_bytes", NULL);
    g_autofree char *usage = g_strconcat(base, "usage_in_bytes", NULL);
    g_autofree char *with_swap = g_strconcat(base, "memsw.limit_in_bytes", NULL);
    g_auto(GStrv) words = g_strsplit("kvm -name web", " ", -1);
    CgroupLimit of_group = {
        .path = g_strdup(row->group), .limit_bytes = OLD, .is_own = true, .owner = row->owner};
    Vm *vm;

    fake_host_qemu(tree, PID, "web", NULL);
    tree_file(tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n");
    tree_file(tree, "proc/42/cgroup", membership);
    tree_file(tree, limit, "67108864\n");
    tree_file(tree, usage, "1048576\n");
    if (row->with_swap)
        tree_file(tree, with_swap, row->with_swap);
    vm = vm_new(proc_open(host, PID, NULL), argv_parse((const char *const *)words), "bare");
    vm->cgroup = cgroup_open(host, vm->proc, NULL);
    assert_non_null(vm->cgroup);
    vm->group_limits = g_array_new(FALSE, FALSE, sizeof of_group);
    g_array_set_clear_func(vm->group_limits, limit_clear);
    g_array_append_val(vm->group_limits, of_group);
    return vm;
}

static void
steps_are(void **state)
{
    const Row *row = *state;
    const LimitsInput input = {.n_levels = 1};
    const LimitsPlan plan = {.steps = {{.old_bytes = OLD, .new_bytes = NEW}}, .n_steps = 1};
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) steps = NULL;
    Tree *tree = tree_new();
    Host *host = fake_host_new(tree);
    Vm *vm = make_vm(tree, host, row);

    steps = act_limit_steps(vm, &input, &plan, ACT_BY_DAEMON, NULL);
    assert_non_null(steps);
    for (guint i = 0; i < steps->len; i++) {
        const ActRecord *step = steps->pdata[i];

        assert_string_equal(step->where, row->group);
        assert_string_equal(step->undo_value, step->old_value);
        g_string_append_printf(text, "%s %s %s %s\n", step->means, step->field, step->old_value,
                               step->new_value);
    }
    assert_string_equal(text->str, row->wanted);
    vm_free(vm);
    host_free(host);
    tree_free(tree);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows)];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, steps_are, &rows[i]);
    return cmocka_run_group_tests_name("limits as writes", tests, NULL, NULL);
}
