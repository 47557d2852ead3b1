/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "reconciler-fixture.h"

#include <string.h>
#include <utime.h>

/* A Proxmox host with one VM: a configuration, QEMU's throttle-groups, and a `qm`
 * that checks the digest, writes the file, and is counted. */

#define WORDS_OF_PVE                                                                               \
    WORDS("kvm", "-id", "102", "-object", "throttle-group,id=throttle-drive-scsi0", "-blockdev",   \
          "driver=throttle,node-name=drive-scsi0,throttle-group=throttle-drive-scsi0,"             \
          "file.driver=null-co",                                                                   \
          "-device", "scsi-hd,drive=drive-scsi0,id=scsi0")
#define GET(drive)                                                                                 \
    "qom-get {\"path\":\"/objects/throttle-drive-" drive "\",\"property\":\"limits\"}"
#define GROUP(wr)                                                                                  \
    "{\"bps-total\": 0, \"bps-read\": 0, \"bps-write\": " #wr ", \"iops-total\": 0, "              \
    "\"iops-read\": 0, \"iops-write\": 0, \"bps-write-max\": 0, \"bps-write-max-length\": 1}"
#define CONF "etc/pve/qemu-server/102.conf"

typedef struct {
    ReconcilerFixture *base;
    gint64 n_written; /* times of modification differ */
} Fixture;

static void
set_environment(Tree *tree)
{
    g_autofree char *bin = g_build_filename(g_getenv("SOURCE_ROOT"), "tests/fake-qm", NULL);
    g_autofree char *path = g_strconcat(bin, ":", g_getenv("PATH"), NULL);

    if (!strstr(g_getenv("PATH"), "fake-qm"))
        g_setenv("PATH", path, TRUE);
    g_setenv("FAKE_QM_ETC", tree_path(tree, "etc"), TRUE);
    g_setenv("FAKE_QM_LOG", tree_path(tree, "qm.log"), TRUE);
    g_unsetenv("FAKE_QM_DOES");
    g_unsetenv("FAKE_QM_RUN");
}

static int
set_up(void **state)
{
    int result = reconciler_fixture_set_up(state);
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->base = *state;
    *state = fixture;
    set_environment(fixture->base->samples->tree);
    return result;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    void *base = fixture->base;

    g_free(fixture);
    return reconciler_fixture_tear_down(&base);
}

static void
write_conf(Fixture *fixture, const char *text)
{
    Tree *tree = fixture->base->samples->tree;
    struct utimbuf times = {.modtime = 1000000000 + fixture->n_written++};

    tree_file(tree, CONF, text);
    assert_int_equal(utime(tree_path(tree, CONF), &times), 0);
}

static void
write_drive(Fixture *fixture, const char *drive)
{
    g_autofree char *text = g_strdup_printf("cores: 2\nscsi0: %s\nname: web\n", drive);

    write_conf(fixture, text);
}

static void
make_vm(Fixture *fixture, const char *drive, const char *group)
{
    Vm *vm = reconciler_fixture_vm(fixture->base, WORDS_OF_PVE, MODE_ENFORCE);

    vm->source = "proxmox";
    g_free(vm->id);
    vm->id = g_strdup("102");
    reconciler_fixture_policy(fixture->base, "scsi0", "mbps_wr", "60");
    write_drive(fixture, drive);
    fake_monitor_answer(fixture->base->samples->monitor, GET("scsi0"), group);
}

/* Lines of it, one a call of qm; a new string. */
static char *
qm_log(Fixture *fixture)
{
    char *text = NULL;

    if (!g_file_get_contents(tree_path(fixture->base->samples->tree, "qm.log"), &text, NULL, NULL))
        text = g_strdup("");
    return text;
}

static char *
conf_text(Fixture *fixture)
{
    char *text = NULL;

    assert_true(
        g_file_get_contents(tree_path(fixture->base->samples->tree, CONF), &text, NULL, NULL));
    return text;
}

static void
assert_untouched(Fixture *fixture)
{
    g_autofree char *log = qm_log(fixture);

    assert_string_equal(log, "");
    assert_int_equal(reconciler_fixture_count(fixture->base->asked, "qom-set"), 0);
    assert_int_equal(reconciler_fixture_count(fixture->base->asked, "block_set_io_throttle"), 0);
}

