/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "discover.h"
#include "fake-host.h"
#include "kubevirt.h"

#include <string.h>

#define PATIENT_US (10 * G_USEC_PER_SEC)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define POD_UID "4f5a4c6e-99f1-4a3c-8e0b-5d0b7cbe2f01"
#define VMI_UID "ac1e83d8-f2ad-4047-8ba9-3f557c687b9f"
#define POD                                                                                        \
    "/kubepods.slice/kubepods-burstable.slice/"                                                    \
    "kubepods-burstable-pod4f5a4c6e_99f1_4a3c_8e0b_5d0b7cbe2f01.slice"
#define LAUNCHER                                                                                   \
    WORDS("/usr/bin/virt-launcher-monitor", "--qemu-timeout", "338s", "--name", "db", "--uid",     \
          VMI_UID, "--namespace", "prod", "--kubevirt-share-dir", "/var/run/kubevirt")
#define QEMU 42

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Workers *workers;
    Discovery *discovery;
    Vm *vm; /* the one that was found last */
    guint n_found;
} Fixture;

static bool
on_found(Vm *vm, gpointer data)
{
    Fixture *fixture = data;

    vm_free(fixture->vm);
    fixture->vm = vm;
    fixture->n_found++;
    return true;
}

static const Vm *
on_find(pid_t pid, gpointer data)
{
    const Vm *vm = ((const Fixture *)data)->vm;

    return vm && proc_pid(vm->proc) == pid && proc_is_alive(vm->proc) ? vm : NULL;
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    DiscoverFuncs funcs = {.found = on_found, .find = on_find, .data = fixture};

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "memory\n");
    fixture->context = g_main_context_new();
    fixture->workers = workers_new(fixture->context, 1); /* one: witnesses wait their turn, too */
    fixture->discovery = discovery_new(fixture->host, fixture->workers, &funcs);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    workers_free(fixture->workers);
    discovery_free(fixture->discovery);
    vm_free(fixture->vm);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static guint
