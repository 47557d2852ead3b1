/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Audit of what the next start will bring, beside what runs. */

#include "t.h"

#include "audit-facts.h"
#include "audit-fixture.h"
#include "fake-host.h"

#include <string.h>

static void
what_the_configuration_mended_is_not_in_effect_yet(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) json = {0}, text = {0};
    g_autofree char *findings = NULL;

    tree_file(fixture->tree, "etc/pve/qemu-server/102.conf",
              "scsihw: virtio-scsi-single\nmemory: 2048\nserial0: socket\nwatchdog: i6300esb\n"
              "scsi0: local-lvm:vm-102-disk-0,bps_wr=62914560,iothread=1\nide2: none,media=cdrom\n"
              "[before]\nscsihw: lsi\n");
    json = audit_fixture_run(fixture, "102", true);
    findings = audit_fixture_findings(json.out, "devvm");
    assert_string_equal(findings, "lsi-controller scsi0 10\n"
                                  "bps-without-effect scsi0 01\n"
                                  "oom-score - 1\n"
                                  "limit-without-burst scsi0 10\n"
                                  "no-own-monitor - 11\n"
                                  "no-panic-device - 11\n"
                                  "no-serial - 10\n"
                                  "no-watchdog - 10\n");
    text = audit_fixture_run(fixture, "102", false);
    assert_non_null(strstr(text.out, "danger  lsi-controller  scsi0  (running; mended in the "
                                     "configuration, not in effect until stop and start)"));
    assert_non_null(strstr(text.out, "qm set 102 --scsihw virtio-scsi-single"));
    assert_null(strstr(text.out, "clean"));
}

#define UUID "6f1d2b9a-5a0e-4c55-8a3e-0d8f5a8d1b11"
#define DEFINED(uuid, devices)                                                                     \
    "<!-- edited by virsh --><domain type='kvm'><name>store</name><uuid>" uuid                     \
    "</uuid><memory unit='MiB'>1024</memory><os><type machine='pc-q35-9.0'>hvm</type></os>"        \
    "<devices>" devices "<memballoon model='none'/></devices></domain>"

static void
start_domain(const AuditFixture *fixture)
{
    static const char *const words[] = {
        "qemu-system-x86_64",
        "-name",
        "guest=store",
        "-uuid",
        UUID,
        "-m",
        "1024",
        "-object",
        "secret,id=masterKey0,file=/x/domain-3-store/master-key.aes",
        "-chardev",
        "socket,id=charmonitor,fd=9,server=on",
        "-mon",
        "chardev=charmonitor,mode=control",
        "-device",
        "lsi,id=scsi0",
        "-drive",
        "file=/a.raw,if=none,id=d0,cache=unsafe,aio=threads",
        "-device",
        "scsi-hd,bus=scsi0.0,drive=d0,id=scsi0-0-0-0",
        "-drive",
        "file=/b.raw,if=none,id=d1,cache=none,aio=threads",
        "-object",
        "iothread,id=iothread1",
        "-device",
        "virtio-blk-pci,drive=d1,id=virtio-disk0,iothread=iothread1",
        "-serial",
        "stdio",
        NULL};

    fake_host_process(fixture->tree, 104, 1, "qemu-system-x86", words);
    tree_file(fixture->tree, "proc/104/oom_score_adj", "-999\n");
}

