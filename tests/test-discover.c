/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "discover.h"
#include "fake-host.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PATIENT_US (10 * G_USEC_PER_SEC)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Workers *workers;
    Discovery *discovery;
    GPtrArray *found; /* of Vm, the newest knowledge of each process */
    guint n_found;
    bool wants_none;
} Fixture;

static int
find_index(const Fixture *fixture, pid_t pid, guint64 start_ticks)
{
    for (guint i = 0; i < fixture->found->len; i++) {
        const Vm *vm = fixture->found->pdata[i];

        if (proc_pid(vm->proc) == pid && proc_start_ticks(vm->proc) == start_ticks)
            return (int)i;
    }
    return -1;
}

static bool
on_found(Vm *vm, gpointer data)
{
    Fixture *fixture = data;
    int index = find_index(fixture, proc_pid(vm->proc), proc_start_ticks(vm->proc));

    fixture->n_found++;
    if (fixture->wants_none) {
        vm_free(vm);
        return false;
    }
    if (index >= 0)
        g_ptr_array_remove_index(fixture->found, (guint)index);
    g_ptr_array_add(fixture->found, vm);
    return true;
}

static const Vm *
on_find(pid_t pid, gpointer data)
{
    const Fixture *fixture = data;

    for (guint i = 0; i < fixture->found->len; i++) {
        const Vm *vm = fixture->found->pdata[i];

        if (proc_pid(vm->proc) == pid && proc_is_alive(vm->proc))
            return vm;
    }
    return NULL;
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    DiscoverFuncs funcs = {.found = on_found, .find = on_find, .data = fixture};

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->workers = workers_new(fixture->context, 2);
    fixture->discovery = discovery_new(fixture->host, fixture->workers, &funcs);
    fixture->found = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    workers_free(fixture->workers);
    discovery_free(fixture->discovery);
    g_ptr_array_unref(fixture->found);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* One scan, to its end; how many VMs it brought. */
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

static Vm *
only_vm(const Fixture *fixture)
{
    assert_int_equal(fixture->found->len, 1);
    return fixture->found->pdata[0];
}

/* The innocent: programs that only look a little like QEMU. */
static void
add_bystanders(Fixture *fixture)
{
    fake_host_process(fixture->tree, 20, 1, "qemu-img", WORDS("qemu-img", "convert"));
    fake_host_process(fixture->tree, 21, 1, "kvm-nx-lpage-re", NULL);
    fake_host_process(fixture->tree, 22, 1, "bash", WORDS("bash", "-c", "qemu-system-x86_64"));
    fake_host_process(fixture->tree, 23, 1, "qemu-system-x86", NULL); /* just ending */
    tree_file(fixture->tree, "proc/24/other", ""); /* gone between two looks: no comm */
    tree_file(fixture->tree, "proc/99999999999999999999/comm", "qemu-system-x86\n");
    tree_file(fixture->tree, "proc/self/comm", "qemu-system-x86\n");
}

/* As libvirt 9.0 starts it, to learn what that QEMU can do. */
static void
a_qemu_without_a_machine_is_no_vm(void **state)
{
    Fixture *fixture = *state;

    fake_host_process(fixture->tree, 41, 100, "qemu-system-x86",
                      WORDS("/usr/bin/qemu-system-x86_64", "-S", "-no-user-config", "-nodefaults",
                            "-nographic", "-machine", "none,accel=kvm:tcg", "-qmp",
                            "unix:/tmp/qmp-XXXX/qmp.monitor,server=on,wait=off", "-daemonize"));
    fake_host_qemu(fixture->tree, 42, "web", NULL);
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(only_vm(fixture)->name, "web");
    assert_int_equal(scan(fixture), 0);
}

static void
a_bare_qemu_is_found_among_others(void **state)
{
    Fixture *fixture = *state;
    const Vm *vm;

    add_bystanders(fixture);
    fake_host_qemu(fixture->tree, 42, "guest=web,debug-threads=on",
                   WORDS("-qmp", "unix:/run/web.sock,server=on,wait=off", "-m", "512"));
    assert_int_equal(scan(fixture), 1);
    vm = only_vm(fixture);
    assert_string_equal(vm->name, "web");
    assert_string_equal(vm->source, "bare");
    assert_int_equal(proc_pid(vm->proc), 42);
    assert_null(vm->id);
    assert_null(vm->cgroup);
    assert_false(vm->is_nameless);
    assert_int_equal(vm->argv->memory_bytes, 512 << 20);
    assert_int_equal(scan(fixture), 0); /* known: not read again */
}

static void
a_qemu_is_known_by_its_executable_first(void **state)
{
    Fixture *fixture = *state;

    fake_host_process(fixture->tree, 42, 1, "CPU 0/KVM", WORDS("guest-7", "-name", "seven"));
    tree_remove(fixture->tree, "proc/42/exe");
    tree_link(fixture->tree, "proc/42/exe", "/usr/libexec/qemu-kvm (deleted)");
    fake_host_process(fixture->tree, 43, 1, "CPU 1/KVM", WORDS("guest-8", "-name", "eight"));
    tree_remove(fixture->tree, "proc/43/exe");
    tree_link(fixture->tree, "proc/43/exe", "/usr/bin/sleep");
    fake_host_process(fixture->tree, 44, 1, "qemu-system-x86", WORDS("sleep", "-name", "liar"));
    tree_remove(fixture->tree, "proc/44/exe");
    tree_link(fixture->tree, "proc/44/exe", "/usr/bin/sleep");
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(only_vm(fixture)->name, "seven");
}

static void
proxmox_says_by_pid_file_whose_it_is(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = config_load(fixture->host, NULL);
    Vm *vm;

    tree_file(fixture->tree, "run/qemu-server/101.pid", "42\n");
    fake_host_process(fixture->tree, 42, 1, "kvm",
                      WORDS("/usr/bin/kvm", "-id", "101", "-name", "web", "-chardev",
                            "socket,id=q,path=/var/run/qemu-server/101.qmp,server=on,wait=off",
                            "-mon", "chardev=q,mode=control"));
    assert_int_equal(scan(fixture), 1);
    vm = only_vm(fixture);
    assert_string_equal(vm->source, "proxmox");
    assert_string_equal(vm->id, "101");
    assert_true(discovery_configure(vm, config));
    assert_string_equal(vm->monitor_path, "qemu-server/101.qmp");
    assert_int_equal(vm->monitor_root, HOST_RUN);
    assert_false(vm->monitor_is_ours);
}

static void
libvirt_leaves_its_mark_on_the_command_line(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = config_load(fixture->host, NULL);
    Vm *vm;

    fake_host_qemu(fixture->tree, 42, "guest=web,debug-threads=on",
                   WORDS("-chardev", "socket,id=charmonitor,fd=24,server=on,wait=off", "-mon",
                         "chardev=charmonitor,id=monitor,mode=control"));
    assert_int_equal(scan(fixture), 1);
    vm = only_vm(fixture);
    assert_string_equal(vm->source, "libvirt");
    assert_true(discovery_configure(vm, config));
    assert_null(vm->monitor_path);
    assert_int_equal(scan(fixture), 0);
}

static void
a_dedicated_monitor_is_preferred_to_proxmox_shared_one(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = config_load(fixture->host, NULL);
    Vm *vm;

    tree_file(fixture->tree, "run/qemu-server/101.pid", "42\n");
    fake_host_process(fixture->tree, 42, 1, "kvm",
                      WORDS("/usr/bin/kvm", "-id", "101", "-name", "web", "-chardev",
                            "socket,id=qmp,path=/var/run/qemu-server/101.qmp,server=on,wait=off",
                            "-mon", "chardev=qmp,mode=control", "-chardev",
                            "socket,id=qmp-event,path=/var/run/qmeventd.sock,reconnect=5", "-mon",
                            "chardev=qmp-event,mode=control", "-qmp",
                            "unix:/run/qemu-server/101-guardian.qmp,server=on,wait=off"));
    assert_int_equal(scan(fixture), 1);
    vm = only_vm(fixture);
    assert_true(discovery_configure(vm, config));
    assert_string_equal(vm->monitor_path, "/run/qemu-server/101-guardian.qmp");
    assert_int_equal(vm->monitor_root, HOST_PROC);
    assert_true(vm->monitor_is_ours);
}

static void
a_pid_file_that_comes_later_is_believed(void **state)
{
    Fixture *fixture = *state;

    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS("/usr/bin/kvm", "-id", "101"));
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(only_vm(fixture)->source, "bare");
    tree_file(fixture->tree, "run/qemu-server/101.pid", "42\n");
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(only_vm(fixture)->source, "proxmox");
    assert_int_equal(scan(fixture), 0);
}