static void
a_day_of_other_words_for_the_same_is_no_write(void **state)
{
    static const char *const drives[] = {
        "local-lvm:vm-102-disk-0,iothread=1,mbps_wr=60,size=8G",
        "size=8G,mbps_wr=60.0,iothread=on,file=local-lvm:vm-102-disk-0",
        "volume=local-lvm:vm-102-disk-0,mbps_wr=060,iops=0,size=8G",
        "local-lvm:vm-102-disk-0,mbps_wr=60.000,mbps_wr_max=0,size=8G,iothread=yes",
    };
    static const char *const policies[][2] = {
        {"mbps_wr", "60"}, {"bps_wr", "62914560"}, {"mbps_wr", "60.0"}, {"bps_wr", "60M"}};
    Fixture *fixture = *state;

    make_vm(fixture, drives[0], GROUP(62914560));
    for (guint hour = 0; hour < 24; hour++) {
        write_drive(fixture, drives[hour % 4]);
        reconciler_fixture_policy(fixture->base, "scsi0", policies[hour / 4 % 4][0],
                                  policies[hour / 4 % 4][1]);
        reconciler_fixture_turns(fixture->base, 360, 10 * SECOND);
    }
    assert_untouched(fixture);
    assert_string_equal(fixture->base->told->str, "");
    assert_true(reconciler_fixture_count(fixture->base->asked, "qom-get ") > 1000);
}

/* What started the incident: a tool's own order of keys, and a configuration that gained an
 * iothread while its QEMU still runs without one. */
static void
a_configuration_that_gained_an_iothread_is_equal_in_its_limits(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=60,size=8G", GROUP(62914560));
    reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
    write_drive(fixture, "local-lvm:vm-102-disk-0,mbps_wr=60,size=8G,iothread=1");
    reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
    assert_untouched(fixture);
}

static void
one_real_drift_of_the_configuration_is_one_qm_set(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *log = NULL, *text = NULL;

    make_vm(fixture, "iothread=1,mbps_wr=30,size=8G,file=local-lvm:vm-102-disk-0", GROUP(62914560));
    reconciler_fixture_turns(fixture->base, 120, 10 * SECOND);
    log = qm_log(fixture);
    text = conf_text(fixture);
    assert_non_null(strstr(log, "[\"set\", \"102\", \"--digest\", \""));
    assert_non_null(
        strstr(log, "\"--scsi0\", \"local-lvm:vm-102-disk-0,iothread=1,mbps_wr=60,size=8G\"]\n"));
    assert_null(strstr(strchr(log, '\n') + 1, "\n"));
    assert_string_equal(text, "cores: 2\n"
                              "scsi0: local-lvm:vm-102-disk-0,iothread=1,mbps_wr=60,size=8G\n"
                              "name: web\n");
    assert_string_equal(fixture->base->told->str,
                        "limits of scsi0 set in the configuration: mbps_wr=30 -> mbps_wr=60, as "
                        "/etc/vm-guardian/vm.d/web.conf:7 wants it\n");
    assert_int_equal(reconciler_fixture_count(fixture->base->asked, "qom-set"), 0);
    assert_int_equal(writers_count(drift_look_writers(fixture->base->samples->vm->drift),
                                   host_realtime_us(fixture->base->samples->host))
                         .n_equal,
                     0);
}

/* The very next sample does not take what it knew before the write for somebody's rewrite. */
static void
without_a_cool_down_one_drift_is_one_qm_set_too(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    fixture->base->samples->vm->limits.act_cool_down_us = 0;
    fixture->base->samples->vm->limits.act_writes_vm = 1;
    reconciler_fixture_turns(fixture->base, 120, 2 * SECOND);
    assert_string_equal(fixture->base->told->str,
                        "limits of scsi0 set in the configuration: mbps_wr=30 -> mbps_wr=60, as "
                        "/etc/vm-guardian/vm.d/web.conf:7 wants it\n");
}

