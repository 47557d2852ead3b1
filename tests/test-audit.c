/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "audit-rules.h"

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
    vm->swaps_at_a_limit = AUDIT_NO;
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

/* One enumeration of the disk, or of the VM, that is set to a value. */
typedef struct {
    bool is_of_disk;
    gsize offset;
    guint value;
} Plant;
#define IN_DISK(field, value)                                                                      \
    {                                                                                              \
        true, G_STRUCT_OFFSET(AuditDisk, field), (value)                                           \
    }
#define IN_VM(field, value)                                                                        \
    {                                                                                              \
        false, G_STRUCT_OFFSET(AuditVm, field), (value)                                            \
    }
#define PLANTS_MAX 3

typedef struct {
    const char *name; /* of the finding that must come, alone but for `beside` */
    const char *beside;
    Plant plants[PLANTS_MAX];
    void (*plant)(AuditVm *vm); /* what is no enumeration */
} AuditRow;

static void
plant(const AuditRow *row, AuditVm *vm)
{
    for (guint i = 0; i < PLANTS_MAX && row->plants[i].offset > 0; i++) {
        gpointer base = row->plants[i].is_of_disk ? (gpointer)disk_of(vm) : vm;

        G_STRUCT_MEMBER(guint, base, row->plants[i].offset) = row->plants[i].value;
    }
    if (row->plant)
        row->plant(vm);
}

static void
ignore_errors(AuditVm *vm)
{
    g_free(disk_of(vm)->rerror);
    disk_of(vm)->rerror = g_strdup("ignore");
}

static void
report_errors(AuditVm *vm)
{
    g_free(disk_of(vm)->werror);
    disk_of(vm)->werror = g_strdup("report");
}

static void
write_mute_bps(AuditVm *vm)
{
    disk_of(vm)->has_mute_bps = true;
}

static void
break_limit(AuditVm *vm)
{
    disk_of(vm)->limit_fault = g_strdup("bps_max without bps");
}

static void
lower_limit(AuditVm *vm)
{
    vm->limit_bytes = 17 * GIB - 1;
}

static void
lower_score(AuditVm *vm)
{
    vm->oom_score_adj = -999;
}

static void
raise_score(AuditVm *vm)
{
    vm->oom_score_adj = 1000;
}

static void
grow_guest(AuditVm *vm)
{
    vm->guest_ram_bytes = 64 * GIB;
    vm->limit_bytes = 0;
}

static const AuditRow rows[] = {
    {"lsi-controller", NULL, {IN_DISK(controller, CONTROLLER_LSI)}, NULL},
    {"ide-controller", NULL, {IN_DISK(controller, CONTROLLER_IDE)}, NULL},
    {"no-iothread", NULL, {IN_DISK(has_iothread, AUDIT_NO)}, NULL},
    {"throttle-several-iothreads", NULL, {IN_DISK(has_several_iothreads, AUDIT_YES)}, NULL},
    {"risky-io-uring", NULL, {IN_DISK(aio, AIO_URING), IN_DISK(place, PLACE_THICK_LVM)}, NULL},
    {"risky-io-uring",
     NULL,
     {IN_DISK(aio, AIO_URING), IN_DISK(place, PLACE_KRBD), IN_DISK(is_direct, AUDIT_NO)},
     NULL},
    {"unsafe-cache", NULL, {IN_DISK(ignores_flush, AUDIT_YES)}, NULL},
    {"ignored-errors", NULL, {{0}}, ignore_errors},
    {"reported-errors", NULL, {{0}}, report_errors},
    {"bps-without-effect", NULL, {{0}}, write_mute_bps},
    {"limit-without-burst", NULL, {IN_DISK(has_burst, AUDIT_NO)}, NULL},
    {"refused-limit", NULL, {{0}}, break_limit},
    {"stale-device", NULL, {IN_DISK(is_stale, AUDIT_YES)}, NULL},
    {"memory-limit-too-low", NULL, {{0}}, lower_limit},
    {"memory-high", NULL, {IN_VM(has_high, AUDIT_YES)}, NULL},
    {"oom-group", NULL, {IN_VM(kills_whole_group, AUDIT_YES)}, NULL},
    {"swap-on-throttled-disk", NULL, {IN_VM(swaps_at_a_limit, AUDIT_YES)}, NULL},
    {"oom-score", NULL, {{0}}, lower_score},
    {"oom-score", NULL, {{0}}, raise_score},
    {"balloon-without-reporting", NULL, {IN_VM(balloon_reports, AUDIT_NO)}, NULL},
    {"shared-monitor-of-a-huge-guest", NULL, {IN_VM(has_own_monitor, AUDIT_NO)}, grow_guest},
    {"no-own-monitor", NULL, {IN_VM(has_own_monitor, AUDIT_NO)}, NULL},
    {"mixed-hugepages", NULL, {IN_VM(mixes_hugepages, AUDIT_YES)}, NULL},
    {"no-watchdog", NULL, {IN_VM(has_watchdog, AUDIT_NO)}, NULL},
    {"no-serial", NULL, {IN_VM(has_serial, AUDIT_NO)}, NULL},
    {"no-panic-device", NULL, {IN_VM(has_panic_device, AUDIT_NO)}, NULL},
    {"old-machine-type", NULL, {IN_VM(machine_major, 2)}, NULL},
    {"qemu-bug",
     "throttle-several-iothreads",
     {IN_DISK(has_several_iothreads, AUDIT_YES), IN_VM(qemu_version, 100000)},
     NULL},
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

        plant(row, vm);
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

static bool
is_planted(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return true;
    return false;
}

/* On real VMs, or in fixtures of what no test machine has. */
static bool
is_planted_on_vms(const char *name)
{
    static const char *const files[] = {"tests/qemu/audit.py", "tests/host/cases/audit.sh",
                                        "tests/test-ctl-audit.c"};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(g_getenv("SOURCE_ROOT"), files[i], NULL);
        g_autofree char *text = NULL;

        if (!g_file_get_contents(path, &text, NULL, NULL))
            fail_msg("%s cannot be read", path);
        if (strstr(text, name))
            return true;
    }
    return false;
}

