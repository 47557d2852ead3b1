/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "audit.h"

#include <string.h>

#define GIB ((guint64)1 << 30)

/* A VM as it should be: nothing is found in it. */
static AuditVm *
clean_vm(AuditHost host)
{
    AuditVm *vm = audit_vm_new(host);
    AuditDisk *disk = audit_vm_add_disk(vm, g_strdup("scsi0"));

    disk->controller = CONTROLLER_VIRTIO;
    disk->has_iothread = AUDIT_YES;
    disk->has_several_iothreads = AUDIT_NO;
    disk->aio = AIO_NATIVE;
    disk->is_direct = AUDIT_YES;
    disk->ignores_flush = disk->is_stale = AUDIT_NO;
    disk->werror = g_strdup("stop");
    disk->rerror = g_strdup("stop");
    disk->has_limit = disk->has_burst = AUDIT_YES;
    vm->qemu_version = audit_version("9.0.2");
    vm->machine_major = 9;
    vm->has_own_monitor = AUDIT_YES;
    vm->guest_ram_bytes = 16 * GIB;
    vm->floor_bytes = GIB;
    vm->limit_bytes = 17 * GIB;
    vm->has_high = vm->kills_whole_group = vm->mixes_hugepages = AUDIT_NO;
    vm->has_oom_score_adj = true;
    vm->has_balloon = vm->balloon_reports = AUDIT_YES;
    vm->has_watchdog = vm->has_serial = vm->has_panic_device = AUDIT_YES;
    return vm;
}

static AuditDisk *
disk_of(AuditVm *vm)
{
    return vm->disks->pdata[0];
}

static void
plant_lsi(AuditVm *vm)
{
    disk_of(vm)->controller = CONTROLLER_LSI;
}
static void
plant_ide(AuditVm *vm)
{
    disk_of(vm)->controller = CONTROLLER_IDE;
}
static void
plant_no_iothread(AuditVm *vm)
{
    disk_of(vm)->has_iothread = AUDIT_NO;
}
static void
plant_several_iothreads(AuditVm *vm)
{
    disk_of(vm)->has_several_iothreads = AUDIT_YES;
}
static void
plant_ring(AuditVm *vm)
{
    disk_of(vm)->aio = AIO_URING;
    disk_of(vm)->place = PLACE_THICK_LVM;
}
static void
plant_krbd(AuditVm *vm)
{
    disk_of(vm)->aio = AIO_URING;
    disk_of(vm)->place = PLACE_KRBD;
    disk_of(vm)->is_direct = AUDIT_NO;
}
static void
plant_unsafe(AuditVm *vm)
{
    disk_of(vm)->ignores_flush = AUDIT_YES;
}
static void
plant_ignore(AuditVm *vm)
{
    g_free(disk_of(vm)->rerror);
    disk_of(vm)->rerror = g_strdup("ignore");
}
static void
plant_report(AuditVm *vm)
{
    g_free(disk_of(vm)->werror);
    disk_of(vm)->werror = g_strdup("report");
}
static void
plant_mute_bps(AuditVm *vm)
{
    disk_of(vm)->has_mute_bps = true;
}
static void
plant_no_burst(AuditVm *vm)
{
    disk_of(vm)->has_burst = AUDIT_NO;
}
static void
plant_refused_limit(AuditVm *vm)
{
    disk_of(vm)->limit_fault = g_strdup("bps_max without bps");
}
static void
plant_stale(AuditVm *vm)
{
    disk_of(vm)->is_stale = AUDIT_YES;
}
static void
plant_low_limit(AuditVm *vm)
{
    vm->limit_bytes = 17 * GIB - 1;
}
static void
plant_high(AuditVm *vm)
{
    vm->has_high = AUDIT_YES;
}
static void
plant_group_kill(AuditVm *vm)
{
    vm->kills_whole_group = AUDIT_YES;
}
static void
plant_low_score(AuditVm *vm)
{
    vm->oom_score_adj = -999;
}
static void
plant_high_score(AuditVm *vm)
{
    vm->oom_score_adj = 1000;
}
static void
plant_mute_balloon(AuditVm *vm)
{
    vm->balloon_reports = AUDIT_NO;
}
static void
plant_huge_guest(AuditVm *vm)
{
    vm->has_own_monitor = AUDIT_NO;
    vm->guest_ram_bytes = 64 * GIB;
    vm->limit_bytes = 0;
}
static void
plant_no_monitor(AuditVm *vm)
{
    vm->has_own_monitor = AUDIT_NO;
}
static void
plant_mixed_pages(AuditVm *vm)
{
    vm->mixes_hugepages = AUDIT_YES;
}
static void
plant_no_watchdog(AuditVm *vm)
{
    vm->has_watchdog = AUDIT_NO;
}
static void
plant_no_serial(AuditVm *vm)
{
    vm->has_serial = AUDIT_NO;
}
static void
plant_no_panic_device(AuditVm *vm)
{
    vm->has_panic_device = AUDIT_NO;
}
static void
plant_old_machine(AuditVm *vm)
{
    vm->machine_major = 2;
}
static void
plant_bug_3144(AuditVm *vm)
{
    disk_of(vm)->has_several_iothreads = AUDIT_YES;
    vm->qemu_version = audit_version("10.0.0");
}