static void
a_qm_that_forgets_is_asked_once(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *log = NULL;

    g_setenv("FAKE_QM_DOES", "forgets", TRUE);
    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    reconciler_fixture_turns(fixture->base, 400, 10 * SECOND);
    log = qm_log(fixture);
    assert_non_null(strchr(log, '\n'));
    assert_null(strstr(strchr(log, '\n') + 1, "\n"));
    assert_int_equal(reconciler_fixture_count(fixture->base->told, "\n"), 1);
    assert_non_null(
        strstr(fixture->base->told->str, "ALERT limits of scsi0 could not be set to mbps_wr=60"));
}

/* The file that the fake sees is another one than the guardian's: as after somebody's edit. */
static void
edit_meanwhile(Fixture *fixture)
{
    tree_file(fixture->base->samples->tree, "edited/pve/qemu-server/102.conf",
              "scsi0: x,size=9G\n");
    g_setenv("FAKE_QM_ETC", tree_path(fixture->base->samples->tree, "edited"), TRUE);
}

/* What Proxmox refuses, because of that edit. */
static void
make_refused_vm(Fixture *fixture)
{
    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    edit_meanwhile(fixture);
}

static guint
qm_calls(Fixture *fixture)
{
    g_autofree char *log = qm_log(fixture);
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);

    return g_strv_length(lines) - 1;
}

static void
a_lost_race_is_tried_again_after_the_cool_down(void **state)
{
    Fixture *fixture = *state;
    GString *told = fixture->base->told;

    make_refused_vm(fixture);
    reconciler_fixture_turns(fixture->base, 20, 10 * SECOND);
    assert_int_equal(qm_calls(fixture), 1);
    assert_int_equal(reconciler_fixture_count(told, "\n"), 1);
    assert_non_null(strstr(told->str, "not set to mbps_wr=60: qm set failed: detected modified"));
    assert_null(strstr(told->str, "ALERT"));
    g_setenv("FAKE_QM_ETC", tree_path(fixture->base->samples->tree, "etc"), TRUE);
    reconciler_fixture_turns(fixture->base, 10, 10 * SECOND);
    assert_int_equal(qm_calls(fixture), 1); /* five minutes are not over */
    reconciler_fixture_turns(fixture->base, 100, 10 * SECOND);
    assert_int_equal(qm_calls(fixture), 2);
    assert_non_null(strstr(told->str, "set in the configuration: mbps_wr=30 -> mbps_wr=60"));
}

static void
a_vm_that_ends_while_qm_is_refused_is_missed_by_nobody(void **state)
{
    Fixture *fixture = *state;
    ReconcilerFixture *base = fixture->base;

    make_refused_vm(fixture);
    for (guint i = 0; i < 20 && !reconciler_is_busy(base->reconciler, base->samples->vm); i++) {
        reconciler_fixture_end_turn(base);
        reconciler_fixture_begin_turn(base, 10 * SECOND);
    }
    assert_true(reconciler_is_busy(base->reconciler, base->samples->vm));
    g_ptr_array_remove(base->vms, base->samples->vm);
    reconciler_fixture_end_turn(base);
    assert_string_equal(base->told->str, "");
}

static void
what_proxmox_always_refuses_ends_with_an_alert(void **state)
{
    Fixture *fixture = *state;
    GString *told = fixture->base->told;

    make_refused_vm(fixture);
    reconciler_fixture_turns(fixture->base, 150, 10 * SECOND);
    assert_int_equal(qm_calls(fixture), 3);
    assert_int_equal(reconciler_fixture_count(told, "ALERT"), 1);
    assert_non_null(strstr(told->str, "ALERT limits of scsi0 could not be set to mbps_wr=60 in 3 "
                                      "tries (qm set failed: detected modified"));
    assert_drift_explained(fixture->base, "scsi0",
                           "writes were refused or did not stay; reload to try again");
    g_setenv("FAKE_QM_ETC", tree_path(fixture->base->samples->tree, "etc"), TRUE);
    reconciler_reset(fixture->base->reconciler);
    reconciler_fixture_turns(fixture->base, 20, 10 * SECOND);
    assert_int_equal(qm_calls(fixture), 4);
    assert_non_null(strstr(told->str, "set in the configuration: mbps_wr=30 -> mbps_wr=60"));
}

