/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "discover-fixture.h"

#include <string.h>

static void
proxmox_says_by_pid_file_whose_it_is(void **state)
{
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;

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
    DiscoverFixture *fixture = *state;
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
    DiscoverFixture *fixture = *state;

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
    DiscoverFixture *fixture;
    g_autoptr(GString) kept = g_string_new(NULL);
    g_autoptr(Config) config = NULL;

    assert_int_equal(discover_set_up(&inner), 0);
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
    discover_tear_down(&inner);
}

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        WITH_DISCOVERY(proxmox_says_by_pid_file_whose_it_is),
        WITH_DISCOVERY(libvirt_leaves_its_mark_on_the_command_line),
        WITH_DISCOVERY(a_dedicated_monitor_is_preferred_to_proxmox_shared_one),
        WITH_DISCOVERY(a_pid_file_that_comes_later_is_believed),
        WITH_DISCOVERY(a_stale_pid_file_names_nobody),
        WITH_DISCOVERY(a_malformed_pid_file_is_passed_over),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(scope_rows)];

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(scope_rows); i++)
        tests[G_N_ELEMENTS(fixed) + i] = t_row(scope_rows[i].name, scope_is_kept, &scope_rows[i]);
    return cmocka_run_group_tests_name("sources of discovery", tests, NULL, NULL);
}
