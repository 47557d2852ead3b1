/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command line says of disks, and of what serves them. */
#include "t.h"

#include "argv-words.h"

static const ArgvDisk *
disk_at(const Argv *argv, guint i)
{
    assert_true(i < argv->disks->len);
    return argv->disks->pdata[i];
}

static void
unnamed_drives_get_qemus_names(void **state)
{
    g_autoptr(Argv) argv = parse("-drive", "file=a,if=virtio,id=mine", "-drive", "file=b,if=virtio",
                                 "-drive", "file=c", "-drive", "file=d", "-drive",
                                 "file=e,media=cdrom", "-drive", "file=f,if=scsi,bus=1");
    static const char *const ids[] = {"mine",     "virtio1",  "ide0-hd0",
                                      "ide0-hd1", "ide1-cd0", "scsi1-hd0"};

    assert_int_equal(argv->disks->len, G_N_ELEMENTS(ids));
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
        assert_text(((ArgvDisk *)g_ptr_array_index(argv->disks, i))->id, ids[i]);
}

static void
what_an_audit_asks_is_told(void **state)
{
    g_autoptr(Argv) argv = parse(
        "-machine", "pc-i440fx-9.2+pve1,accel=kvm", "-object", "iothread,id=t0", "-object",
        "iothread,id=t1", "-object", "throttle-group,id=g,x-bps-total=9,x-bps-total-max=10",
        "-device", "lsi,id=scsihw0,bus=pci.0", "-device", "virtio-scsi-pci,id=vs,iothread=t0",
        "-drive", "file=/a,if=none,id=d0,cache=unsafe,werror=ignore", "-device",
        "scsi-hd,bus=scsihw0.0,drive=d0,id=scsi0", "-drive",
        "file=/b,if=none,id=d1,cache=none,throttling.bps-read=9", "-device",
        "scsi-hd,bus=vs.0,drive=d1,id=scsi1,rerror=report", "-blockdev",
        "{\"driver\":\"throttle\",\"throttle-group\":\"g\",\"node-name\":\"n\",\"file\":{"
        "\"driver\":"
        "\"file\",\"filename\":\"/c\",\"aio\":\"native\",\"cache\":{\"direct\":true}}}",
        "-device",
        "{\"driver\":\"virtio-blk-pci\",\"drive\":\"n\",\"id\":\"v\",\"iothread-vq-mapping\":[{"
        "\"iothread\":\"t0\"},{\"iothread\":\"t1\"}]}",
        "-device", "virtio-balloon-pci,free-page-reporting=on", "-device", "i6300esb", "-device",
        "pvpanic", "-serial", "unix:/s", "-object", "memory-backend-memfd,id=m0,size=1G,hugetlb=on",
        "-object", "memory-backend-ram,id=m1,size=1G", "-numa", "node,memdev=m0", "-numa",
        "node,memdev=m1");
    g_autoptr(Argv) plain = parse("-serial", "none", "-drive", "file=/a");

    assert_string_equal(argv->machine, "pc-i440fx-9.2+pve1");
    assert_string_equal(disk_at(argv, 0)->controller, "lsi");
    assert_string_equal(argv_disk_model(disk_at(argv, 0)), "lsi");
    assert_true(disk_at(argv, 0)->ignores_flush);
    assert_false(disk_at(argv, 0)->is_direct);
    assert_string_equal(disk_at(argv, 0)->werror, "ignore");
    assert_int_equal(disk_at(argv, 0)->n_iothreads, 0);
    assert_string_equal(disk_at(argv, 1)->controller, "virtio-scsi-pci");
    assert_true(disk_at(argv, 1)->is_direct);
    assert_false(disk_at(argv, 1)->has_burst);
    assert_string_equal(disk_at(argv, 1)->rerror, "report");
    assert_int_equal(disk_at(argv, 1)->n_iothreads, 1);
    assert_null(disk_at(argv, 2)->controller);
    assert_string_equal(argv_disk_model(disk_at(argv, 2)), "virtio-blk-pci");
    assert_string_equal(disk_at(argv, 2)->aio, "native");
    assert_true(disk_at(argv, 2)->is_direct);
    assert_true(disk_at(argv, 2)->has_burst);
    assert_int_equal(disk_at(argv, 2)->n_iothreads, 2);
    assert_true(argv->has_balloon && argv->balloon_reports && argv->has_watchdog);
    assert_true(argv->has_serial && argv->has_panic_device);
    assert_int_equal(argv->n_backends, 2);
    assert_int_equal(argv->n_huge_backends, 1);
    assert_false(plain->has_balloon || plain->has_watchdog || plain->has_serial);
    assert_null(plain->machine);
    assert_null(disk_at(plain, 0)->aio);
}

