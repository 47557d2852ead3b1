/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "report-roles.h"
#include "roles.h"

#include <string.h>

#define MIB ((guint64)1024 * 1024)
#define UID_ "4f5a4c6e_99f1_4a3c_8e0b_5d0b7cbe2f01"
#define UID "4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01"
#define SYSTEMD_POD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice"
#define MACHINE "/machine.slice/machine-qemu\\x2d3\\x2dweb.scope"
#define QEMU 42

/* Where a host puts the containers of a VM, and a second container beside it. */
typedef struct {
    const char *name;
    bool is_v2;
    const char *pod, *compute, *other;
} Layout;

static const Layout layouts[] = {
    {"containerd, v2", true, SYSTEMD_POD, "/cri-containerd-aaaa.scope",
     "/cri-containerd-bbbb.scope"},
    {"containerd, v1", false, SYSTEMD_POD, "/cri-containerd-aaaa.scope",
     "/cri-containerd-bbbb.scope"},
    {"CRI-O, v2", true, SYSTEMD_POD, "/crio-aaaa.scope", "/crio-bbbb.scope"},
    {"CRI-O, v1", false, SYSTEMD_POD, "/crio-aaaa.scope", "/crio-bbbb.scope"},
    {"guaranteed, v2", true, "/kubepods.slice/kubepods-pod" UID_ ".slice",
     "/cri-containerd-aaaa.scope", "/cri-containerd-bbbb.scope"},
    {"cgroupfs' driver, v2", true, "/kubepods/burstable/pod" UID, "/aaaa", "/bbbb"},
    {"cgroupfs' driver, v1", false, "/kubepods/burstable/pod" UID, "/aaaa", "/bbbb"},
    {"cgroupfs' driver, CRI-O, v2", true, "/kubepods/pod" UID, "/crio-aaaa", "/crio-bbbb"},
    {"cgroupfs' driver, CRI-O, v1", false, "/kubepods/pod" UID, "/crio-aaaa", "/crio-bbbb"},
};

typedef struct {
    Tree *tree;
    Host *host;
    const char *mount;
    bool is_v2;
} Fixture;