static void
check_rules(const AuditRule *rules, guint n)
{
    for (guint i = 0; i < n; i++) {
        if (!is_planted(rules[i].name))
            fail_msg("no row here plants %s", rules[i].name);
        if (!is_planted_on_vms(rules[i].name))
            fail_msg("no VM and no fixture has %s", rules[i].name);
    }
}

static void
every_rule_is_planted_somewhere(void **state)
{
    check_rules(audit_disk_rules, audit_n_disk_rules);
    check_rules(audit_vm_rules, audit_n_vm_rules);
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

    disk_of(running)->controller = CONTROLLER_LSI;
    disk_of(running)->ignores_flush = disk_of(configured)->ignores_flush = AUDIT_YES;
    configured->has_watchdog = AUDIT_NO;
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

/* A limit of the group, a score, a stale device: the next start does not mend them. */
static void
what_the_configuration_does_not_tell_is_not_mended(void **state)
{
    g_autoptr(AuditVm) running = clean_vm(AUDIT_LIBVIRT), configured = audit_vm_new(AUDIT_LIBVIRT);
    AuditDisk *later = audit_vm_add_disk(configured, g_strdup("scsi0"));
    g_autoptr(GPtrArray) findings = NULL;

    running->has_high = running->kills_whole_group = AUDIT_YES;
    running->has_watchdog = AUDIT_NO;
    running->oom_score_adj = -999;
    disk_of(running)->is_stale = AUDIT_YES;
    disk_of(running)->controller = CONTROLLER_LSI;
    later->controller = CONTROLLER_VIRTIO;
    configured->has_watchdog = AUDIT_YES;
    findings = audit_run(running, configured, NULL, "web");
    assert_int_equal(findings->len, 6);
    for (guint i = 0; i < findings->len; i++) {
        const AuditFinding *finding = findings->pdata[i];
        bool is_mended = strcmp(finding->name, "lsi-controller") == 0 ||
                         strcmp(finding->name, "no-watchdog") == 0;

        assert_true(finding->is_running && !finding->is_configured);
        if (finding->has_configuration != is_mended)
            fail_msg("%s: %d", finding->name, finding->has_configuration);
    }
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

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(a_clean_vm_has_no_finding),
        cmocka_unit_test(what_is_unknown_is_no_finding),
        cmocka_unit_test(every_rule_is_planted_somewhere),
        cmocka_unit_test(what_the_configuration_mended_is_told_apart),
        cmocka_unit_test(what_the_configuration_does_not_tell_is_not_mended),
        cmocka_unit_test(a_site_adds_a_bug_of_its_own),
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
