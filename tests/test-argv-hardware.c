/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "argv-words.h"

static void
vcpus_are_counted_as_qemu_counts_them(void **state)
{
    static const struct {
        const char *smp;
        guint n;
    } rows[] = {
        {"4", 4},
        {"cpus=6,maxcpus=12", 6},
        {"4,sockets=2,cores=2,threads=1", 4},
        {"sockets=2,cores=3,threads=2", 12},
        {"maxcpus=8", 8},
        {"2,maxcpus=16,sockets=16,dies=1,cores=1,threads=1", 2},
        {"nonsense", 1},
        {"0", 1},
        {"99999999999999999999", 1},
        {"1000000", 0},
        {"sockets=4294967296,cores=4294967296", 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Argv) argv = parse("-smp", rows[i].smp);

        if (argv->n_vcpus != rows[i].n)
            fail_msg("-smp %s: %u instead of %u", rows[i].smp, argv->n_vcpus, rows[i].n);
    }
    {
        g_autoptr(Argv) argv = parse("-m", "1G");

        assert_int_equal(argv->n_vcpus, 0);
    }
}

static void
graphics_are_there_unless_forbidden(void **state)
{
    g_autoptr(Argv) plain = parse("-m", "1G");
    g_autoptr(Argv) none = parse("-nodefaults", "-m", "1G");
    g_autoptr(Argv) forbidden = parse("-vga", "none");
    g_autoptr(Argv) device = parse("-nodefaults", "-device", "virtio-vga,id=video0");
    g_autoptr(Argv) json = parse("-nodefaults", "-device", "{\"driver\":\"bochs-display\"}");
    g_autoptr(Argv) option = parse("-nodefaults", "-vga", "std");
    g_autoptr(Argv) block = parse("-nodefaults", "-device", "virtio-blk-pci,drive=d");

    assert_true(plain->has_graphics);
    assert_false(none->has_graphics);
    assert_false(forbidden->has_graphics);
    assert_true(device->has_graphics);
    assert_true(json->has_graphics);
    assert_true(option->has_graphics);
    assert_false(block->has_graphics);
}

static void
what_costs_memory_beside_the_guest_is_seen(void **state)
{
    g_autoptr(Argv) plain = parse("-object", "memory-backend-ram,id=ram,size=1G");
    g_autoptr(Argv) vfio = parse("-device", "{\"driver\":\"vfio-pci\",\"host\":\"0000:65:00.0\"}");
    g_autoptr(Argv) usb = parse("-device", "usb-host,hostbus=1,hostaddr=3");
    g_autoptr(Argv) tpm = parse("-tpmdev", "emulator,id=tpm-tpm0,chardev=chrtpm");
    g_autoptr(Argv) sev = parse("-object", "{\"qom-type\":\"sev-snp-guest\",\"id\":\"lsec0\"}");

    assert_false(plain->has_host_device || plain->has_tpm || plain->has_sev || plain->is_arm64);
    assert_true(vfio->has_host_device);
    assert_true(usb->has_host_device);
    assert_false(usb->has_tpm || usb->has_sev);
    assert_true(tpm->has_tpm);
    assert_false(tpm->has_host_device);
    assert_true(sev->has_sev);
}

static void
arm64_is_told_from_program_or_machine(void **state)
{
    static const struct {
        const char *program, *machine;
        bool is_arm64;
    } rows[] = {
        {"/usr/bin/qemu-system-aarch64", "virt", true},
        {"/usr/libexec/qemu-kvm", "virt-rhel9.6.0,gic-version=3", true},
        {"/usr/libexec/qemu-kvm", "pc-q35-rhel9.6.0", false},
        {"/usr/bin/qemu-system-riscv64", "virt", false},
        {"/usr/bin/qemu-system-x86_64", "pc", false},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *const words[] = {rows[i].program, "-machine", rows[i].machine, NULL};
        g_autoptr(Argv) argv = argv_parse(words);

        assert_int_equal(argv->is_arm64, rows[i].is_arm64);
    }
}

static void
a_recorded_vm_has_its_vcpus(void **state)
{
    g_autoptr(Argv) argv = parse_file("proxmox");

    assert_int_equal(argv->n_vcpus, 2);
    assert_false(argv->has_tpm || argv->has_host_device || argv->has_sev || argv->is_arm64);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(vcpus_are_counted_as_qemu_counts_them),
        cmocka_unit_test(graphics_are_there_unless_forbidden),
        cmocka_unit_test(what_costs_memory_beside_the_guest_is_seen),
        cmocka_unit_test(arm64_is_told_from_program_or_machine),
        cmocka_unit_test(a_recorded_vm_has_its_vcpus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
