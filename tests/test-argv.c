/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "argv-words.h"

#include <string.h>

static void
assert_monitors(const Argv *argv, guint n, const char *first, const char *second)
{
    const char *const expected[] = {first, second};

    assert_int_equal(argv->monitors->len, n);
    for (guint i = 0; i < n; i++)
        assert_text(((ArgvMonitor *)g_ptr_array_index(argv->monitors, i))->path, expected[i]);
}

typedef struct {
    const char *id, *driver, *bus, *drive, *storage, *group;
    guint64 bps, iops;
} DiskRow;

static void
assert_disks(const Argv *argv, const DiskRow *rows, guint n_rows)
{
    assert_int_equal(argv->disks->len, n_rows);
    for (guint i = 0; i < n_rows; i++) {
        const ArgvDisk *disk = g_ptr_array_index(argv->disks, i);

        assert_text(disk->id, rows[i].id);
        assert_text(disk->driver, rows[i].driver);
        assert_text(disk->bus, rows[i].bus);
        assert_text(disk->drive, rows[i].drive);
        assert_text(disk->storage, rows[i].storage);
        assert_text(disk->throttle_group, rows[i].group);
        assert_int_equal(disk->has_limit, rows[i].bps > 0 || rows[i].iops > 0);
        assert_int_equal(disk->limit_bps, rows[i].bps);
        assert_int_equal(disk->limit_iops, rows[i].iops);
    }
}

static void
proxmox_with_drives_is_read(void **state)
{
    static const DiskRow disks[] = {
        {"ide2", "ide-cd", "ide.1", "drive-ide2", NULL, NULL, 0, 0},
        {"scsi0", "scsi-hd", "virtioscsi0.0", "drive-scsi0", "dev:/dev/pve/vm-100-disk-0", NULL,
         10485760, 500},
        {"virtio1", "virtio-blk-pci", "pci.0", "drive-virtio1",
         "file:/mnt/pve/nas/images/100/vm-100-disk-1.qcow2", NULL, 0, 0},
    };
    g_autoptr(Argv) argv = parse_file("proxmox");

    assert_text(argv->name, "web");
    assert_text(argv->id, "100");
    assert_null(argv->uuid);
    assert_true(argv->has_memory);
    assert_int_equal(argv->memory_bytes, 2048ull << 20);
    assert_false(argv->memory_is_shared);
    assert_true(argv->is_daemonized);
    assert_false(argv->is_paused_at_start);
    assert_false(argv->is_incoming);
    /* The event channel dials out and is nobody's to connect to. */
    assert_monitors(argv, 1, "/var/run/qemu-server/100.qmp", NULL);
    assert_text(((ArgvMonitor *)g_ptr_array_index(argv->monitors, 0))->chardev, "qmp");
    assert_disks(argv, disks, G_N_ELEMENTS(disks));
    assert_int_equal(argv->scsi_hosts->len, 1);
    assert_text(g_ptr_array_index(argv->scsi_hosts, 0), "virtioscsi0");
}

static void
proxmox_with_block_nodes_is_read(void **state)
{
    static const DiskRow disks[] = {
        {"scsi0", "scsi-hd", "virtioscsi0.0", "drive-scsi0", "dev:/dev/pve/vm-9001-disk-0",
         "throttle-drive-scsi0", 0, 300},
        {"scsi1", "scsi-hd", "virtioscsi0.0", "drive-scsi1", "rbd:ceph/vm-9001-disk-1",
         "throttle-drive-scsi1", 1048576, 0},
    };
    g_autoptr(Argv) argv = parse_file("proxmox-blockdev");

    assert_text(argv->id, "9001");
    assert_monitors(argv, 1, "/var/run/qemu-server/9001.qmp", NULL);
    assert_disks(argv, disks, G_N_ELEMENTS(disks));
    assert_text(g_ptr_array_index(argv->scsi_hosts, 0), "virtioscsi0");
    assert_true(argv->is_paused_at_start);
}

static void
libvirt_is_read_and_its_monitor_left_alone(void **state)
{
    static const DiskRow disks[] = {
        {"virtio-disk0", "virtio-blk-pci", "pci.4", "libvirt-2-format",
         "file:/var/lib/libvirt/images/mail.qcow2", NULL, 0, 0},
        {"scsi0-0-0-0", "scsi-hd", "scsi0.0", "libvirt-1-format", "nbd:10.0.0.5:10809", NULL, 0, 0},
    };
    g_autoptr(Argv) argv = parse_file("libvirt");

    assert_text(argv->name, "mail");
    assert_text(argv->uuid, "1f0e2d3c-0000-4000-8000-000000000001");
    assert_null(argv->id);
    assert_int_equal(argv->memory_bytes, 8ull << 30);
    assert_true(argv->memory_is_shared);
    assert_true(argv->is_incoming);
    assert_int_equal(argv->monitors->len, 0);
    assert_disks(argv, disks, G_N_ELEMENTS(disks));
    assert_true(argv->is_libvirt);
    assert_true(argv->has_libvirt_id);
    assert_int_equal(argv->libvirt_id, 3);
}

