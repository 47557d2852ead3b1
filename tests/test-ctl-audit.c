/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "audit-facts.h"
#include "fake-host.h"
#include "run-ctl.h"

#include <json-glib/json-glib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    Tree *tree;
} Fixture;

/* The VM of the founding incident, and one beside it that is as it should be. */
static const char *const incident_words[] = {
    "/usr/bin/kvm",
    "-id",
    "102",
    "-name",
    "devvm",
    "-m",
    "2048",
    "-chardev",
    "socket,id=qmp,path=/var/run/qemu-server/102.qmp,server=on,wait=off",
    "-mon",
    "chardev=qmp,mode=control",
    "-device",
    "lsi,id=scsihw0,bus=pci.0",
    "-drive",
    "file=/dev/pve/vm-102-disk-0,if=none,id=drive-scsi0,cache=none,aio=io_uring,"
    "throttling.bps-write=62914560",
    "-device",
    "scsi-hd,bus=scsihw0.0,drive=drive-scsi0,id=scsi0",
    "-drive",
    "if=none,id=drive-ide2,media=cdrom",
    "-device",
    "ide-cd,bus=ide.1,drive=drive-ide2,id=ide2",
    "-machine",
    "type=pc-i440fx-9.2+pve1",
    NULL};
static const char *const clean_words[] = {
    "/usr/bin/kvm",
    "-name",
    "clean",
    "-m",
    "1024",
    "-qmp",
    "unix:/run/a.sock,server=on",
    "-qmp",
    "unix:/run/b.sock,server=on",
    "-object",
    "iothread,id=t0",
    "-drive",
    "file=/srv/clean.raw,if=none,id=d,cache=none,aio=threads,werror=stop",
    "-device",
    "virtio-blk-pci,drive=d,id=v,iothread=t0",
    "-device",
    "i6300esb",
    "-device",
    "pvpanic",
    "-serial",
    "file:/srv/clean.log",
    NULL};

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autoptr(Host) host = NULL;

    *state = fixture;
    fixture->tree = tree_new();
    host = fake_host_new(fixture->tree);
    fake_host_process(fixture->tree, 102, 1, "kvm", incident_words);
    fake_host_process(fixture->tree, 103, 1, "kvm", clean_words);
    tree_file(fixture->tree, "run/qemu-server/102.pid", "102\n");
    tree_file(fixture->tree, "proc/meminfo", "MemTotal:       16777216 kB\n");
    tree_file(fixture->tree, "proc/102/oom_score_adj", "-999\n");
    tree_file(fixture->tree, "proc/103/oom_score_adj", "0\n");
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static Run
run_audit(const Fixture *fixture, const char *word, bool is_json)
{
    static const char *const names[] = {"proc", "sys", "run", "etc", "var", "config"};
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(words, g_strdup("audit"));
    if (word)
        g_ptr_array_add(words, g_strdup(word));
    if (is_json)
        g_ptr_array_add(words, g_strdup("--json"));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_ptr_array_add(
            words, g_strdup_printf("--%s-root=%s", names[i], tree_path(fixture->tree, names[i])));
    g_ptr_array_add(words, NULL);
    return run_ctl((const char *const *)words->pdata);
}

/* The findings of the VM with that name: "name disk running configured|", in order. */
static char *
findings_of(const char *json, const char *vm_name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = json_from_string(json, &error);
    GString *text = g_string_new(NULL);
    JsonArray *vms;

    if (!root)
        fail_msg("%s: %s", error ? error->message : "empty", json);
    vms = json_object_get_array_member(json_node_get_object(root), "vms");
    for (guint i = 0; i < json_array_get_length(vms); i++) {
        JsonObject *vm = json_array_get_object_element(vms, i);
        JsonArray *findings = json_object_get_array_member(vm, "findings");

        for (guint j = 0; j < json_array_get_length(findings) &&
                          strcmp(json_object_get_string_member(vm, "name"), vm_name) == 0;
             j++) {
            JsonObject *finding = json_array_get_object_element(findings, j);

            g_string_append_printf(text, "%s %s %d%s\n",
                                   json_object_get_string_member(finding, "name"),
                                   json_object_get_null_member(finding, "disk")
                                       ? "-"
                                       : json_object_get_string_member(finding, "disk"),
                                   json_object_get_boolean_member(finding, "running"),
                                   json_object_get_null_member(finding, "configured")      ? ""
                                   : json_object_get_boolean_member(finding, "configured") ? "1"
                                                                                           : "0");
        }
    }
    return g_string_free(text, FALSE);
}