/* VM 101 ended without its pid file, and others have its pid, or are no VM. */
static void
a_stale_pid_file_names_nobody(void **state)
{
    Fixture *fixture = *state;
    const Vm *vm;

    tree_file(fixture->tree, "run/qemu-server/101.pid", "42\n");
    tree_file(fixture->tree, "run/qemu-server/102.pid", "42\n");
    tree_file(fixture->tree, "run/qemu-server/103.pid", "43\n");
    tree_file(fixture->tree, "run/qemu-server/104.pid", "44\n");
    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS("/usr/bin/kvm", "-id", "102"));
    fake_host_process(fixture->tree, 43, 1, "sleep", WORDS("sleep", "60"));
    fake_host_qemu(fixture->tree, 44, "bare", NULL);
    assert_int_equal(scan(fixture), 2);
    vm = fixture->found->pdata[find_index(fixture, 42, 1)];
    assert_string_equal(vm->source, "proxmox");
    assert_string_equal(vm->id, "102");
    vm = fixture->found->pdata[find_index(fixture, 44, 1044)];
    assert_string_equal(vm->source, "bare");
    assert_int_equal(scan(fixture), 0);
}

static void
a_malformed_pid_file_is_passed_over(void **state)
{
    static const char *const texts[] = {"", "\n", "-42\n", "42x\n", "0\n", "99999999999\n"};
    Fixture *fixture = *state;

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *path = g_strdup_printf("run/qemu-server/%u.pid", 100 + i);

        tree_file(fixture->tree, path, texts[i]);
    }
    tree_link(fixture->tree, "run/qemu-server/200.pid", "/proc/self/stat");
    tree_fifo(fixture->tree, "run/qemu-server/201.pid");
    tree_file(fixture->tree, "run/qemu-server/x.pid", "42\n");
    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS("/usr/bin/kvm", "-id", "100"));
    assert_int_equal(scan(fixture), 1);
    assert_string_equal(only_vm(fixture)->source, "bare");
}

