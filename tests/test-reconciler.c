/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "reconciler-fixture.h"

#include <string.h>
#include <unistd.h>

#define NEW                                                                                        \
    WORDS("kvm", "-object", "throttle-group,id=t0,x-bps-write=31457280", "-object",                \
          "throttle-group,id=t1,x-bps-write=1000", "-blockdev",                                    \
          "driver=throttle,node-name=n0,throttle-group=t0,file.driver=null-co", "-device",         \
          "virtio-blk-pci,drive=n0,id=v0", "-blockdev",                                            \
          "driver=throttle,node-name=n1,throttle-group=t1,file.driver=null-co", "-device",         \
          "virtio-blk-pci,drive=n1,id=v1")
#define OLD                                                                                        \
    WORDS("kvm", "-drive", "file=/x,if=none,id=drive-v0,throttling.bps-write=31457280", "-device", \
          "virtio-blk-pci,drive=drive-v0,id=v0")
#define GET(group) "qom-get {\"path\":\"/objects/" group "\",\"property\":\"limits\"}"
#define GROUP(wr)                                                                                  \
    "{\"bps-total\": 0, \"bps-read\": 0, \"bps-write\": " #wr ", \"iops-total\": 0, "              \
    "\"iops-read\": 0, \"iops-write\": 0, \"bps-write-max\": 0, \"bps-write-max-length\": 1}"
#define BLOCK(wr)                                                                                  \
    "[{\"device\": \"drive-v0\", \"qdev\": \"" BACKEND(                                            \
        "v0") "\", \"inserted\": {\"bps\": 0, \"bps_rd\": 0, \"bps_wr\": " #wr                     \
              ", \"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0, \"drv\": \"raw\"}}]"

/* With one line of limits for the disk v0. */
static Vm *
make_vm(ReconcilerFixture *fixture, const char *const *words, const char *key, const char *value,
        Mode mode)
{
    Vm *vm = reconciler_fixture_vm(fixture, words, mode);

    reconciler_fixture_policy(fixture, "v0", key, value);
    return vm;
}

/* The monitor keeps what it is told. */
static void
set_group(ReconcilerFixture *fixture, const char *json)
{
    fake_monitor_answer(fixture->samples->monitor, GET("t0"), json);
    fake_monitor_answer(fixture->samples->monitor, GET("t1"), GROUP(1000));
}

/* QEMU takes limits, and holds these afterwards. */
static void
obey(ReconcilerFixture *fixture, const char *afterwards)
{
    fake_monitor_answer(fixture->samples->monitor, "qom-set", "{}");
    fake_monitor_answer_after(fixture->samples->monitor, "qom-set", GET("t0"), afterwards);
}

static void
a_day_without_a_difference_writes_nothing(void **state)
{
    static const char *const words[] = {
        GROUP(62914560),
        "{\"iops-write\": 0, \"bps-write-max-length\": 1, \"bps-write\": 62914560, "
        "\"bps-total\": 0, \"iops-read\": 0, \"bps-read\": 0, \"iops-total\": 0}"};
    static const char *const policies[][2] = {
        {"mbps_wr", "60"}, {"bps_wr", "62914560"}, {"mbps_wr", "60.0"}, {"bps_wr", "60M"}};
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    for (guint hour = 0; hour < 24; hour++) {
        reconciler_fixture_policy(fixture, "v0", policies[hour % 4][0], policies[hour % 4][1]);
        set_group(fixture, words[hour % 2]);
        reconciler_fixture_turns(fixture, 360, 10 * SECOND);
    }
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "block_set_io_throttle"), 0);
    assert_true(reconciler_fixture_count(fixture->asked, "qom-get ") > 1000);
    assert_string_equal(fixture->told->str, "");
}