static void
kubevirt_is_read(void **state)
{
    static const DiskRow disks[] = {
        {"ua-rootdisk", "virtio-blk-pci-non-transitional", "pci.6", "libvirt-2-format",
         "dev:/dev/rootdisk", NULL, 0, 0},
        {"ua-cloudinitdisk", "virtio-blk-pci-non-transitional", "pci.7", "libvirt-1-format",
         "file:/var/run/kubevirt-ephemeral-disks/cloud-init-data/default/testvm/noCloud.iso", NULL,
         0, 0},
    };
    g_autoptr(Argv) argv = parse_file("kubevirt");

    assert_text(argv->name, "default_testvm");
    assert_int_equal(argv->memory_bytes, 1ull << 30);
    assert_false(argv->memory_is_shared);
    assert_int_equal(argv->monitors->len, 0);
    assert_disks(argv, disks, G_N_ELEMENTS(disks));
}

static void
a_bare_command_line_is_read(void **state)
{
    static const DiskRow disks[] = {
        {"virtio0", "virtio-blk", NULL, "virtio0", "nbd:/run/x.sock", NULL, 1, 0},
        {"virtio1", "virtio-blk", NULL, "virtio1", "nbd:/run/y.sock", "g", 200, 0},
        {"ide0-hd0", "ide-hd", NULL, "ide0-hd0", "file:/srv/a,b.img", NULL, 0, 0},
        {"ide1-cd0", "ide-cd", NULL, "ide1-cd0", "file:/srv/install.iso", NULL, 0, 0},
        {"disk-z", "virtio-blk-pci", NULL, "z", "nbd:/run/z.sock", NULL, 0, 0},
    };
    g_autoptr(Argv) argv = parse_file("bare");

    assert_text(argv->name, "bare, with a comma");
    assert_int_equal(argv->memory_bytes, 1ull << 30);
    /* Not TCP, not a client, not a human's, and not the guest's kernel argument. */
    assert_monitors(argv, 2, "/tmp/a,b.sock", "/tmp/second.sock");
    assert_null(((ArgvMonitor *)g_ptr_array_index(argv->monitors, 0))->chardev);
    assert_disks(argv, disks, G_N_ELEMENTS(disks));
}

static void
storage_is_named_by_what_is_shared(void **state)
{
    static const DiskRow disks[] = {
        {NULL, "scsi-hd", NULL, "i", "iscsi:[fd00::1]:3260/iqn.2001-04.com.example:disk/3", NULL, 0,
         0},
        {"j0", "scsi-hd", NULL, "j", "iscsi:10.0.0.9:3260/iqn.x/1", NULL, 0, 0},
        {"r0", "scsi-hd", NULL, "r", "rbd:pool/image", NULL, 0, 0},
        {"h0", "scsi-cd", NULL, "h", "https:", NULL, 0, 0},
        {"b0", "scsi-hd", NULL, "b", "blkdebug:", NULL, 0, 0},
        {"f0", "scsi-hd", NULL, "f", NULL, NULL, 0, 0},
    };
    g_autoptr(Argv) argv = parse_file("bare-iscsi");

    assert_disks(argv, disks, G_N_ELEMENTS(disks));
    assert_int_equal(argv->memory_bytes, 512ull << 20);
    assert_false(argv->memory_is_shared); /* the shared file is not the guest's RAM */
    assert_monitors(argv, 1, "/run/vm.qmp", NULL);
    assert_int_equal(argv->scsi_hosts->len, 1);
    assert_text(g_ptr_array_index(argv->scsi_hosts, 0), "");
}

typedef struct {
    const char *name, *size;
    guint64 bytes; /* 0: absent */
} MemoryRow;

/* As QEMU 7.2 takes or refuses them. */
static const MemoryRow memory_rows[] = {
    {"-m 512 is MiB", "512", 512ull << 20},
    {"-m 512M is MiB", "512M", 512ull << 20},
    {"-m 2g is GiB", "2g", 2ull << 30},
    {"-m 1T is TiB", "1T", 1ull << 40},
    {"-m 0.5G is half a GiB", "0.5G", 512ull << 20},
    {"-m size=1G,slots=2,maxmem=4G is its size", "size=1G,slots=2,maxmem=4G", 1ull << 30},
    {"-m slots=2,size=1048576k is its size", "slots=2,size=1048576k", 1ull << 30},
    {"-m 1.5 is refused", "1.5", 0},
    {"-m 512MB is refused", "512MB", 0},
    {"-m 1e3 is refused", "1e3", 0},
    {"-m -1 is refused", "-1", 0},
    {"-m 0 is no size", "0", 0},
    {"-m past 64 bits is refused", "99999999999999999999", 0},
    {"-m 16E overflows", "16E", 0},
    {"-m with an empty value is refused", "", 0},
    {"-m abc is refused", "abc", 0},
};