static void
a_used_again_pid_is_another_vm(void **state)
{
    Fixture *fixture = *state;

    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS("kvm", "-name", "old"));
    assert_int_equal(scan(fixture), 1);
    tree_remove(fixture->tree, "proc/42");
    fake_host_process(fixture->tree, 42, 2, "kvm", WORDS("kvm", "-name", "new"));
    assert_int_equal(scan(fixture), 1);
    assert_int_equal(fixture->found->len, 2);
    assert_string_equal(((const Vm *)fixture->found->pdata[0])->name, "old");
    assert_false(proc_is_alive(((const Vm *)fixture->found->pdata[0])->proc));
    assert_string_equal(((const Vm *)fixture->found->pdata[1])->name, "new");
}

static void
a_vm_whose_command_line_cannot_be_read_is_nameless_until_it_can(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *endless = g_strnfill(2 * 1024 * 1024, 'x');

    tree_file(fixture->tree, "run/qemu-server/101.pid", "43\n");
    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS(endless));
    fake_host_process(fixture->tree, 43, 1, "kvm", WORDS(endless));
    assert_int_equal(scan(fixture), 2);
    const Vm *bare = fixture->found->pdata[find_index(fixture, 42, 1)];
    const Vm *proxmox = fixture->found->pdata[find_index(fixture, 43, 1)];

    assert_true(bare->is_nameless);
    assert_string_equal(bare->name, "pid-42");
    assert_string_equal(proxmox->id, "101"); /* the pid file is all that is known, and enough */

    tree_remove(fixture->tree, "proc/42/cmdline");
    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS("kvm", "-name", "web"));
    scan(fixture);
    bare = fixture->found->pdata[find_index(fixture, 42, 1)];
    assert_false(bare->is_nameless);
    assert_string_equal(bare->name, "web");
    assert_int_equal(fixture->found->len, 2);
}

