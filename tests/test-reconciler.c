/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "config-disk.h"
#include "limits-request.h"
#include "reconciler.h"
#include "report.h"
#include "sample-fixture.h"

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

typedef struct {
    SampleFixture *samples;
    Children *children;
    GPtrArray *vms;
    Reconciler *reconciler;
    GString *told;
    GString *asked;
    gint64 now_us;
} Fixture;

static void
on_told(const Vm *vm, const char *line, bool is_alert, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->told, "%s%s\n", is_alert ? "ALERT " : "", line);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    void *samples = NULL;

    if (sample_fixture_set_up(&samples) != 0)
        return -1;
    fixture->samples = samples;
    fixture->children = children_new(fixture->samples->context);
    fixture->vms = g_ptr_array_new();
    fixture->told = g_string_new(NULL);
    fixture->asked = g_string_new(NULL);
    tree_file(fixture->samples->tree, "proc/sys/kernel/random/boot_id",
              "11111111-2222-3333-4444-555555555555\n");
    fixture->reconciler =
        reconciler_new(fixture->samples->host, fixture->samples->context, fixture->vms);
    reconciler_set_tell_func(fixture->reconciler, on_told, fixture);
    fake_monitor_answer(fixture->samples->monitor, "query-block-jobs", "[]");
    fake_monitor_answer(fixture->samples->monitor, "query-migrate", "{}");
    fixture->now_us = 1000 * SECOND;
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    void *samples = fixture->samples;

    limits_request_forget(fixture->samples->vm);
    reconciler_free(fixture->reconciler);
    drift_look_forget(fixture->samples->vm);
    children_free(fixture->children);
    g_ptr_array_unref(fixture->vms);
    g_string_free(fixture->told, TRUE);
    g_string_free(fixture->asked, TRUE);
    g_free(fixture);
    return sample_fixture_tear_down(&samples);
}