static void
a_job_or_migration_holds_qm_back(void **state)
{
    static const char *const busy[][2] = {
        {"query-block-jobs", "[{\"device\": \"n1\", \"type\": \"mirror\", \"offset\": 1, "
                             "\"len\": 5, \"status\": \"running\"}]"},
        {"query-migrate", "{\"status\": \"setup\"}"},
    };
    Fixture *fixture = *state;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    for (guint i = 0; i < G_N_ELEMENTS(busy); i++) {
        FakeMonitor *monitor = fixture->base->samples->monitor;

        fake_monitor_answer(monitor, "query-block-jobs", "[]");
        fake_monitor_answer(monitor, busy[i][0], busy[i][1]);
        reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
        assert_untouched(fixture);
    }
    fake_monitor_answer(fixture->base->samples->monitor, "query-migrate", "{}");
    reconciler_fixture_turns(fixture->base, 120, 10 * SECOND);
    assert_int_equal(qm_calls(fixture), 1); /* once it is over */
}

/* A tool that rewrites the drive every minute, as the cluster's log tells. */
static void
a_fight_is_told_with_field_and_writer(void **state)
{
    Fixture *fixture = *state;
    GString *told = fixture->base->told;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    fixture->base->samples->vm->limits.act_cool_down_us = 0;
    fixture->base->samples->vm->limits.act_writes_vm = 2;
    for (guint i = 0; i < 6; i++) {
        g_autofree char *log = g_strdup_printf(
            "{\"data\": [\n{\"uid\": %u, \"time\": %" G_GINT64_FORMAT ", \"user\": \"robot@pve\", "
            "\"msg\": \"update VM 102: -scsi0 local-lvm:vm-102-disk-0,mbps_wr=30\"}\n]}\n",
            i, 1700000000 + fixture->base->now_us / SECOND);

        tree_file(fixture->base->samples->tree, "etc/pve/.clusterlog", log);
        write_drive(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30");
        reconciler_fixture_turns(fixture->base, 12, 10 * SECOND);
    }
    assert_int_equal(qm_calls(fixture), 2);
    assert_int_equal(reconciler_fixture_count(told, "ALERT"), 1);
    assert_non_null(strstr(told->str,
                           "ALERT limits of scsi0 (bps_write) are written again and again by "
                           "somebody else, robot@pve (update VM 102: -scsi0 local-lvm:"));
}

static void
a_locked_or_pending_configuration_is_left(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    write_conf(fixture, "lock: backup\nscsi0: local-lvm:vm-102-disk-0,mbps_wr=30\n");
    reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
    assert_drift_explained(fixture->base, "scsi0", "the configuration is locked");
    write_conf(fixture, "scsi0: local-lvm:vm-102-disk-0,mbps_wr=30\n[PENDING]\nscsi0: x,size=1G\n");
    reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
    assert_drift_explained(fixture->base, "scsi0",
                           "a change of the disk is pending until the next start");
    assert_untouched(fixture);
}

static void
a_suspect_is_left_by_qm_too(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=30", GROUP(62914560));
    fixture->base->samples->vm->track.verdict.state = STATE_SUSPECT;
    reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
    assert_untouched(fixture);
}

/* qm set without a limit sends zeros to QEMU, which drains. */
static void
a_limit_is_never_taken_away(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, "local-lvm:vm-102-disk-0,mbps_wr=60,mbps_rd=30", GROUP(62914560));
    reconciler_fixture_turns(fixture->base, 60, 10 * SECOND);
    assert_untouched(fixture);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH(a_day_of_other_words_for_the_same_is_no_write),
        WITH(a_configuration_that_gained_an_iothread_is_equal_in_its_limits),
        WITH(one_real_drift_of_the_configuration_is_one_qm_set),
        WITH(without_a_cool_down_one_drift_is_one_qm_set_too),
        WITH(a_qm_that_forgets_is_asked_once),
        WITH(a_lost_race_is_tried_again_after_the_cool_down),
        WITH(a_vm_that_ends_while_qm_is_refused_is_missed_by_nobody),
        WITH(what_proxmox_always_refuses_ends_with_an_alert),
        WITH(a_job_or_migration_holds_qm_back),
        WITH(a_fight_is_told_with_field_and_writer),
        WITH(a_locked_or_pending_configuration_is_left),
        WITH(a_suspect_is_left_by_qm_too),
        WITH(a_limit_is_never_taken_away),
    };

    return cmocka_run_group_tests_name("reconciler-pve", tests, NULL, NULL);
}