static void
fixture_begin(Fixture *fixture, bool is_v2)
{
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->is_v2 = is_v2;
    fixture->mount = is_v2 ? "sys/fs/cgroup" : "sys/fs/cgroup/memory";
    tree_file(fixture->tree, "proc/self/mountinfo",
              is_v2 ? "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
                    : "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "memory\n");
}

static void
fixture_end(Fixture *fixture)
{
    host_free(fixture->host);
    tree_free(fixture->tree);
}

static void
group_add(Fixture *fixture, const char *group, const char *pids)
{
    g_autofree char *procs = g_strconcat(fixture->mount, group, "/cgroup.procs", NULL);
    g_autofree char *usage = g_strconcat(
        fixture->mount, group, fixture->is_v2 ? "/memory.current" : "/memory.usage_in_bytes", NULL);

    tree_file(fixture->tree, procs, pids);
    tree_file(fixture->tree, usage, "0\n");
}

/* A process with so many MiB of its own and so many more that it shares; exe NULL: not to be seen.
 */
static void
process_add(Fixture *fixture, pid_t pid, const char *comm, const char *exe, guint own_mib,
            guint shared_mib)
{
    static const char *const words[] = {"x", NULL};
    g_autofree char *link = g_strdup_printf("proc/%d/exe", (int)pid);
    g_autofree char *path = g_strdup_printf("proc/%d/statm", (int)pid);
    g_autofree char *statm = g_strdup_printf("99999999 %u %u 12 0 34 0\n",
                                             (own_mib + shared_mib) * 256, shared_mib * 256);

    fake_host_process(fixture->tree, pid, 1, comm, words);
    tree_file(fixture->tree, path, statm);
    if (!exe)
        return;
    tree_remove(fixture->tree, link);
    tree_link(fixture->tree, link, exe);
}

static void
read_of(Fixture *fixture, const char *qemus_group, const char *limit, RoleTable *ret_table)
{
    g_autofree char *membership =
        g_strdup_printf("%s:%s\n", fixture->is_v2 ? "0:" : "7:memory", qemus_group);
    g_autoptr(Proc) proc = NULL;
    g_autoptr(Cgroup) cgroup = NULL;
    g_autoptr(GError) error = NULL;

    process_add(fixture, QEMU, "qemu-kvm", "/usr/libexec/qemu-kvm", 1024, 20);
    tree_file(fixture->tree, "proc/42/cgroup", membership);
    proc = proc_open(fixture->host, QEMU, NULL);
    cgroup = cgroup_open(fixture->host, proc, &error);
    if (!cgroup)
        fail_msg("%s", error->message);
    roles_read(fixture->host, cgroup, QEMU, limit, ret_table);
}

static void
assert_use(const RoleTable *table, Role role, guint n, guint own_mib, guint domain_mib)
{
    const RoleUse *use = &table->uses[role];

    if (use->n_processes != n || use->private_bytes != own_mib * MIB ||
        use->domain_private_bytes != domain_mib * MIB)
        fail_msg("%s: %u processes, %u MiB, %u MiB in the domain", role_name(role),
                 use->n_processes, (guint)(use->private_bytes / MIB),
                 (guint)(use->domain_private_bytes / MIB));
}

static void
helpers_are_told_by_role(void **state)
{
    const Layout *layout = *state;
    g_autofree char *compute = g_strconcat(layout->pod, layout->compute, NULL);
    g_autofree char *other = g_strconcat(layout->pod, layout->other, NULL);
    g_autofree char *neighbour = g_strconcat(layout->pod, "x", layout->other, NULL);
    Fixture fixture;
    RoleTable table;

    fixture_begin(&fixture, layout->is_v2);
    process_add(&fixture, 50, "virt-launcher-m", "/usr/bin/virt-launcher-monitor", 9, 12);
    process_add(&fixture, 51, "virt-launcher", "/usr/bin/virt-launcher", 62, 30);
    process_add(&fixture, 52, "virtqemud", "/usr/sbin/virtqemud", 24, 20);
    process_add(&fixture, 53, "virtlogd", NULL, 7, 10); /* may not be looked at: by its name */
    process_add(&fixture, 54, "sh", "/usr/bin/bash", 3, 2);
    process_add(&fixture, 55, "virtlogd", "/tmp/memhold (deleted)", 400, 2); /* a liar */
    process_add(&fixture, 60, "virt-tail", "/usr/bin/virt-tail", 5, 8);
    process_add(&fixture, 70, "virtqemud", "/usr/sbin/virtqemud", 4000, 0); /* another pod's */
    group_add(&fixture, compute, "50\n51\n42\n52\n53\n54\n55\n0\n999\n");
    group_add(&fixture, other, "60\n");
    group_add(&fixture, neighbour, "70\n");

    read_of(&fixture, compute, compute, &table);
    assert_true(table.is_known && table.is_complete);
    assert_use(&table, ROLE_QEMU, 0, 0, 0);
    assert_use(&table, ROLE_VIRT_LAUNCHER_MONITOR, 1, 9, 9);
    assert_use(&table, ROLE_VIRT_LAUNCHER, 1, 62, 62);
    assert_use(&table, ROLE_VIRTQEMUD, 1, 24, 24);
    assert_use(&table, ROLE_VIRTLOGD, 1, 7, 7);
    assert_use(&table, ROLE_VIRT_TAIL, 1, 5, 0); /* in the pod, beside the limited container */
    assert_use(&table, ROLE_STRANGER, 2, 403, 403);
    assert_int_equal(table.stranger_pid, 55);
    assert_string_equal(table.stranger_name, "memhold");
    assert_int_equal(role_table_helpers_bytes(&table), 102 * MIB);
    assert_int_equal(role_table_strangers_bytes(&table), 403 * MIB);

    read_of(&fixture, compute, layout->pod, &table); /* the pod's limit is tighter */
    assert_use(&table, ROLE_VIRT_TAIL, 1, 5, 5);
    read_of(&fixture, compute, "/", &table);
    assert_use(&table, ROLE_VIRT_TAIL, 1, 5, 5);
    read_of(&fixture, compute, NULL, &table);
    assert_use(&table, ROLE_VIRTQEMUD, 1, 24, 24);
    assert_use(&table, ROLE_VIRT_TAIL, 1, 5, 5);
    fixture_end(&fixture);
}

static void
proxmox_keeps_the_helpers_in_the_scope(void **state)
{
    Fixture fixture;
    RoleTable table;

    fixture_begin(&fixture, true);
    process_add(&fixture, 50, "swtpm", "/usr/bin/swtpm", 6, 3);
    process_add(&fixture, 51, "virtiofsd", "/usr/libexec/virtiofsd", 11, 900);
    process_add(&fixture, 52, "kvm", "/usr/bin/qemu-system-x86_64", 99, 0);
    group_add(&fixture, "/qemu.slice/104.scope", "42\n50\n51\n");
    group_add(&fixture, "/qemu.slice/105.scope", "52\n");
    read_of(&fixture, "/qemu.slice/104.scope", NULL, &table);
    assert_use(&table, ROLE_SWTPM, 1, 6, 6);
    assert_use(&table, ROLE_VIRTIOFSD, 1, 11, 11); /* not the guest's memory, which it maps */
    assert_int_equal(table.uses[ROLE_VIRTIOFSD].rss_bytes, 911 * MIB);
    assert_use(&table, ROLE_QEMU, 0, 0, 0);
    fixture_end(&fixture);
}

static void
libvirts_groups_of_threads_are_no_obstacle(void **state)
{
    Fixture fixture;
    RoleTable table;

    fixture_begin(&fixture, true);
    process_add(&fixture, 50, "swtpm", "/usr/bin/swtpm", 6, 3);
    group_add(&fixture, MACHINE, "50\n");
    group_add(&fixture, MACHINE "/libvirt", "42\n50\n"); /* twice: counted once */
    tree_directory(fixture.tree, "sys/fs/cgroup" MACHINE "/libvirt/vcpu0");
    tree_directory(fixture.tree, "sys/fs/cgroup" MACHINE "/libvirt/emulator");
    read_of(&fixture, MACHINE "/libvirt/emulator", MACHINE "/libvirt", &table);
    assert_true(table.is_complete);
    assert_use(&table, ROLE_SWTPM, 1, 6, 0); /* it is seen in the scope first, above the limit */
    fixture_end(&fixture);
}

static void
a_crowd_is_cut_off_and_said_to_be(void **state)
{
    g_autoptr(GString) pids = g_string_new(NULL);
    Fixture fixture;
    RoleTable table;

    fixture_begin(&fixture, true);
    for (pid_t pid = 1000; pid < 1100; pid++) {
        process_add(&fixture, pid, "sleep", "/usr/bin/sleep", 1, 1);
        g_string_append_printf(pids, "%d\n", (int)pid);
    }
    group_add(&fixture, "/system.slice/many.service", pids->str);
    read_of(&fixture, "/system.slice/many.service", NULL, &table);
    assert_true(table.is_known);
    assert_false(table.is_complete);
    assert_in_range(table.uses[ROLE_STRANGER].n_processes, 60, 64);
    fixture_end(&fixture);
}

static void
without_a_group_of_its_own_nothing_is_known(void **state)
{
    Fixture fixture;
    RoleTable table;

    fixture_begin(&fixture, true);
    tree_file(fixture.tree, "sys/fs/cgroup/cgroup.procs", "1\n42\n");
    read_of(&fixture, "/", NULL, &table);
    assert_false(table.is_known);
    fixture_end(&fixture);
}

static JsonNode *
report_of(const RoleTable *table)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    report_add_roles(builder, table);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}