static void
what_is_not_wanted_is_told_of_once(void **state)
{
    Fixture *fixture = *state;

    fixture->wants_none = true;
    fake_host_process(fixture->tree, 42, 1, "kvm", WORDS("kvm", "-name", "web"));
    assert_int_equal(scan(fixture), 1);
    assert_int_equal(scan(fixture), 0);
    fake_host_process(fixture->tree, 42, 2, "kvm", WORDS("kvm", "-name", "db"));
    assert_int_equal(scan(fixture), 1); /* another process */
    discovery_reconsider(fixture->discovery);
    assert_int_equal(scan(fixture), 1);
}

static void
more_vms_than_workers_are_all_found_in_one_scan(void **state)
{
    Fixture *fixture = *state;

    for (pid_t pid = 100; pid < 160; pid++)
        fake_host_qemu(fixture->tree, pid, "vm", NULL);
    assert_int_equal(scan(fixture), 60);
    assert_int_equal(fixture->found->len, 60);
}

static void
four_thousand_other_processes_are_no_vms(void **state)
{
    Fixture *fixture = *state;
    gint64 from_us;

    for (pid_t pid = 1000; pid < 5000; pid++) {
        g_autofree char *path = g_strdup_printf("proc/%d/comm", (int)pid);

        tree_file(fixture->tree, path, "sleep\n");
    }
    fake_host_qemu(fixture->tree, 42, "web", NULL);
    from_us = g_get_monotonic_time();
    assert_int_equal(scan(fixture), 1);
    print_message("# 4,001 processes in %d ms\n", (int)(g_get_monotonic_time() - from_us) / 1000);
}

typedef struct {
    const char *name, *config, *vm_config;
    const char *expected; /* names that stay, in order */
} ScopeRow;

static const ScopeRow scope_rows[] = {
    {"without a scope every VM is watched", "", NULL, "web-1 web-2 db 101"},
    {"include keeps what it names", "[guardian]\ninclude = web-*, 101\n", NULL, "web-1 web-2 101"},
    {"exclude takes out what it names", "[guardian]\nexclude = web-?\n", NULL, "db 101"},
    {"exclude wins over include", "[guardian]\ninclude = web-*\nexclude = web-2\n", NULL, "web-1"},
    {"a VM is not watched when its file says so", "",
     "[Match]\nname = db\n[guardian]\nwatch = no\n", "web-1 web-2 101"},
};

static void
scope_is_kept(void **state)
{
    static const char *const names[] = {"web-1", "web-2", "db"};
    const ScopeRow *row = *state;
    void *inner = NULL;
    Fixture *fixture;
    g_autoptr(GString) kept = g_string_new(NULL);
    g_autoptr(Config) config = NULL;

    assert_int_equal(fixture_set_up(&inner), 0);
    fixture = inner;
    for (pid_t i = 0; i < (pid_t)G_N_ELEMENTS(names); i++)
        fake_host_qemu(fixture->tree, 100 + i, names[i], NULL);
    fake_host_process(fixture->tree, 110, 1, "kvm", WORDS("kvm", "-id", "101", "-name", "mail"));
    tree_file(fixture->tree, "run/qemu-server/101.pid", "110\n");
    tree_file(fixture->tree, "config/guardian.conf", row->config);
    if (row->vm_config)
        tree_file(fixture->tree, "config/vm.d/x.conf", row->vm_config);
    config = config_load(fixture->host, NULL);
    assert_non_null(config);
    assert_int_equal(scan(fixture), 4);
    for (pid_t pid = 100; pid <= 110; pid++) {
        int index = find_index(fixture, pid, pid == 110 ? 1 : 1000 + (guint64)pid);
        Vm *vm = index < 0 ? NULL : fixture->found->pdata[index];

        if (vm && discovery_configure(vm, config))
            g_string_append_printf(kept, "%s%s", kept->len ? " " : "", vm->id ? vm->id : vm->name);
    }
    assert_string_equal(kept->str, row->expected);
    fixture_tear_down(&inner);
}

