/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the command line and the group of a VM say reaches the formula of its reservation. */

#include "t.h"

#include "fake-host.h"
#include "memory-watch.h"
#include "units.h"

#define QEMU 42
#define PROGRAM "qemu-system-x86_64"
#define POD "pod00000042-1111-2222-3333-444444444444"

typedef struct {
    Tree *tree;
    Host *host;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fake_host_qemu(fixture->tree, QEMU, "web", NULL);
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* KubeVirt's overhead for a VM with these words; group NULL: nowhere. */
static guint64
kubevirt_bytes(Fixture *fixture, const char *words, const char *group)
{
    g_auto(GStrv) split = g_strsplit(words, " ", -1);
    g_autoptr(Vm) vm = vm_new(proc_open(fixture->host, QEMU, NULL),
                              argv_parse((const char *const *)split), "kubevirt");
    ReservationResult result;

    limits_init_defaults(&vm->limits);
    vm->memory.has_guest_ram = vm->argv->has_memory;
    vm->memory.guest_ram_bytes = vm->argv->memory_bytes;
    if (group) {
        g_autofree char *membership = g_strdup_printf("0::%s\n", group);
        g_autofree char *current = g_strdup_printf("sys/fs/cgroup%s/memory.current", group);

        tree_file(fixture->tree, "proc/42/cgroup", membership);
        tree_file(fixture->tree, current, "1\n");
        assert_true(vm_open_cgroup(vm, fixture->host));
    }
    result = memory_watch_reservation(vm);
    assert_string_equal(result.candidates[CANDIDATE_KUBEVIRT].name, "kubevirt");
    assert_null(result.candidates[CANDIDATE_KUBEVIRT].problem);
    return result.candidates[CANDIDATE_KUBEVIRT].bytes;
}

#define PLAIN PROGRAM " -nodefaults -m 1G"

static void
each_device_of_the_command_line_is_counted(void **state)
{
    static const struct {
        const char *words;
        guint more_mib; /* than PLAIN; the formula's own numbers stand in test-overhead.c */
    } rows[] = {
        {PLAIN " -smp 1", 0},
        {PLAIN " -smp 4", 24},
        {PLAIN " -smp 2,sockets=2,maxcpus=16", 8},
        {PLAIN " -device virtio-blk-pci,drive=d -device virtio-net-pci", 0},
        {PLAIN " -device VGA", 32},
        {PROGRAM " -m 1G", 32}, /* which QEMU adds by itself */
        {PLAIN " -device vfio-pci,host=0000:65:00.0", 1024},
        {PLAIN " -device vfio-pci,host=0000:65:00.0 -device vfio-pci,host=0000:66:00.0", 1024},
        {PLAIN " -device usb-host,hostbus=1,hostaddr=3", 1024},
        {PLAIN " -tpmdev emulator,id=t,chardev=c", 53},
        {PLAIN " -object sev-snp-guest,id=s", 256},
        {"qemu-system-aarch64 -nodefaults -m 1G", 128},
        {PLAIN " -smp 4 -device VGA -device vfio-pci,host=1 -tpmdev emulator,id=t", 1133},
        {PROGRAM " -nodefaults -m 2G", 2}, /* page tables */
    };
    Fixture *fixture = *state;
    guint64 plain_bytes = kubevirt_bytes(fixture, PLAIN, NULL);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        guint64 bytes = kubevirt_bytes(fixture, rows[i].words, NULL);

        if (bytes != plain_bytes + rows[i].more_mib * UNITS_MIB)
            fail_msg("%s: %" G_GUINT64_FORMAT " instead of %" G_GUINT64_FORMAT " and %u MiB",
                     rows[i].words, bytes, plain_bytes, rows[i].more_mib);
    }
}

static void
a_guaranteed_pod_is_told_by_its_group(void **state)
{
    Fixture *fixture = *state;
    guint64 plain_bytes = kubevirt_bytes(fixture, PLAIN, NULL);

    assert_int_equal(kubevirt_bytes(fixture, PLAIN, "/kubepods/burstable/" POD "/vm"), plain_bytes);
    assert_int_equal(kubevirt_bytes(fixture, PLAIN, "/machine.slice/vm.scope"), plain_bytes);
    assert_int_equal(kubevirt_bytes(fixture, PLAIN, "/kubepods/" POD "/vm"),
                     plain_bytes + 100 * UNITS_MIB);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_device_of_the_command_line_is_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_guaranteed_pod_is_told_by_its_group, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