static void
one_real_difference_is_one_write(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    obey(fixture, GROUP(62914560));
    reconciler_fixture_turns(fixture, 60, 2 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set "), 1);
    assert_string_equal(fixture->told->str, "limits of v0 set: mbps_wr=30 -> mbps_wr=60, as "
                                            "/etc/vm-guardian/vm.d/web.conf:7 wants it\n");
}

static void
observe_writes_nothing(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_OBSERVE);
    set_group(fixture, GROUP(31457280));
    reconciler_fixture_turns(fixture, 100, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
    assert_string_equal(fixture->told->str, "");
    assert_drift_explained(fixture, "v0", "observe: nothing is written");
}

static void
no_limit_is_never_written(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, NULL, NULL, MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    reconciler_fixture_turns(fixture, 100, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
}

/* QEMU takes it, and another value is there: a compare that never matches must not go on. */
static void
a_write_that_does_not_read_back_is_never_tried_again(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "qom-set", "{}");
    reconciler_fixture_turns(fixture, 300, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set "), 1);
    assert_non_null(
        strstr(fixture->told->str, "ALERT limits of v0 could not be set to mbps_wr=60"));
    assert_int_equal(reconciler_fixture_count(fixture->told, "\n"), 1);
}

static void
a_suspect_is_left_until_it_is_calm_again(void **state)
{
    ReconcilerFixture *fixture = *state;
    Vm *vm = make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);

    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "qom-set", "{}");
    vm->track.verdict.state = STATE_FROZEN;
    reconciler_fixture_turns(fixture, 50, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
    assert_drift_explained(fixture, "v0", "a stall is suspected on the VM or its storage");
    vm->track.verdict.state = STATE_OK;
    reconciler_fixture_turns(fixture, 5, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
    obey(fixture, GROUP(62914560));
    reconciler_fixture_turns(fixture, 60, 2 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set "), 1);
}

/* libvirt would not know of it. */
static void
a_vm_of_libvirt_without_a_libvirtd_is_left(void **state)
{
    ReconcilerFixture *fixture = *state;
    Vm *vm = make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);

    vm->argv->is_libvirt = true;
    set_group(fixture, GROUP(31457280));
    reconciler_fixture_turns(fixture, 60, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
    assert_drift_explained(fixture, "v0", "no libvirt daemon that answers has this VM");
}

static void
a_backup_is_left_in_peace(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "query-block-jobs",
                        "[{\"device\": \"n1\", \"type\": \"backup\", \"offset\": 1, \"len\": 5}]");
    reconciler_fixture_turns(fixture, 100, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
}

static void
a_migration_is_left_in_peace(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "query-migrate", "{\"status\": \"active\"}");
    reconciler_fixture_turns(fixture, 100, 10 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "qom-set"), 0);
}

/* Another tool writes its own value back every minute. */
static void
a_fight_ends_with_an_alert(void **state)
{
    ReconcilerFixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    fixture->samples->vm->limits.act_cool_down_us = 0;
    obey(fixture, GROUP(62914560));
    for (guint i = 0; i < 40; i++) {
        set_group(fixture, GROUP(31457280));
        reconciler_fixture_turns(fixture, 6, 10 * SECOND);
    }
    assert_in_range(reconciler_fixture_count(fixture->asked, "qom-set "), 1, 6);
    assert_int_equal(
        reconciler_fixture_count(fixture->told,
                                 "ALERT limits of v0 (bps_write) are written again and again by "
                                 "somebody else, whom no log names: mbps_wr=30 "
                                 "instead of mbps_wr=60"),
        1);
}

static void
limits_of_the_old_kind_are_asked_for_first(void **state)
{
    ReconcilerFixture *fixture = *state;
    g_autofree char *file = g_strdup_printf("proc/%d/fd/5", (int)getpid());

    make_vm(fixture, OLD, "mbps_wr", "60", MODE_ENFORCE);
    tree_link(fixture->samples->tree, file, "../cmdline");
    fake_monitor_answer(fixture->samples->monitor, "query-block", BLOCK(31457280));
    fake_monitor_answer(fixture->samples->monitor, "block_set_io_throttle", "{}");
    fake_monitor_answer_after(fixture->samples->monitor, "block_set_io_throttle", "query-block",
                              BLOCK(62914560));
    reconciler_fixture_turns(fixture, 60, 2 * SECOND);
    assert_int_equal(reconciler_fixture_count(fixture->asked, "block_set_io_throttle "), 1);
    assert_non_null(strstr(fixture->told->str, "limits of v0 set: mbps_wr=30 -> mbps_wr=60"));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_RECONCILER(a_day_without_a_difference_writes_nothing),
        WITH_RECONCILER(one_real_difference_is_one_write),
        WITH_RECONCILER(observe_writes_nothing),
        WITH_RECONCILER(no_limit_is_never_written),
        WITH_RECONCILER(a_write_that_does_not_read_back_is_never_tried_again),
        WITH_RECONCILER(a_suspect_is_left_until_it_is_calm_again),
        WITH_RECONCILER(a_vm_of_libvirt_without_a_libvirtd_is_left),
        WITH_RECONCILER(a_backup_is_left_in_peace),
        WITH_RECONCILER(a_migration_is_left_in_peace),
        WITH_RECONCILER(a_fight_ends_with_an_alert),
        WITH_RECONCILER(limits_of_the_old_kind_are_asked_for_first),
    };

    return cmocka_run_group_tests_name("reconciler", tests, NULL, NULL);
}