static void
a_vm_has_the_limits_of_its_own_file(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = NULL;
    Vm *web, *db;

    tree_file(fixture->tree, "config/guardian.conf", "[freeze]\npatience = 30s\n");
    tree_file(fixture->tree, "config/vm.d/web.conf",
              "[Match]\nname = we*\n[freeze]\npatience = 40s\n[monitor]\nown = yes\n");
    config = config_load(fixture->host, NULL);
    assert_non_null(config);
    fake_host_qemu(fixture->tree, 42, "web", WORDS("-qmp", "unix:/a.sock,server=on"));
    fake_host_qemu(fixture->tree, 43, "db", WORDS("-qmp", "unix:/a.sock,server=on"));
    assert_int_equal(scan(fixture), 2);
    web = fixture->found->pdata[find_index(fixture, 42, 1042)];
    db = fixture->found->pdata[find_index(fixture, 43, 1043)];
    assert_true(discovery_configure(web, config));
    assert_true(discovery_configure(db, config));
    assert_int_equal(web->limits.patience_us, 40 * G_USEC_PER_SEC);
    assert_int_equal(db->limits.patience_us, 30 * G_USEC_PER_SEC);
    assert_true(web->monitor_is_ours);
    assert_false(db->monitor_is_ours);
    /* and again, as after a reload */
    assert_true(discovery_configure(web, config));
    assert_string_equal(web->monitor_path, "/a.sock");
}

static void
of_two_monitors_the_last_is_ours(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Config) config = config_load(fixture->host, NULL);

    fake_host_qemu(fixture->tree, 42, "web",
                   WORDS("-qmp", "unix:/a.sock,server=on", "-qmp", "unix:b.sock,server=on"));
    assert_int_equal(scan(fixture), 1);
    assert_true(discovery_configure(only_vm(fixture), config));
    assert_string_equal(only_vm(fixture)->monitor_path, "b.sock");
    assert_true(only_vm(fixture)->monitor_is_ours);
}

static void
what_is_still_read_at_the_end_is_freed(void **state)
{
    Fixture *fixture = *state;

    for (pid_t pid = 100; pid < 110; pid++)
        fake_host_qemu(fixture->tree, pid, "vm", NULL);
    discovery_scan(fixture->discovery);
    assert_true(discovery_pending(fixture->discovery) > 0);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        row(a_bare_qemu_is_found_among_others),
        row(a_qemu_is_known_by_its_executable_first),
        row(a_qemu_without_a_machine_is_no_vm),
        row(proxmox_says_by_pid_file_whose_it_is),
        row(libvirt_leaves_its_mark_on_the_command_line),
        row(a_dedicated_monitor_is_preferred_to_proxmox_shared_one),
        row(a_pid_file_that_comes_later_is_believed),
        row(a_stale_pid_file_names_nobody),
        row(a_malformed_pid_file_is_passed_over),
        row(a_used_again_pid_is_another_vm),
        row(a_vm_whose_command_line_cannot_be_read_is_nameless_until_it_can),
        row(what_is_not_wanted_is_told_of_once),
        row(more_vms_than_workers_are_all_found_in_one_scan),
        row(four_thousand_other_processes_are_no_vms),
        row(a_vm_has_the_limits_of_its_own_file),
        row(of_two_monitors_the_last_is_ours),
        row(what_is_still_read_at_the_end_is_freed),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(scope_rows)];

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(scope_rows); i++)
        tests[G_N_ELEMENTS(fixed) + i] = t_row(scope_rows[i].name, scope_is_kept, &scope_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