static void
memory_is_parsed(void **state)
{
    const MemoryRow *row = *state;
    g_autoptr(Argv) argv = parse("-m", row->size);

    assert_int_equal(argv->has_memory, row->bytes > 0);
    assert_int_equal(argv->has_memory ? argv->memory_bytes : 0, row->bytes);
}

static void
shared_memory_is_what_all_of_ram_is_made_of(void **state)
{
    g_autoptr(Argv) memfd =
        parse("-machine", "q35,memory-backend=m", "-object", "memory-backend-memfd,id=m,size=1G");
    g_autoptr(Argv) private_memfd = parse("-object", "memory-backend-memfd,id=m,size=1G,share=off",
                                          "-machine", "memory-backend=m");
    g_autoptr(Argv) private_file =
        parse("-M", "q35,memory-backend=m", "-object",
              "memory-backend-file,id=m,size=1G,mem-path=/dev/hugepages");
    g_autoptr(Argv) one_of_two = parse("-object", "memory-backend-ram,id=a,size=1G,share=on",
                                       "-object", "memory-backend-ram,id=b,size=1G", "-numa",
                                       "node,memdev=a", "-numa", "node,memdev=b");
    g_autoptr(Argv) dangling = parse("-machine", "memory-backend=nothing");

    assert_true(memfd->memory_is_shared);
    assert_false(private_memfd->memory_is_shared);
    assert_false(private_file->memory_is_shared);
    assert_false(one_of_two->memory_is_shared);
    assert_false(dangling->memory_is_shared);
    assert_int_equal(memfd->memory_huge_pages, HUGE_PAGES_NO);
    assert_int_equal(private_file->memory_huge_pages, HUGE_PAGES_PERHAPS);
}

static void
huge_pages_are_what_all_of_ram_is_made_of(void **state)
{
    g_autoptr(Argv) memfd = parse("-object", "memory-backend-memfd,id=m,size=1G,hugetlb=on",
                                  "-machine", "memory-backend=m");
    g_autoptr(Argv) one_of_two = parse("-object", "memory-backend-memfd,id=a,size=1G,hugetlb=on",
                                       "-object", "memory-backend-ram,id=b,size=1G", "-numa",
                                       "node,memdev=a", "-numa", "node,memdev=b");
    g_autoptr(Argv) path = parse("-m", "1G", "-mem-path", "/dev/hugepages");
    g_autoptr(Argv) plain = parse("-m", "1G");

    assert_int_equal(memfd->memory_huge_pages, HUGE_PAGES_YES);
    assert_int_equal(one_of_two->memory_huge_pages, HUGE_PAGES_NO);
    assert_int_equal(path->memory_huge_pages, HUGE_PAGES_PERHAPS);
    assert_int_equal(plain->memory_huge_pages, HUGE_PAGES_NO);
}

static void
a_balloon_is_seen(void **state)
{
    g_autoptr(Argv) with = parse("-device", "virtio-balloon-pci,id=b");
    g_autoptr(Argv) without = parse("-device", "virtio-blk-pci,drive=d");

    assert_true(with->has_balloon);
    assert_false(without->has_balloon);
}

static void
an_argument_that_is_no_option_is_the_first_disk(void **state)
{
    static const DiskRow disks[] = {
        {"ide0-hd0", "ide-hd", NULL, "ide0-hd0", "file:/srv/positional.img", NULL, 0, 0},
    };
    g_autoptr(Argv) argv = parse("-nographic", "/srv/positional.img", "-boot", "c");

    assert_disks(argv, disks, G_N_ELEMENTS(disks));
}

static void
hostile_arguments_are_absent(void **state)
{
    g_autofree char *nested = g_strnfill(80000, '[');
    g_autofree char *deep = g_strnfill(200, '[');
    g_autofree char *deep_json =
        g_strconcat("{\"driver\":\"file\",\"node-name\":\"n\",\"a\":", deep, NULL);
    g_autofree char *nested_json = g_strconcat("{\"a\":", nested, NULL);
    g_autoptr(Argv) argv =
        parse("-blockdev", nested_json, "-blockdev", deep_json, "-blockdev", "{", "-blockdev", "{}",
              "-blockdev", "[]", "-blockdev", "{\"node-name\":\"\xff\"}", "-blockdev",
              "{\"node-name\":\"a\",\"driver\":\"raw\",\"file\":\"b\"}", "-blockdev",
              "{\"node-name\":\"b\",\"driver\":\"raw\",\"file\":\"a\"}", "-device",
              "scsi-hd,drive=a", "-device", "scsi-hd,drive=nowhere", "-device", "", "-device",
              ",,,=", "-drive", "", "-qmp", "unix:", "-qmp", "unix:,server", "-mon",
              "chardev=nobody,mode=control", "-", "x", "--", "y", "-name");

    assert_null(argv->name);
    assert_int_equal(argv->monitors->len, 0);
    /* A loop of nodes and a missing one are disks on unknown storage. */
    for (guint i = 0; i < argv->disks->len; i++)
        assert_null(((ArgvDisk *)g_ptr_array_index(argv->disks, i))->storage);
}