scan(Fixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    guint before = fixture->n_found;

    discovery_scan(fixture->discovery);
    while (discovery_pending(fixture->discovery) > 0 && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(discovery_pending(fixture->discovery), 0);
    return fixture->n_found - before;
}

/* A QEMU in that group, which lists these processes. */
static void
add_qemu(Fixture *fixture, const char *name, const char *group, const char *pids)
{
    g_autofree char *membership = g_strdup_printf("0::%s\n", group);
    g_autofree char *procs = g_strconcat("sys/fs/cgroup", group, "/cgroup.procs", NULL);
    g_autofree char *usage = g_strconcat("sys/fs/cgroup", group, "/memory.current", NULL);

    fake_host_qemu(fixture->tree, QEMU, name, NULL);
    tree_file(fixture->tree, "proc/42/cgroup", membership);
    tree_file(fixture->tree, procs, pids);
    tree_file(fixture->tree, usage, "0\n");
}

static void
add_launcher(Fixture *fixture, pid_t pid, const char *program, const char *const *words)
{
    g_autofree char *exe = g_strdup_printf("proc/%d/exe", (int)pid);

    fake_host_process(fixture->tree, pid, 1, "x", words);
    tree_remove(fixture->tree, exe);
    tree_link(fixture->tree, exe, program);
}

static void
assert_is_prod_db(const Fixture *fixture)
{
    assert_string_equal(fixture->vm->source, "kubevirt");
    assert_string_equal(fixture->vm->name, "prod/db");
    assert_string_equal(fixture->vm->raw_name, "prod/db");
    assert_string_equal(fixture->vm->space, "prod");
    assert_string_equal(fixture->vm->id, VMI_UID);
    assert_true(vm_matches(fixture->vm, "prod/db"));
    assert_true(vm_matches(fixture->vm, VMI_UID));
}

static void
virt_launcher_says_which_vm_it_is(void **state)
{
    static const struct {
        const char *group, *container, *runtime, *qos;
    } rows[] = {
        {POD "/cri-containerd-aaaa.scope", "aaaa", "containerd", "burstable"},
        {POD "/crio-aaaa.scope", "aaaa", "cri-o", "burstable"},
        {POD "/crio-aaaa.scope/container", "aaaa", "cri-o", "burstable"},
        {"/kubepods/burstable/pod" POD_UID "/aaaa", "aaaa", NULL, "burstable"},
        {"/kubepods/pod" POD_UID "/crio-aaaa", "aaaa", "cri-o", "guaranteed"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        Fixture *fixture;
        const GroupPlace *place;

        fixture_set_up((void **)&fixture);
        add_qemu(fixture, "guest=prod_db,debug-threads=on", rows[i].group, "50\n42\n");
        add_launcher(fixture, 50, "/usr/bin/virt-launcher-monitor", LAUNCHER);
        assert_int_equal(scan(fixture), 1);
        assert_is_prod_db(fixture);
        place = cgroup_group_place(fixture->vm->cgroup);
        assert_string_equal(place->pod_uid, POD_UID);
        assert_string_equal(place->container_id, rows[i].container);
        assert_int_equal(g_strcmp0(place->runtime, rows[i].runtime), 0);
        assert_string_equal(place->qos, rows[i].qos);
        assert_null(fixture->vm->monitor_path);
        assert_int_equal(scan(fixture), 0); /* known: not read again */
        fixture_tear_down((void **)&fixture);
    }
}

static void
the_launchers_word_counts_more_than_the_domains_name(void **state)
{
    Fixture *fixture = *state;

    add_qemu(fixture, "guest=something-else", POD "/crio-aaaa.scope", "50\n42\n");
    add_launcher(fixture, 50, "/usr/bin/virt-launcher", LAUNCHER); /* before there was a monitor */
    assert_int_equal(scan(fixture), 1);
    assert_is_prod_db(fixture);
}

static void
an_unreadable_launcher_leaves_the_domains_name(void **state)
{
    Fixture *fixture = *state;

    add_qemu(fixture, "guest=prod_db,debug-threads=on", POD "/crio-aaaa.scope", "50\n42\n");
    add_launcher(fixture, 50, "/usr/bin/virt-launcher", LAUNCHER);
    tree_remove(fixture->tree, "proc/50/cmdline");
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(fixture->vm->source, "kubevirt");
    assert_string_equal(fixture->vm->name, "prod/db");
    assert_null(fixture->vm->id);
}

static void
a_launcher_in_another_container_or_pod_is_no_witness(void **state)
{
    Fixture *fixture = *state;

    add_qemu(fixture, "sandbox-1", POD "/kata_aaaa", "42\n"); /* Kata's */
    tree_file(fixture->tree, "sys/fs/cgroup" POD "/crio-bbbb.scope/cgroup.procs", "50\n");
    add_launcher(fixture, 50, "/usr/bin/virt-launcher", LAUNCHER);
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(fixture->vm->source, "bare");
    assert_string_equal(fixture->vm->name, "sandbox-1");
    assert_null(fixture->vm->space);
}

static void
outside_of_pods_nobody_is_kubevirts(void **state)
{
    Fixture *fixture = *state;

    add_qemu(fixture, "prod_db", "/user.slice/session-1.scope", "42\n50\n");
    add_launcher(fixture, 50, "/home/me/virt-launcher", LAUNCHER);
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(fixture->vm->source, "bare");
    assert_string_equal(fixture->vm->name, "prod_db");
}

static void
hostile_words_are_shown_harmlessly(void **state)
{
    Fixture *fixture = *state;

    add_qemu(fixture, "x", POD "/crio-aaaa.scope", "50\n42\n");
    add_launcher(fixture, 50, "/usr/bin/virt-launcher",
                 WORDS("virt-launcher", "--namespace", "a\033[2J", "--name=b\n", "--uid", "/"));
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(fixture->vm->name, "a\\x1b[2J/b\\x0a");
    assert_null(fixture->vm->id);
}

static void
a_vm_is_matched_by_namespace_and_name(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = NULL;
    g_autoptr(Config) other = NULL;

    tree_file(fixture->tree, "config/vm.d/prod.conf",
              "[Match]\nname = prod/*\n[guardian]\nwatch = no\n");
    config = config_load(fixture->host, NULL);
    add_qemu(fixture, "prod_db", POD "/crio-aaaa.scope", "50\n42\n");
    add_launcher(fixture, 50, "/usr/bin/virt-launcher", LAUNCHER);
    assert_int_equal(scan(fixture), 1);
    assert_false(discovery_configure(fixture->vm, config));
    tree_file(fixture->tree, "config/vm.d/prod.conf",
              "[Match]\nname = test/*, proddb, db\n[guardian]\nwatch = no\n");
    other = config_load(fixture->host, NULL);
    assert_true(discovery_configure(fixture->vm, other));
}

typedef struct {
    const char *name;
    const char *const *words;
    const char *space, *vm, *uid; /* NULL space: refused */
} Row;

static void
words_are_understood(void **state)
{
    g_autofree char *longest = g_strnfill(253, 'a');
    g_autofree char *too_long = g_strnfill(254, 'a');
    const Row rows[] = {
        {"separate", WORDS("l", "--name", "b", "--namespace", "a", "--uid", "u"), "a", "b", "u"},
        {"joined", WORDS("l", "--uid=u", "--name=b", "--namespace=a"), "a", "b", "u"},
        {"without uid", WORDS("l", "--name", "b", "--namespace", "a"), "a", "b", NULL},
        {"a cut command line", WORDS("l", "--name", "b", "--namespace"), NULL, NULL, NULL},
        {"empty", WORDS("l", "--name", "", "--namespace", "a"), NULL, NULL, NULL},
        {"a slash", WORDS("l", "--name", "b/c", "--namespace", "a"), NULL, NULL, NULL},
        {"other options", WORDS("l", "--names", "b", "--namespaces=a"), NULL, NULL, NULL},
        {"long", WORDS("l", "--name", longest, "--namespace", "a"), "a", longest, NULL},
        {"too long", WORDS("l", "--name", too_long, "--namespace", "a"), NULL, NULL, NULL},
        {"nothing", NULL, NULL, NULL, NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        KubevirtName name = {0};
        bool is_good = kubevirt_parse_launcher(rows[i].words, &name);

        if (is_good != (rows[i].space != NULL) || g_strcmp0(name.space, rows[i].space) != 0 ||
            g_strcmp0(name.name, rows[i].vm) != 0 || g_strcmp0(name.uid, rows[i].uid) != 0)
            fail_msg("%s: %s/%s %s", rows[i].name, name.space, name.name, name.uid);
        kubevirt_name_clear(&name);
    }
}

static void
a_domains_name_is_split_at_its_first_bar(void **state)
{
    KubevirtName name = {0};

    assert_true(kubevirt_parse_domain("prod_my_db", &name));
    assert_string_equal(name.space, "prod");
    assert_string_equal(name.name, "my_db");
    kubevirt_name_clear(&name);
    assert_false(kubevirt_parse_domain("db", &name));
    assert_false(kubevirt_parse_domain("_db", &name));
    assert_false(kubevirt_parse_domain("prod_", &name));
    assert_false(kubevirt_parse_domain(NULL, &name));
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virt_launcher_says_which_vm_it_is),
        test(the_launchers_word_counts_more_than_the_domains_name),
        test(an_unreadable_launcher_leaves_the_domains_name),
        test(a_launcher_in_another_container_or_pod_is_no_witness),
        test(outside_of_pods_nobody_is_kubevirts),
        test(hostile_words_are_shown_harmlessly),
        test(a_vm_is_matched_by_namespace_and_name),
        cmocka_unit_test(words_are_understood),
        cmocka_unit_test(a_domains_name_is_split_at_its_first_bar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