typedef struct {
    const char *name; /* of the finding that must come, alone but for `beside` */
    void (*plant)(AuditVm *vm);
    const char *beside;
} AuditRow;

static const AuditRow rows[] = {
    {"lsi-controller", plant_lsi, NULL},
    {"ide-controller", plant_ide, NULL},
    {"no-iothread", plant_no_iothread, NULL},
    {"throttle-several-iothreads", plant_several_iothreads, NULL},
    {"risky-io-uring", plant_ring, NULL},
    {"risky-io-uring", plant_krbd, NULL},
    {"unsafe-cache", plant_unsafe, NULL},
    {"ignored-errors", plant_ignore, NULL},
    {"reported-errors", plant_report, NULL},
    {"bps-without-effect", plant_mute_bps, NULL},
    {"limit-without-burst", plant_no_burst, NULL},
    {"refused-limit", plant_refused_limit, NULL},
    {"stale-device", plant_stale, NULL},
    {"memory-limit-too-low", plant_low_limit, NULL},
    {"memory-high", plant_high, NULL},
    {"oom-group", plant_group_kill, NULL},
    {"oom-score", plant_low_score, NULL},
    {"oom-score", plant_high_score, NULL},
    {"balloon-without-reporting", plant_mute_balloon, NULL},
    {"shared-monitor-of-a-huge-guest", plant_huge_guest, NULL},
    {"no-own-monitor", plant_no_monitor, NULL},
    {"mixed-hugepages", plant_mixed_pages, NULL},
    {"no-watchdog", plant_no_watchdog, NULL},
    {"no-serial", plant_no_serial, NULL},
    {"no-panic-device", plant_no_panic_device, NULL},
    {"old-machine-type", plant_old_machine, NULL},
    {"qemu-bug", plant_bug_3144, "throttle-several-iothreads"},
};

static void
bug_free(gpointer bug)
{
    audit_bug_free(bug);
}

static GPtrArray *
known_bugs(void)
{
    GPtrArray *bugs = g_ptr_array_new_with_free_func(bug_free);

    for (const char *const *line = audit_bug_lines(); *line; line++) {
        g_autofree char *wrong = NULL;
        AuditBug *bug = audit_bug_parse(*line, &wrong);

        if (!bug)
            fail_msg("%s: %s", *line, wrong ? wrong : "empty");
        g_ptr_array_add(bugs, bug);
    }
    return bugs;
}

/* Every host's words for it say something, name the disk, and leave no placeholder. */
static void
a_planted_risk_is_found_alone(void **state)
{
    const AuditRow *row = *state;
    g_autoptr(GPtrArray) bugs = known_bugs();

    for (guint host = 0; host < AUDIT_N_HOSTS; host++) {
        g_autoptr(AuditVm) vm = clean_vm((AuditHost)host);
        g_autoptr(GPtrArray) findings = NULL;
        bool is_found = false;

        row->plant(vm);
        findings = audit_run(vm, NULL, bugs, "devvm");
        for (guint i = 0; i < findings->len; i++) {
            const AuditFinding *finding = findings->pdata[i];

            if (strcmp(finding->name, row->name) != 0 && g_strcmp0(finding->name, row->beside) != 0)
                fail_msg("%s was found beside %s", finding->name, row->name);
            is_found = is_found || strcmp(finding->name, row->name) == 0;
            assert_true(*finding->why && *finding->source);
            assert_null(strchr(finding->remedy, '{'));
            assert_true(finding->is_running && !finding->is_configured);
        }
        if (!is_found)
            fail_msg("%s was not found", row->name);
    }
}

static void
a_clean_vm_has_no_finding(void **state)
{
    g_autoptr(GPtrArray) bugs = known_bugs();

    for (guint host = 0; host < AUDIT_N_HOSTS; host++) {
        g_autoptr(AuditVm) vm = clean_vm((AuditHost)host);
        g_autoptr(GPtrArray) findings = audit_run(vm, vm, bugs, "devvm");

        assert_int_equal(findings->len, 0);
    }
}

static void
what_is_unknown_is_no_finding(void **state)
{
    g_autoptr(GPtrArray) bugs = known_bugs();
    g_autoptr(AuditVm) vm = audit_vm_new(AUDIT_BARE);
    g_autoptr(GPtrArray) findings = NULL;

    (void)audit_vm_add_disk(vm, g_strdup("disk"));
    findings = audit_run(vm, vm, bugs, "devvm");
    assert_int_equal(findings->len, 0);
}