static void
the_incident_has_its_risks_and_the_vm_beside_it_none(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) run = run_audit(fixture, NULL, true);
    g_autofree char *incident = findings_of(run.out, "devvm");
    g_autofree char *clean = findings_of(run.out, "clean");

    assert_string_equal(incident, "lsi-controller scsi0 1\n"
                                  "oom-score - 1\n"
                                  "limit-without-burst scsi0 1\n"
                                  "no-own-monitor - 1\n"
                                  "no-panic-device - 1\n"
                                  "no-serial - 1\n"
                                  "no-watchdog - 1\n");
    assert_string_equal(clean, "");
    assert_int_equal(run.status, 1);
}

static void
what_the_configuration_mended_is_not_in_effect_yet(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) json = {0}, text = {0};
    g_autofree char *findings = NULL;

    tree_file(fixture->tree, "etc/pve/qemu-server/102.conf",
              "scsihw: virtio-scsi-single\nmemory: 2048\nserial0: socket\nwatchdog: i6300esb\n"
              "scsi0: local-lvm:vm-102-disk-0,bps_wr=62914560,iothread=1\nide2: none,media=cdrom\n"
              "[before]\nscsihw: lsi\n");
    json = run_audit(fixture, "102", true);
    findings = findings_of(json.out, "devvm");
    assert_string_equal(findings, "lsi-controller scsi0 10\n"
                                  "bps-without-effect scsi0 01\n"
                                  "oom-score - 1\n"
                                  "limit-without-burst scsi0 10\n"
                                  "no-own-monitor - 11\n"
                                  "no-panic-device - 11\n"
                                  "no-serial - 10\n"
                                  "no-watchdog - 10\n");
    text = run_audit(fixture, "102", false);
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
start_domain(const Fixture *fixture)
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
    const Fixture *fixture = *state;
    g_auto(Run) json = {0}, other = {0};
    g_autofree char *findings = NULL, *alone = NULL;

    start_domain(fixture);
    tree_file(fixture->tree, "etc/libvirt/qemu/store.xml", mended);
    json = run_audit(fixture, "store", true);
    findings = findings_of(json.out, "store");
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
    other = run_audit(fixture, "store", true);
    alone = findings_of(other.out, "store");
    assert_non_null(strstr(alone, "lsi-controller scsi0-0-0-0 1\n"));
    assert_null(strstr(alone, "10\n"));
}

static void
an_unreadable_definition_is_said(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) run = {0};

    start_domain(fixture);
    tree_file(fixture->tree, "etc/libvirt/qemu/store.xml", "<domain><name>");
    run = run_audit(fixture, "store", false);
    assert_non_null(strstr(run.out, "  but"));
    assert_non_null(strstr(run.out, "lsi-controller"));
}

/* Fixtures of what no test machine has: a mapped rbd, a CIFS mount, a QEMU that maps a disk's
 * queues to several iothreads. Each beside what its remedy makes of it. */
typedef struct {
    const char *name, *drive, *device; /* device NULL: with one iothread */
    const char *expected;
    const char *more[9]; /* words beside, NULL at the end */
} PlaceRow;

#define ONE_THREAD "virtio-blk-pci,drive=d,id=v,iothread=t0"
#define TWO_THREADS                                                                                \
    "{\"driver\":\"virtio-blk-pci\",\"iothread-vq-mapping\":[{\"iothread\":\"t0\"},"               \
    "{\"iothread\":\"t1\"}],\"drive\":\"d\",\"id\":\"v\"}"
#define LIMIT ",throttling.bps-write=1000000,throttling.bps-write-max=2000000"