static void
rings_iothreads_and_taps_are_told(void **state)
{
    g_autoptr(Argv) drives = parse_file("proxmox");
    g_autoptr(Argv) nodes = parse_file("proxmox-blockdev");
    g_autoptr(Argv) kubevirt = parse_file("kubevirt");
    g_autoptr(Argv) one =
        parse("-drive",
              "file=json:{\"driver\":\"raw\",,\"file\":{\"driver\":"
              "\"file\",,\"filename\":\"/a\",,\"aio\":\"io_uring\"}}",
              "-drive", "file=/b,aio=threads", "-nic", "tap,ifname=t0", "-netdev",
              "user,id=n,ifname=no", "-net", "tap,ifname=t1", "-netdev", "tap,fd=3");

    for (guint i = 0; i < drives->disks->len; i++)
        assert_string_equal(((ArgvDisk *)drives->disks->pdata[i])->aio, "io_uring");
    assert_string_equal(((ArgvDisk *)nodes->disks->pdata[0])->aio, "io_uring");
    assert_string_not_equal(((ArgvDisk *)kubevirt->disks->pdata[0])->aio, "io_uring");
    assert_string_equal(((ArgvDisk *)one->disks->pdata[0])->aio, "io_uring");
    assert_string_not_equal(((ArgvDisk *)one->disks->pdata[1])->aio, "io_uring");
    assert_int_equal(drives->n_iothreads, 1);
    assert_int_equal(one->n_iothreads, 0);
    assert_int_equal(drives->taps->len, 1);
    assert_text(drives->taps->pdata[0], "tap100i0");
    assert_int_equal(one->taps->len, 2);
    assert_text(one->taps->pdata[0], "t0");
    assert_text(one->taps->pdata[1], "t1");
}

static void
assert_limits(const ArgvDisk *disk, const char *expected)
{
    g_autofree char *text = disk->limits ? g_strjoinv(" ", disk->limits) : NULL;

    assert_text(text, expected);
}

static void
limits_are_read_whole(void **state)
{
    g_autoptr(Argv) argv = parse(
        "-drive", "if=none,id=a,bps=5,iops_rd=7,iops_rd_max=9,iops_size=4096", "-device",
        "ide-hd,drive=a", "-drive",
        "if=none,id=b,throttling.bps-write=6,throttling.bps-write-max=8,"
        "throttling.bps-write-max-length=2,throttling.group=g",
        "-device", "ide-hd,drive=b", "-object",
        "{\"qom-type\":\"throttle-group\",\"id\":\"t\",\"limits\":{\"iops-total\":3}}", "-blockdev",
        "driver=throttle,node-name=c,throttle-group=t,file.driver=null-co", "-device",
        "ide-hd,drive=c", "-blockdev", "driver=null-co,node-name=d", "-device", "ide-hd,drive=d");

    assert_limits(g_ptr_array_index(argv->disks, 0),
                  "bps-total 5 bps-read 0 bps-write 0 iops-total 0 iops-read 7 iops-read-max 9 "
                  "iops-write 0 iops-size 4096");
    assert_limits(g_ptr_array_index(argv->disks, 1),
                  "bps-total 0 bps-read 0 bps-write 6 bps-write-max 8 bps-write-max-length 2 "
                  "iops-total 0 iops-read 0 iops-write 0");
    assert_limits(g_ptr_array_index(argv->disks, 2),
                  "bps-total 0 bps-read 0 bps-write 0 iops-total 3 iops-read 0 iops-write 0");
    assert_limits(g_ptr_array_index(argv->disks, 3), NULL);
    assert_false(((ArgvDisk *)g_ptr_array_index(argv->disks, 1))->is_group_object);
    assert_true(((ArgvDisk *)g_ptr_array_index(argv->disks, 2))->is_group_object);
}

static void
what_does_not_pass_the_block_layer_is_named(void **state)
{
    g_autoptr(Argv) argv = parse("-chardev", "socket,id=c0,path=/run/v.sock", "-device",
                                 "vhost-user-blk-pci,chardev=c0,id=vda", "-device",
                                 "vhost-user-fs-pci,chardev=c1,tag=x", "-device",
                                 "{\"driver\": \"vfio-pci\", \"host\": \"0000:01:00.0\"}",
                                 "-device", "virtio-net-pci,id=net0");
    g_autoptr(Argv) plain = parse("-device", "virtio-blk-pci,drive=d0,id=vda");

    assert_int_equal(argv->unwatched->len, 2);
    assert_text(argv->unwatched->pdata[0], "vhost-user-blk-pci vda");
    assert_text(argv->unwatched->pdata[1], "vfio-pci 0000:01:00.0");
    assert_int_equal(plain->unwatched->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unnamed_drives_get_qemus_names),
        cmocka_unit_test(what_an_audit_asks_is_told),
        cmocka_unit_test(rings_iothreads_and_taps_are_told),
        cmocka_unit_test(limits_are_read_whole),
        cmocka_unit_test(what_does_not_pass_the_block_layer_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