static void
the_report_names_roles_and_the_largest_stranger(void **state)
{
    RoleTable table = {.is_known = true, .stranger_pid = 77, .stranger_private_bytes = 400 * MIB};
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *json = NULL, *text = NULL, *none = NULL;

    strcpy(table.stranger_name, "mem\033hold");
    table.uses[ROLE_VIRTQEMUD] = (RoleUse){2, 90 * MIB, 50 * MIB, 50 * MIB};
    table.uses[ROLE_STRANGER] = (RoleUse){1, 402 * MIB, 400 * MIB, 0};
    node = report_of(&table);
    json = json_to_string(node, FALSE);
    assert_non_null(strstr(json,
                           "\"role\":\"virtqemud\",\"processes\":2,\"resident_bytes\":94371840,"
                           "\"private_bytes\":52428800,\"domain_private_bytes\":52428800,"
                           "\"share_bytes\":83886080"));
    assert_non_null(strstr(json, "\"share_bytes\":null"));
    assert_non_null(strstr(json, "\"beside_complete\":false"));
    assert_null(strchr(json, '\033'));
    text = report_roles_text(json_node_get_object(node));
    assert_string_equal(text, "virtqemud (2) 50M, stranger 400M; largest stranger: mem\\x1bhold, "
                              "process 77");
    json_node_unref(g_steal_pointer(&node));
    node = report_of(&(RoleTable){0});
    none = json_to_string(node, FALSE);
    assert_string_equal(none,
                        "{\"beside\":null,\"beside_complete\":null,\"largest_stranger\":null}");
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(proxmox_keeps_the_helpers_in_the_scope),
        cmocka_unit_test(libvirts_groups_of_threads_are_no_obstacle),
        cmocka_unit_test(a_crowd_is_cut_off_and_said_to_be),
        cmocka_unit_test(without_a_group_of_its_own_nothing_is_known),
        cmocka_unit_test(the_report_names_roles_and_the_largest_stranger),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(layouts) + G_N_ELEMENTS(others)];

    for (guint i = 0; i < G_N_ELEMENTS(layouts); i++)
        tests[i] = (struct CMUnitTest){.name = layouts[i].name,
                                       .test_func = helpers_are_told_by_role,
                                       .initial_state = (void *)&layouts[i]};
    memcpy(tests + G_N_ELEMENTS(layouts), others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