static void
what_the_configuration_mended_is_told_apart(void **state)
{
    g_autoptr(AuditVm) running = clean_vm(AUDIT_PROXMOX);
    g_autoptr(AuditVm) configured = clean_vm(AUDIT_PROXMOX);
    g_autoptr(GPtrArray) findings = NULL;
    const AuditFinding *lsi, *unsafe;

    plant_lsi(running);
    plant_unsafe(running);
    plant_unsafe(configured);
    plant_no_watchdog(configured);
    findings = audit_run(running, configured, NULL, "102");
    assert_int_equal(findings->len, 3);
    lsi = findings->pdata[0];
    assert_string_equal(lsi->name, "lsi-controller");
    assert_true(lsi->is_running && !lsi->is_configured && lsi->has_configuration);
    assert_string_equal(lsi->disk, "scsi0");
    assert_non_null(strstr(lsi->remedy, "qm set 102 --scsihw virtio-scsi-single"));
    assert_non_null(strstr(lsi->remedy, "on scsi0"));
    assert_non_null(lsi->preflight);
    unsafe = findings->pdata[1];
    assert_true(unsafe->is_running && unsafe->is_configured);
    assert_true(!((AuditFinding *)findings->pdata[2])->is_running);
}

typedef struct {
    const char *name, *text;
    guint version;
} VersionRow;

static const VersionRow versions[] = {
    {"7.2.22 is 70222", "7.2.22", 70222},
    {"a package's suffix counts for nothing", "8.2.2 (Debian 1:8.2.2)", 80202},
    {"10.0 is 10.0.0", "10.0", 100000},
    {"a word is no version", "master", 0},
    {"nothing is no version", "", 0},
    {"a huge part is no version", "7.1000.2", 0},
};

static void
a_version_is_read(void **state)
{
    const VersionRow *row = *state;

    assert_int_equal(audit_version(row->text), row->version);
}

typedef struct {
    const char *name, *line, *wrong;
} BugRow;

static const BugRow bug_rows[] = {
    {"a bug without a part", "7.1.0 7.1.1 any | what", "three parts are needed"},
    {"a bug without numbers", "seven 7.1.1 any | what | where", "no numbers"},
    {"a bug with too little before the bar", "7.1.0 any | what | where", "no numbers"},
    {"a bug with too much before the bar", "7.1.0 7.2.0 any lsi | what | where",
     "FROM BELOW NEEDS"},
    {"a bug that needs what nobody knows", "7.1.0 - magic | what | where", "NEEDS is none of"},
    {"a bug of no version", "7.2.0 7.2.0 any | what | where", "range of versions is empty"},
};

static void
a_bad_bug_is_refused_with_a_reason(void **state)
{
    const BugRow *row = *state;
    g_autofree char *wrong = NULL;

    assert_null(audit_bug_parse(row->line, &wrong));
    if (!wrong || !strstr(wrong, row->wrong))
        fail_msg("\"%s\" is not in \"%s\"", row->wrong, wrong ? wrong : "");
}

static void
a_site_adds_a_bug_of_its_own(void **state)
{
    g_autoptr(GPtrArray) bugs = g_ptr_array_new_with_free_func(bug_free);
    g_autoptr(AuditVm) vm = clean_vm(AUDIT_BARE), other = clean_vm(AUDIT_BARE);
    g_autoptr(GPtrArray) findings = NULL, none = NULL;
    g_autofree char *wrong = NULL;

    assert_null(audit_bug_parse("  # a comment", &wrong));
    assert_null(wrong);
    g_ptr_array_add(bugs, audit_bug_parse("9.0.2 - throttle | seen here | ticket 7", &wrong));
    assert_non_null(bugs->pdata[0]);
    findings = audit_run(vm, NULL, bugs, "x");
    assert_int_equal(findings->len, 1);
    assert_string_equal(((AuditFinding *)findings->pdata[0])->source, "ticket 7");
    other->qemu_version = audit_version("9.0.1");
    none = audit_run(other, NULL, bugs, "x");
    assert_int_equal(none->len, 0);
}

static void
a_host_that_promised_too_much_is_told(void **state)
{
    g_autoptr(AuditFinding) over = audit_overcommit(60 * GIB, 5 * GIB, 64 * GIB);

    assert_non_null(over);
    assert_string_equal(over->name, "host-overcommit");
    assert_null(audit_overcommit(60 * GIB, 4 * GIB, 64 * GIB));
    assert_null(audit_overcommit(60 * GIB, 4 * GIB, 0));
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(a_clean_vm_has_no_finding),
        cmocka_unit_test(what_is_unknown_is_no_finding),
        cmocka_unit_test(what_the_configuration_mended_is_told_apart),
        cmocka_unit_test(a_site_adds_a_bug_of_its_own),
        cmocka_unit_test(a_host_that_promised_too_much_is_told),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(versions) + G_N_ELEMENTS(bug_rows) +
                            G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, a_planted_risk_is_found_alone, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(versions); i++)
        tests[n++] = t_row(versions[i].name, a_version_is_read, &versions[i]);
    for (guint i = 0; i < G_N_ELEMENTS(bug_rows); i++)
        tests[n++] = t_row(bug_rows[i].name, a_bad_bug_is_refused_with_a_reason, &bug_rows[i]);
    memcpy(tests + n, others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
