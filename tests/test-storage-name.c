/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "storage-name.h"

typedef struct {
    const char *name, *identity, *called;
} Row;

static const Row rows[] = {
    {"a file system is called by its mount point and source", "dev:7:0",
     "/mnt/a b, /dev/loop0 (dev:7:0)"},
    {"so is one of the network, whose number is nobody's", "dev:0:52",
     "/mnt/pve/nas, nas:/export (dev:0:52)"},
    {"a part of it is no name for the whole", "dev:8:1", "/dev/sda1 (dev:8:1)"},
    {"a logical volume has its own name", "dev:254:14", "pve-vm--102--disk--0 (dev:254:14)"},
    {"what is mounted twice is called by the older mount", "dev:9:0", "/old, /dev/md0 (dev:9:0)"},
    {"a device nobody knows keeps its number", "dev:1:1", "dev:1:1"},
    {"half a number is another one", "dev:7:01", "dev:7:01"},
    {"what is no device has its name already", "nbd:unix:/run/a.sock", "nbd:unix:/run/a.sock"},
    {"what begins like one is none", "dev:/srv/a", "dev:/srv/a"},
    {"a terminal is told no more than a name", "dev:7:1", "/mnt/\\x1b[2J, x (dev:7:1)"},
};

static Tree *
host_tree(void)
{
    Tree *tree = tree_new();

    tree_file(tree, "proc/self/mountinfo",
              "21 1 8:1 /var /var rw - ext4 /dev/sda1 rw\n"
              "30 21 7:0 / /mnt/a\\040b rw,noatime shared:9 - ext4 /dev/loop0 rw\n"
              "31 21 0:52 / /mnt/pve/nas rw - nfs4 nas:/export rw,vers=4.2\n"
              "32 21 9:0 / /old rw - xfs /dev/md0 rw\n"
              "33 21 9:0 / /new rw - xfs /dev/md0 rw\n"
              "34 21 7:1 / /mnt/\\033[2J rw - ext4 x rw\n"
              "35 21 7:2\n");
    tree_file(tree, "sys/devices/virtual/block/dm-14/dm/name", "pve-vm--102--disk--0\n");
    tree_link(tree, "sys/dev/block/254:14", "../../devices/virtual/block/dm-14");
    tree_file(tree, "sys/devices/pci0/sda/sda1/uevent", "MAJOR=8\nMINOR=1\nDEVNAME=sda1\nX=1\n");
    tree_link(tree, "sys/dev/block/8:1", "../../devices/pci0/sda/sda1");
    return tree;
}

static void
a_storage_is_called(void **state)
{
    const Row *row = *state;
    g_autoptr(Tree) tree = host_tree();
    g_autoptr(Host) host = fake_host_new(tree);
    g_autofree char *called = storage_name(host, row->identity);

    assert_string_equal(called, row->called);
}

static void
without_mountinfo_and_sysfs_the_number_stays(void **state)
{
    g_autoptr(Tree) tree = tree_new();
    g_autoptr(Host) host = fake_host_new(tree);
    g_autofree char *called = storage_name(host, "dev:7:0");

    assert_string_equal(called, "dev:7:0");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + 1];

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[i] = t_row(rows[i].name, a_storage_is_called, &rows[i]);
    tests[G_N_ELEMENTS(rows)] =
        (struct CMUnitTest)cmocka_unit_test(without_mountinfo_and_sysfs_the_number_stays);
    return cmocka_run_group_tests_name("names of storage", tests, NULL, NULL);
}