/* policy: one line of limits for the disk v0. */
static Vm *
make_vm(Fixture *fixture, const char *const *words, const char *key, const char *value, Mode mode)
{
    Vm *vm = sample_fixture_vm(fixture->samples, true, words);
    GPtrArray *policies = g_ptr_array_new_with_free_func((GDestroyNotify)config_disk_free);
    ConfigDisk *disk = config_disk_new("v0", "/etc/vm-guardian/vm.d/web.conf", 7);
    guint line;

    if (key)
        config_disk_take(disk, key, value, 8);
    assert_null(config_disk_finish(disk, &line));
    g_ptr_array_add(policies, disk);
    drift_look_set_policies(vm->drift, policies);
    vm->limits.mode = mode;
    vm->limits.enforce_throttle = mode;
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

/* One turn of the loop at virtual time: what is due, a sample, the reconciler, until all is quiet.
 */
static void
turn(Fixture *fixture, gint64 after_us)
{
    SampleFixture *samples = fixture->samples;
    g_autofree char *asked = NULL;

    fixture->now_us += after_us;
    host_set_clock(samples->host, fixture->now_us, fixture->now_us,
                   1700000000 * (gint64)SECOND + fixture->now_us);
    samples->now_us = fixture->now_us;
    drift_look_go_on(samples->vm, samples->host, fixture->children, fixture->now_us);
    limits_request_check(samples->vm, fixture->now_us);
    (void)sample_fixture_take(samples);
    reconciler_consider(fixture->reconciler, samples->vm);
    /* The journal is written by children; a request waits for the next turn. */
    while (children_open(fixture->children) > 0 ||
           (reconciler_is_busy(fixture->reconciler, samples->vm) && !samples->vm->limits_request))
        g_main_context_iteration(samples->context, TRUE);
    asked = fake_monitor_take_asked(samples->monitor);
    g_string_append(fixture->asked, asked);
}

static guint
count(const GString *text, const char *word)
{
    guint n = 0;

    for (const char *p = text->str; (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

/* The monitor keeps what it is told. */
static void
set_group(Fixture *fixture, const char *json)
{
    fake_monitor_answer(fixture->samples->monitor, GET("t0"), json);
    fake_monitor_answer(fixture->samples->monitor, GET("t1"), GROUP(1000));
}

/* QEMU takes limits, and holds these afterwards. */
static void
obey(Fixture *fixture, const char *afterwards)
{
    fake_monitor_answer(fixture->samples->monitor, "qom-set", "{}");
    fake_monitor_answer_after(fixture->samples->monitor, "qom-set", GET("t0"), afterwards);
}

static void
turns(Fixture *fixture, guint n, gint64 apart_us)
{
    for (guint i = 0; i < n; i++)
        turn(fixture, apart_us);
}

static void
assert_explained(const Vm *vm, Fixture *fixture, const char *why)
{
    g_autoptr(JsonNode) state = report_vm(fixture->samples->host, vm);
    g_autofree char *text = report_explain_text(json_node_get_object(state), false);
    g_autofree char *line = g_strdup_printf(
        "\ndrift    limits of v0 are not what the policy wants (guardianctl drift): %s\n", why);

    assert_non_null(strstr(text, line));
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
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    for (guint hour = 0; hour < 24; hour++) {
        GPtrArray *fresh = g_ptr_array_new_with_free_func((GDestroyNotify)config_disk_free);
        ConfigDisk *disk = config_disk_new("v0", "vm.d/web.conf", 7);
        guint line;

        config_disk_take(disk, policies[hour % 4][0], policies[hour % 4][1], 8);
        assert_null(config_disk_finish(disk, &line));
        g_ptr_array_add(fresh, disk);
        drift_look_set_policies(fixture->samples->vm->drift, fresh);
        set_group(fixture, words[hour % 2]);
        turns(fixture, 360, 10 * SECOND);
    }
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
    assert_int_equal(count(fixture->asked, "block_set_io_throttle"), 0);
    assert_true(count(fixture->asked, "qom-get ") > 1000);
    assert_string_equal(fixture->told->str, "");
}

static void
one_real_difference_is_one_write(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    obey(fixture, GROUP(62914560));
    turns(fixture, 60, 2 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set "), 1);
    assert_string_equal(fixture->told->str, "limits of v0 set: mbps_wr=30 -> mbps_wr=60, as "
                                            "/etc/vm-guardian/vm.d/web.conf:7 wants it\n");
}

static void
observe_writes_nothing(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_OBSERVE);
    set_group(fixture, GROUP(31457280));
    turns(fixture, 100, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
    assert_string_equal(fixture->told->str, "");
    assert_explained(fixture->samples->vm, fixture, "observe: nothing is written");
}

static void
no_limit_is_never_written(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, NULL, NULL, MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    turns(fixture, 100, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
}

/* QEMU takes it, and another value is there: a compare that never matches must not go on. */
static void
a_write_that_does_not_read_back_is_never_tried_again(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "qom-set", "{}");
    turns(fixture, 300, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set "), 1);
    assert_non_null(
        strstr(fixture->told->str, "ALERT limits of v0 could not be set to mbps_wr=60"));
    assert_int_equal(count(fixture->told, "\n"), 1);
}

static void
a_suspect_is_left_until_it_is_calm_again(void **state)
{
    Fixture *fixture = *state;
    Vm *vm = make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);

    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "qom-set", "{}");
    vm->track.verdict.state = STATE_FROZEN;
    turns(fixture, 50, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
    assert_explained(vm, fixture, "a stall is suspected on the VM or its storage");
    vm->track.verdict.state = STATE_OK;
    turns(fixture, 5, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
    obey(fixture, GROUP(62914560));
    turns(fixture, 60, 2 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set "), 1);
}

static void
a_backup_is_left_in_peace(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "query-block-jobs",
                        "[{\"device\": \"n1\", \"type\": \"backup\", \"offset\": 1, \"len\": 5}]");
    turns(fixture, 100, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
}

static void
a_migration_is_left_in_peace(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    set_group(fixture, GROUP(31457280));
    fake_monitor_answer(fixture->samples->monitor, "query-migrate", "{\"status\": \"active\"}");
    turns(fixture, 100, 10 * SECOND);
    assert_int_equal(count(fixture->asked, "qom-set"), 0);
}

/* Another tool writes its own value back every minute. */
static void
a_fight_ends_with_an_alert(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW, "mbps_wr", "60", MODE_ENFORCE);
    fixture->samples->vm->limits.act_cool_down_us = 0;
    obey(fixture, GROUP(62914560));
    for (guint i = 0; i < 40; i++) {
        set_group(fixture, GROUP(31457280));
        turns(fixture, 6, 10 * SECOND);
    }
    assert_in_range(count(fixture->asked, "qom-set "), 1, 6);
    assert_int_equal(count(fixture->told, "ALERT limits of v0 are written again and again"), 1);
}

static void
limits_of_the_old_kind_are_asked_for_first(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *file = g_strdup_printf("proc/%d/fd/5", (int)getpid());

    make_vm(fixture, OLD, "mbps_wr", "60", MODE_ENFORCE);
    tree_link(fixture->samples->tree, file, "../cmdline");
    fake_monitor_answer(fixture->samples->monitor, "query-block", BLOCK(31457280));
    fake_monitor_answer(fixture->samples->monitor, "block_set_io_throttle", "{}");
    fake_monitor_answer_after(fixture->samples->monitor, "block_set_io_throttle", "query-block",
                              BLOCK(62914560));
    turns(fixture, 60, 2 * SECOND);
    assert_int_equal(count(fixture->asked, "block_set_io_throttle "), 1);
    assert_non_null(strstr(fixture->told->str, "limits of v0 set: mbps_wr=30 -> mbps_wr=60"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH(a_day_without_a_difference_writes_nothing),
        WITH(one_real_difference_is_one_write),
        WITH(observe_writes_nothing),
        WITH(no_limit_is_never_written),
        WITH(a_write_that_does_not_read_back_is_never_tried_again),
        WITH(a_suspect_is_left_until_it_is_calm_again),
        WITH(a_backup_is_left_in_peace),
        WITH(a_migration_is_left_in_peace),
        WITH(a_fight_ends_with_an_alert),
        WITH(limits_of_the_old_kind_are_asked_for_first),
    };

    return cmocka_run_group_tests_name("reconciler", tests, NULL, NULL);
}