static const PlaceRow places[] = {
    {"io_uring on a mapped rbd with the host's cache",
     "file=/dev/rbd/pool/vm,cache=writeback,aio=io_uring",
     ONE_THREAD,
     "risky-io-uring v 1\n",
     {NULL}},
    {"threads on a mapped rbd",
     "file=/dev/rbd/pool/vm,cache=writeback,aio=threads",
     ONE_THREAD,
     "",
     {NULL}},
    {"io_uring on a mapped rbd with O_DIRECT",
     "file=/dev/rbd/pool/vm,cache=none,aio=io_uring",
     ONE_THREAD,
     "",
     {NULL}},
    {"io_uring on CIFS",
     "file=/mnt/share/vm.raw,cache=none,aio=io_uring",
     ONE_THREAD,
     "risky-io-uring v 1\n",
     {NULL}},
    {"threads on CIFS", "file=/mnt/share/vm.raw,cache=none,aio=threads", ONE_THREAD, "", {NULL}},
    {"io_uring beside CIFS",
     "file=/mnt/shared/vm.raw,cache=none,aio=io_uring",
     ONE_THREAD,
     "",
     {NULL}},
    {"a limit on a disk with several iothreads",
     "file=/a.raw,cache=none,aio=threads" LIMIT,
     TWO_THREADS,
     "throttle-several-iothreads v 1\n",
     {NULL}},
    {"several iothreads without a limit",
     "file=/a.raw,cache=none,aio=threads",
     TWO_THREADS,
     "",
     {NULL}},
    {"a limit on a disk with one iothread",
     "file=/a.raw,cache=none,aio=threads" LIMIT,
     ONE_THREAD,
     "",
     {NULL}},
    {"RAM half in huge pages",
     "file=/a.raw,cache=none,aio=threads",
     ONE_THREAD,
     "mixed-hugepages - 1\n",
     {"-object", "memory-backend-memfd,id=m0,size=512M,hugetlb=on", "-object",
      "memory-backend-ram,id=m1,size=512M", "-numa", "node,memdev=m0", "-numa", "node,memdev=m1"}},
    {"RAM in huge pages",
     "file=/a.raw,cache=none,aio=threads",
     ONE_THREAD,
     "",
     {"-object", "memory-backend-memfd,id=m0,size=512M,hugetlb=on", "-object",
      "memory-backend-memfd,id=m1,size=512M,hugetlb=on", "-numa", "node,memdev=m0", "-numa",
      "node,memdev=m1"}},
};

static void
check_place(const Fixture *fixture, const PlaceRow *row)
{
    g_autofree char *drive = g_strconcat(row->drive, ",if=none,id=d,format=raw,werror=stop", NULL);
    const char *words[G_N_ELEMENTS(clean_words) + G_N_ELEMENTS(row->more)] = {0};
    const char *last = NULL;
    guint n = 0;
    g_autofree char *found = NULL;
    g_auto(Run) run = {0};

    for (guint i = 0; clean_words[i]; i++) {
        const char *word = clean_words[i];

        if (last && strcmp(last, "-drive") == 0)
            word = drive;
        else if (word && g_str_has_prefix(word, "virtio-blk-pci"))
            word = row->device;
        words[n++] = word;
        last = clean_words[i];
    }
    for (guint i = 0; row->more[i]; i++)
        words[n++] = row->more[i];
    fake_host_process(fixture->tree, 103, 1, "kvm", words);
    run = run_audit(fixture, "clean", true);
    found = findings_of(run.out, "clean");
    if (strcmp(found, row->expected) != 0)
        fail_msg("%s: %s", row->name, found);
}

