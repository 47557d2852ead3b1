/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "discover-fixture.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The innocent: programs that only look a little like QEMU. */
static void
add_bystanders(DiscoverFixture *fixture)
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
    DiscoverFixture *fixture = *state;

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
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;

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
a_used_again_pid_is_another_vm(void **state)
{
    DiscoverFixture *fixture = *state;

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
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;

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
    DiscoverFixture *fixture = *state;

    for (pid_t pid = 100; pid < 160; pid++)
        fake_host_qemu(fixture->tree, pid, "vm", NULL);
    assert_int_equal(scan(fixture), 60);
    assert_int_equal(fixture->found->len, 60);
}

static void
four_thousand_other_processes_are_no_vms(void **state)
{
    DiscoverFixture *fixture = *state;
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

static void
a_vm_has_the_limits_of_its_own_file(void **state)
{
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;

    for (pid_t pid = 100; pid < 110; pid++)
        fake_host_qemu(fixture->tree, pid, "vm", NULL);
    discovery_scan(fixture->discovery);
    assert_true(discovery_pending(fixture->discovery) > 0);
}

/* QEMU with -daemonize, while the one that was started waits for it: one VM. A child may be another
 * program, as a helper is. */
static void
the_starter_of_a_daemon_is_no_second_vm(void **state)
{
    DiscoverFixture *fixture = *state;

    fake_host_qemu(fixture->tree, 41, "web", WORDS("-daemonize"));
    fake_host_qemu(fixture->tree, 42, "web", WORDS("-daemonize"));
    fake_host_qemu(fixture->tree, 51, "db", WORDS("-daemonize"));
    fake_host_process(fixture->tree, 52, 1000, "swtpm", WORDS("swtpm"));
    fake_host_process(fixture->tree, 43, 1000, "qemu-system-x86", NULL);
    tree_file(fixture->tree, "proc/41/task/41/children", "43 ");
    tree_file(fixture->tree, "proc/42/task/42/children", "");
    tree_file(fixture->tree, "proc/51/task/51/children", "52 ");
    assert_int_equal(scan(fixture), 2);
    for (guint i = 0; i < fixture->found->len; i++)
        assert_int_not_equal(proc_pid(((Vm *)fixture->found->pdata[i])->proc), 41);
    tree_remove(fixture->tree, "proc/41");
    assert_int_equal(scan(fixture), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DISCOVERY(a_qemu_without_a_machine_is_no_vm),
        WITH_DISCOVERY(a_bare_qemu_is_found_among_others),
        WITH_DISCOVERY(a_qemu_is_known_by_its_executable_first),
        WITH_DISCOVERY(a_used_again_pid_is_another_vm),
        WITH_DISCOVERY(a_vm_whose_command_line_cannot_be_read_is_nameless_until_it_can),
        WITH_DISCOVERY(what_is_not_wanted_is_told_of_once),
        WITH_DISCOVERY(more_vms_than_workers_are_all_found_in_one_scan),
        WITH_DISCOVERY(four_thousand_other_processes_are_no_vms),
        WITH_DISCOVERY(a_vm_has_the_limits_of_its_own_file),
        WITH_DISCOVERY(of_two_monitors_the_last_is_ours),
        WITH_DISCOVERY(the_starter_of_a_daemon_is_no_second_vm),
        WITH_DISCOVERY(what_is_still_read_at_the_end_is_freed),
    };

    return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