static void
a_flood_is_cut(void **state)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new();
    g_autoptr(Argv) argv = NULL;
    g_autoptr(Argv) nothing = argv_parse((const char *const[]){NULL});

    g_ptr_array_add(arguments, (gpointer) "kvm");
    for (guint i = 0; i < 5000; i++) {
        g_ptr_array_add(arguments, (gpointer) "-device");
        g_ptr_array_add(arguments, (gpointer) "scsi-hd,drive=d");
    }
    g_ptr_array_add(arguments, (gpointer) "-S");
    g_ptr_array_add(arguments, NULL);
    argv = argv_parse((const char *const *)arguments->pdata);
    assert_int_equal(argv->disks->len, 1024);
    assert_false(argv->is_paused_at_start);
    assert_int_equal(nothing->disks->len, 0);
}

static void
qemu_is_known_by_its_name(void **state)
{
    static const char *const qemus[] = {"/usr/bin/qemu-system-x86_64",
                                        "qemu-system-aarch64",
                                        "/usr/libexec/qemu-kvm",
                                        "/usr/bin/kvm",
                                        "kvm",
                                        "/usr/bin/kvm (deleted)",
                                        "qemu-system-x86"};
    static const char *const others[] = {"",        "/",    "qemu-img", "/usr/bin/qemu-nbd",
                                         "kvm-pit", "kvmx", "/kvm/sh",  "virtqemud"};

    for (guint i = 0; i < G_N_ELEMENTS(qemus); i++)
        assert_true(argv_is_qemu(qemus[i]));
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        assert_false(argv_is_qemu(others[i]));
}

static void
libvirts_monitor_is_never_a_monitor_of_ours(void **state)
{
    const char *const words[] = {
        "qemu-system-x86_64",
        "-chardev",
        "socket,id=charmonitor,path=/var/lib/libvirt/qemu/domain-12-web/monitor.sock,server=on",
        "-mon",
        "chardev=charmonitor,id=monitor,mode=control",
        "-qmp",
        "unix:/run/mine.sock,server=on",
        NULL};
    const char *const other[] = {"qemu-system-x86_64",
                                 "-chardev",
                                 "socket,id=mon,path=/x/domain-12-web/monitor.sock,server=on",
                                 "-mon",
                                 "chardev=mon,mode=control",
                                 NULL};
    g_autoptr(Argv) argv = argv_parse(words);
    g_autoptr(Argv) bare = argv_parse(other);

    assert_true(argv->is_libvirt);
    assert_true(argv->has_libvirt_id);
    assert_int_equal(argv->libvirt_id, 12);
    assert_int_equal(argv->monitors->len, 1);
    assert_string_equal(((const ArgvMonitor *)argv->monitors->pdata[0])->path, "/run/mine.sock");
    assert_false(bare->is_libvirt);
    assert_false(bare->has_libvirt_id);
    assert_int_equal(bare->monitors->len, 1);
}

int
main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(proxmox_with_drives_is_read),
        cmocka_unit_test(proxmox_with_block_nodes_is_read),
        cmocka_unit_test(libvirt_is_read_and_its_monitor_left_alone),
        cmocka_unit_test(libvirts_monitor_is_never_a_monitor_of_ours),
        cmocka_unit_test(kubevirt_is_read),
        cmocka_unit_test(a_bare_command_line_is_read),
        cmocka_unit_test(storage_is_named_by_what_is_shared),
        cmocka_unit_test(shared_memory_is_what_all_of_ram_is_made_of),
        cmocka_unit_test(huge_pages_are_what_all_of_ram_is_made_of),
        cmocka_unit_test(a_balloon_is_seen),
        cmocka_unit_test(an_argument_that_is_no_option_is_the_first_disk),
        cmocka_unit_test(hostile_arguments_are_absent),
        cmocka_unit_test(a_flood_is_cut),
        cmocka_unit_test(qemu_is_known_by_its_name),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(others) + G_N_ELEMENTS(memory_rows)];
    guint n = G_N_ELEMENTS(others);

    memcpy(tests, others, sizeof others);
    for (guint i = 0; i < G_N_ELEMENTS(memory_rows); i++)
        tests[n++] = t_row(memory_rows[i].name, memory_is_parsed, &memory_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