static void
what_no_test_machine_has_is_found_in_fixtures(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *mounts = g_strdup_printf("proc/%d/mountinfo", (int)getpid());

    tree_file(fixture->tree, mounts,
              "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
              "23 22 0:50 / /mnt/share rw - cifs //server/share rw\n");
    for (guint i = 0; i < G_N_ELEMENTS(places); i++)
        check_place(fixture, &places[i]);
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

static void
a_sites_own_row_is_heard_and_a_bad_one_refused(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) bad = {0}, good = {0};

    tree_file(fixture->tree, "config/qemu-bugs.conf", "# ours\n7.1.0 nonsense\n");
    bad = run_audit(fixture, NULL, false);
    assert_int_equal(bad.status, 2);
    assert_non_null(strstr(bad.err, "qemu-bugs.conf line 2: three parts are needed"));
    tree_file(fixture->tree, "config/qemu-bugs.conf", "# ours\n7.1.0 - any | seen | ticket\n");
    good = run_audit(fixture, NULL, false);
    assert_int_equal(good.status, 1);
}

static void
a_host_that_promised_more_than_it_has_is_told(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) fits = run_audit(fixture, NULL, false), over = {0};

    tree_file(fixture->tree, "proc/meminfo", "MemTotal:       3145728 kB\n");
    over = run_audit(fixture, NULL, false);
    assert_null(strstr(fits.out, "host-overcommit"));
    assert_non_null(strstr(over.out, "host-overcommit"));
}

static void
make_group(const Fixture *fixture, const char *group, guint64 anon_mib, guint64 limit_mib)
{
    g_autofree char *directory = g_strconcat("sys/fs/cgroup/", group, "/", NULL);
    g_autofree char *usage = g_strdup_printf("%" G_GUINT64_FORMAT "\n", anon_mib << 20);
    g_autofree char *limit = g_strdup_printf("%" G_GUINT64_FORMAT "\n", limit_mib << 20);
    g_autofree char *stat =
        g_strdup_printf("anon %" G_GUINT64_FORMAT "\nfile 0\nshmem 0\n", anon_mib << 20);
    const char *const files[][2] = {{"memory.current", usage},
                                    {"memory.max", limit},
                                    {"memory.stat", stat},
                                    {"memory.events", "oom_kill 0\n"}};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strconcat(directory, files[i][0], NULL);

        tree_file(fixture->tree, path, files[i][1]);
    }
}

/* Of a full slice that others fill less is left than of the VM's own low limit. */
static void
a_low_limit_is_seen_below_a_full_one_that_others_share(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) low = {0}, high = {0};
    g_autofree char *of_low = NULL, *of_high = NULL;

    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n");
    tree_file(fixture->tree, "sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    tree_file(fixture->tree, "proc/103/cgroup", "0::/vms.slice/clean.scope\n");
    make_group(fixture, "vms.slice", 8190, 8192);
    make_group(fixture, "vms.slice/clean.scope", 100, 1030);
    low = run_audit(fixture, "clean", true);
    of_low = findings_of(low.out, "clean");
    assert_string_equal(of_low, "memory-limit-too-low - 1\n");
    make_group(fixture, "vms.slice/clean.scope", 100, 4096);
    high = run_audit(fixture, "clean", true);
    of_high = findings_of(high.out, "clean");
    assert_string_equal(of_high, "");
}

static void
wrong_words_are_refused(void **state)
{
    const Fixture *fixture = *state;
    g_auto(Run) unknown = run_audit(fixture, "nobody", false);
    g_auto(Run) option = run_audit(fixture, "--all", false);

    assert_int_equal(unknown.status, 2);
    assert_non_null(strstr(unknown.err, "no VM is called \"nobody\""));
    assert_int_equal(option.status, 2);
    assert_non_null(strstr(option.err, "--all"));
}

int
main(void)
{
#define audit_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        audit_test(the_incident_has_its_risks_and_the_vm_beside_it_none),
        audit_test(what_the_configuration_mended_is_not_in_effect_yet),
        audit_test(a_definition_of_libvirt_is_told_apart_too),
        audit_test(an_unreadable_definition_is_said),
        audit_test(what_no_test_machine_has_is_found_in_fixtures),
        audit_test(what_is_pending_counts_for_the_next_start),
        audit_test(a_sites_own_row_is_heard_and_a_bad_one_refused),
        audit_test(a_host_that_promised_more_than_it_has_is_told),
        audit_test(a_low_limit_is_seen_below_a_full_one_that_others_share),
        audit_test(wrong_words_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