static void
a_definition_of_libvirt_is_told_apart_too(void **state)
{
    static const char mended[] = DEFINED(
        UUID,
        "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='threads'/>"
        "<source file='/a.raw'/><target dev='sda' bus='scsi'/>"
        "<address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>"
        "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe' "
        "iothread='1'/><source file='/b.raw'/><target dev='vda' bus='virtio'/></disk>"
        "<controller type='scsi' index='0' model='virtio-scsi'><driver iothread='1'/></controller>"
        "<watchdog model='i6300esb' action='reset'/><serial type='pty'/>");
    const AuditFixture *fixture = *state;
    g_auto(Run) json = {0}, other = {0};
    g_autofree char *findings = NULL, *alone = NULL;

    start_domain(fixture);
    tree_file(fixture->tree, "etc/libvirt/qemu/store.xml", mended);
    json = audit_fixture_run(fixture, "store", true);
    findings = audit_fixture_findings(json.out, "store");
    assert_string_equal(findings, "lsi-controller scsi0-0-0-0 10\n"
                                  "unsafe-cache scsi0-0-0-0 10\n"
                                  "unsafe-cache virtio-disk0 01\n"
                                  "oom-score - 1\n" /* no definition tells of it */
                                  "no-own-monitor - 1\n"
                                  "no-panic-device - 11\n"
                                  "no-watchdog - 10\n");
    /* a domain of the same name in another libvirtd is none of its */
    tree_file(fixture->tree, "etc/libvirt/qemu/store.xml",
              DEFINED("00000000-5a0e-4c55-8a3e-0d8f5a8d1b11", ""));
    other = audit_fixture_run(fixture, "store", true);
    alone = audit_fixture_findings(other.out, "store");
    assert_non_null(strstr(alone, "lsi-controller scsi0-0-0-0 1\n"));
    assert_null(strstr(alone, "10\n"));
}

/* virsh takes targets, and knows no alias. */
static void
remedies_for_libvirt_name_its_targets(void **state)
{
    static const char limited[] = DEFINED(
        UUID,
        "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/>"
        "<source file='/a.raw'/><target dev='sda' bus='scsi'/><alias name='scsi0-0-0-0'/></disk>"
        "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' "
        "iothread='1'/><source file='/b.raw'/><target dev='vdb' bus='virtio'/>"
        "<alias name='ua-data'/><iotune><read_iops_sec>50</read_iops_sec>"
        "<write_bytes_sec>1000</write_bytes_sec></iotune></disk>");
    const AuditFixture *fixture = *state;
    g_auto(Run) run = {0};

    start_domain(fixture);
    tree_file(fixture->tree, "etc/libvirt/qemu/store.xml", limited);
    run = audit_fixture_run(fixture, "store", false);
    assert_non_null(strstr(run.out, "virsh edit store: <driver cache='none'/> for sda"));
    assert_non_null(strstr(run.out, "virsh blkdeviotune store vdb --write-bytes-sec-max 2000 "
                                    "--read-iops-sec-max 100 --live --config\n"));
    assert_null(strstr(run.out, "for scsi0-0-0-0"));
}

static void
an_unreadable_definition_is_said(void **state)
{
    const AuditFixture *fixture = *state;
    g_auto(Run) run = {0};

    start_domain(fixture);
    tree_file(fixture->tree, "etc/libvirt/qemu/store.xml", "<domain><name>");
    run = audit_fixture_run(fixture, "store", false);
    assert_non_null(strstr(run.out, "  but"));
    assert_non_null(strstr(run.out, "lsi-controller"));
}

static void
what_is_pending_counts_for_the_next_start(void **state)
{
    static const char text[] = "scsihw: virtio-scsi-single\nscsi0: a:b,iothread=1\n"
                               "virtio1: a:c,iothread=1,cache=unsafe\n"
                               "[PENDING]\nscsihw: lsi\ndelete: virtio1\nscsi2: a:d,mbps=60\n";
    g_autoptr(PveConf) conf = pveconf_parse(text, strlen(text));
    g_autoptr(AuditVm) vm = audit_facts_pve(conf);
    const AuditDisk *first, *second;

    assert_int_equal(vm->disks->len, 2);
    first = vm->disks->pdata[0];
    second = vm->disks->pdata[1];
    assert_string_equal(first->label, "scsi0");
    assert_int_equal(first->controller, CONTROLLER_LSI);
    assert_int_equal(first->has_iothread, AUDIT_NO);
    assert_string_equal(second->label, "scsi2");
    assert_int_equal(second->has_limit, AUDIT_YES);
    assert_int_equal(second->has_burst, AUDIT_NO);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_AUDIT(what_the_configuration_mended_is_not_in_effect_yet),
        WITH_AUDIT(a_definition_of_libvirt_is_told_apart_too),
        WITH_AUDIT(remedies_for_libvirt_name_its_targets),
        WITH_AUDIT(an_unreadable_definition_is_said),
        WITH_AUDIT(what_is_pending_counts_for_the_next_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
