/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-look.h"
#include "report.h"
#include "sample-fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD                                                                                        \
    WORDS("kvm", "-drive",                                                                         \
          "file=/dev/pve/vm-102-disk-0,if=none,id=drive-scsi0,throttling.bps-write=62914560",      \
          "-device", "scsi-hd,drive=drive-scsi0,id=scsi0", "-drive",                               \
          "file=/dev/pve/vm-102-disk-1,if=none,id=drive-scsi1", "-device",                         \
          "scsi-hd,drive=drive-scsi1,id=scsi1")
#define NEW                                                                                        \
    WORDS("kvm", "-object", "throttle-group,id=throttle-drive-scsi0,x-bps-write=62914560",         \
          "-blockdev",                                                                             \
          "driver=throttle,node-name=drive-scsi0,throttle-group=throttle-drive-scsi0,"             \
          "file.driver=host_device,file.filename=/dev/pve/vm-102-disk-0",                          \
          "-device", "scsi-hd,drive=drive-scsi0,id=scsi0")
#define GROUP(wr)                                                                                  \
    "{\"bps-total\": 0, \"bps-read\": 0, \"bps-write\": " #wr ", \"iops-total\": 0, "              \
    "\"iops-read\": 0, \"iops-write\": 0, \"bps-write-max\": 0, \"bps-write-max-length\": 1}"
#define GET_GROUP(name)                                                                            \
    "qom-get {\"path\":\"/objects/throttle-drive-" name "\",\"property\":\"limits\"}"
#define BLOCK(name, wr)                                                                            \
    "{\"device\": \"drive-" name "\", \"qdev\": \"" name "\", \"inserted\": {\"bps\": 0, "         \
    "\"bps_rd\": 0, \"bps_wr\": " #wr ", \"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0, "            \
    "\"group\": \"drive-" name "\", \"drv\": \"raw\", \"image\": {\"actual-size\": 5}}}"
#define CONF "pve/qemu-server/102.conf"
/* Long before the fixture's VM started. */
#define OLD_US (1000000000 * (gint64)G_USEC_PER_SEC)

typedef struct {
    SampleFixture *samples;
    Children *children;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    void *samples = NULL;

    if (sample_fixture_set_up(&samples) != 0)
        return -1;
    fixture->samples = samples;
    fixture->children = children_new(fixture->samples->context);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;
    void *samples = fixture->samples;

    drift_look_forget(fixture->samples->vm);
    children_free(fixture->children);
    g_free(fixture);
    return sample_fixture_tear_down(&samples);
}

static void
write_conf(Fixture *fixture, const char *text, gint64 written_us)
{
    const struct timespec times[2] = {{.tv_sec = written_us / G_USEC_PER_SEC},
                                      {.tv_sec = written_us / G_USEC_PER_SEC}};

    tree_file(fixture->samples->tree, "etc/" CONF, text);
    assert_int_equal(utimensat(AT_FDCWD, tree_path(fixture->samples->tree, "etc/" CONF), times, 0),
                     0);
}

static void
make_vm(Fixture *fixture, const char *const *words)
{
    Vm *vm = sample_fixture_vm(fixture->samples, true, words);

    vm->source = "proxmox";
    g_free(vm->id);
    vm->id = g_strdup("102");
}

/* As the loop does it: a look, a sample, until no child is open. */
static void
look(Fixture *fixture)
{
    Vm *vm = fixture->samples->vm;

    drift_look_go_on(vm, fixture->samples->host, fixture->children, fixture->samples->now_us);
    (void)sample_fixture_take(fixture->samples);
    vm->sample.age_us = 3600 * (gint64)G_USEC_PER_SEC;
    while (children_open(fixture->children) > 0)
        g_main_context_iteration(fixture->samples->context, TRUE);
}

/* The child tells the time of the host; samples here are taken at their own. */
static void
look_asked(Fixture *fixture)
{
    drift_look_want(fixture->samples->vm);
    fixture->samples->now_us = host_monotonic_us(fixture->samples->host);
    look(fixture);
    fixture->samples->now_us = host_monotonic_us(fixture->samples->host);
    look(fixture);
}

static char *
describe(Fixture *fixture)
{
    g_autoptr(GPtrArray) disks =
        drift_look_disks(fixture->samples->vm, host_realtime_us(fixture->samples->host));
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < disks->len; i++) {
        const DriftDisk *disk = disks->pdata[i];

        g_string_append_printf(text, "%s %s", disk->name,
                               disk->live_source ? disk->live_source : "unknown");
        for (guint field = 0; field < DRIFT_N_FIELDS; field++)
            if (drift_field_differs(&disk->drift, field))
                g_string_append_printf(text, " %s", drift_field_name(field));
        g_string_append(text, "; ");
    }
    return g_string_free(text, FALSE);
}

static void
assert_described(Fixture *fixture, const char *expected)
{
    g_autofree char *text = describe(fixture);

    assert_string_equal(text, expected);
}

static void
limits_of_the_old_kind_are_those_of_the_start(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    write_conf(fixture, "scsi0: local:1,iothread=1,mbps_wr=60.0\nscsi1: local:2,mbps=5\n", OLD_US);
    look(fixture);
    assert_described(fixture, "scsi0 command-line; scsi1 command-line bps_total; ");
}

static void
what_was_written_after_the_start_may_have_reached_qemu(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) disks = NULL;

    make_vm(fixture, OLD);
    write_conf(fixture, "scsi0: local:1,mbps_wr=30\n", g_get_real_time());
    look(fixture);
    assert_described(fixture, "scsi0 unknown; scsi1 unknown; ");
    disks = drift_look_disks(fixture->samples->vm, host_realtime_us(fixture->samples->host));
    assert_non_null(strstr(((DriftDisk *)disks->pdata[0])->notes->pdata[0], "guardianctl drift"));
}

static void
limits_in_objects_are_asked_for(void **state)
{
    Fixture *fixture = *state;
    bool has_objects = false;

    make_vm(fixture, NEW);
    fake_monitor_answer(fixture->samples->monitor, GET_GROUP("scsi0"), GROUP(31457280));
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\n", g_get_real_time());
    look(fixture);
    assert_described(fixture, "scsi0 throttle-group bps_write; ");
    assert_true(drift_look_generation(fixture->samples->vm, &has_objects) && has_objects);
}

/* It is in no command line. */
static void
a_disk_plugged_in_later_is_probed_for(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, NEW);
    fake_monitor_answer(fixture->samples->monitor, GET_GROUP("scsi0"), GROUP(62914560));
    fake_monitor_answer(fixture->samples->monitor, GET_GROUP("scsi1"), GROUP(5242880));
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\nscsi1: local:2,mbps_wr=7\nefidisk0: local:3\n",
               OLD_US);
    look(fixture);
    fixture->samples->vm->slow_round_us = 0;
    look(fixture);
    assert_described(fixture, "scsi0 throttle-group; scsi1 throttle-group bps_write; ");
}

static void
the_old_kind_is_told_by_asking(void **state)
{
    Fixture *fixture = *state;
    bool has_objects = true;

    make_vm(fixture, OLD);
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\n", OLD_US);
    look(fixture);
    look(fixture);
    assert_true(drift_look_generation(fixture->samples->vm, &has_objects));
    assert_false(has_objects);
}

static void
make_open_file(Fixture *fixture, const char *number, const char *target)
{
    g_autofree char *path = g_strdup_printf("proc/%d/fd/%s", (int)getpid(), number);

    tree_link(fixture->samples->tree, path, target);
}

static void
a_person_may_have_query_block_asked(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    make_open_file(fixture, "5", "../cmdline");
    make_open_file(fixture, "6", "/nowhere"); /* closed meanwhile */
    fake_monitor_answer(fixture->samples->monitor, "query-block",
                        "[" BLOCK("scsi0", 31457280) ", " BLOCK("scsi1", 0) "]");
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\nscsi1: local:2\n", g_get_real_time());
    look(fixture);
    look_asked(fixture);
    assert_null(drift_look_why_not(fixture->samples->vm->drift));
    assert_false(drift_look_is_open(fixture->samples->vm->drift));
    assert_described(fixture, "scsi0 query-block bps_write; scsi1 query-block; ");
}

static void
assert_not_asked(Fixture *fixture, const char *why)
{
    g_autofree char *asked = fake_monitor_take_asked(fixture->samples->monitor);

    assert_null(strstr(asked, "query-block "));
    assert_false(drift_look_is_open(fixture->samples->vm->drift));
    assert_non_null(strstr(drift_look_why_not(fixture->samples->vm->drift), why));
}

static void
nobody_asks_query_block_on_its_own(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *asked = NULL;

    make_vm(fixture, OLD);
    make_open_file(fixture, "5", "../cmdline");
    for (guint i = 0; i < 100; i++)
        look(fixture);
    asked = fake_monitor_take_asked(fixture->samples->monitor);
    assert_null(strstr(asked, "query-block "));
}

static void
a_suspect_is_not_asked(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    make_open_file(fixture, "5", "../cmdline");
    look(fixture);
    fixture->samples->vm->track.verdict.state = STATE_SUSPECT;
    look_asked(fixture);
    assert_not_asked(fixture, "a stall is suspected");
}

/* A link to itself cannot be looked at: in its place a file whose storage answers with an error. */
static void
a_file_that_does_not_answer_well_is_a_doubt(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    make_open_file(fixture, "5", "5");
    look(fixture);
    look_asked(fixture);
    assert_not_asked(fixture, "not every file");
}

static void
a_vm_without_a_monitor_that_answers_is_not_asked(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    make_open_file(fixture, "5", "../cmdline");
    look_asked(fixture);
    fixture->samples->vm->sample.monitor = MONITOR_SILENT;
    drift_look_want(fixture->samples->vm);
    drift_look_go_on(fixture->samples->vm, fixture->samples->host, fixture->children, 1);
    g_free(fake_monitor_take_asked(fixture->samples->monitor));
    assert_not_asked(fixture, "its disks are not known");
}

static void
a_configuration_that_cannot_be_read_says_why(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    look(fixture);
    assert_null(drift_look_conf(fixture->samples->vm->drift));
    assert_string_equal(drift_look_problem(fixture->samples->vm->drift),
                        "No such file or directory");
    tree_fifo(fixture->samples->tree, "etc/" CONF);
    fixture->samples->now_us += (gint64)3600 * SECOND;
    look(fixture);
    assert_string_equal(drift_look_problem(fixture->samples->vm->drift), "Invalid argument");
}

static void
a_refused_drive_is_told_with_its_line(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GPtrArray) disks = NULL;

    make_vm(fixture, OLD);
    write_conf(fixture, "name: a\nscsi0: local:1,mpbs_wr=60\nide2: none,media=cdrom\n", OLD_US);
    look(fixture);
    disks = drift_look_disks(fixture->samples->vm, host_realtime_us(fixture->samples->host));
    assert_string_equal(((DriftDisk *)disks->pdata[0])->notes->pdata[0],
                        "configuration: line 2: key \"mpbs_wr\" is no key of a drive");
}

/* Time goes on by an hour, and the configuration is read again. */
static void
look_after_write(Fixture *fixture, const char *text, gint64 written_us)
{
    write_conf(fixture, text, written_us);
    fixture->samples->now_us += (gint64)3600 * SECOND;
    look(fixture);
}

static void
write_log(Fixture *fixture, gint64 at_us)
{
    g_autofree char *log = g_strdup_printf(
        "{\n\"data\": [\n"
        "{\"uid\": 3, \"time\": %" G_GINT64_FORMAT ", \"pri\": 6, \"tag\": \"qm\", \"pid\": 7, "
        "\"node\": \"pve1\", \"user\": \"root@pam\", \"msg\": \"update VM 102: -scsi0 "
        "local:1,mbps_wr=60\"},\n"
        "{\"uid\": 2, \"time\": 5, \"msg\": \"update VM 103: -scsi0 x\"},\n"
        "{\"uid\": 1, \"time\": -5, \"msg\": \"update VM 102: -scsi0 x\"},\n{\"uid\": 0, \"time\": "
        "12",
        at_us / SECOND);

    tree_file(fixture->samples->tree, "etc/pve/.clusterlog", log);
}

/* Each time in another order, as the script does it. */
static void
write_the_same_again(Fixture *fixture, gint64 first_us, guint times)
{
    static const char *const texts[] = {"scsi0: local:1,iothread=1,mbps_wr=60\nmemory: 1\n",
                                        "memory: 1\nscsi0: mbps_wr=60.0,local:1,iothread=on\n"};

    write_conf(fixture, texts[1], first_us - (gint64)3600 * SECOND);
    look(fixture);
    for (guint i = 0; i < times; i++) {
        write_log(fixture, first_us + i * (gint64)3600 * SECOND);
        look_after_write(fixture, texts[i % 2], first_us + i * (gint64)3600 * SECOND);
    }
}

static void
who_writes_equal_values_is_counted_and_named(void **state)
{
    Fixture *fixture = *state;
    gint64 now_us = host_realtime_us(fixture->samples->host);
    const Writers *writers;
    g_autofree char *habit = NULL;

    make_vm(fixture, OLD);
    writers = drift_look_writers(fixture->samples->vm->drift);
    write_the_same_again(fixture, now_us - (gint64)23 * 3600 * SECOND, 24);
    assert_int_equal(writers_count(writers, now_us).n_equal, 24);
    assert_int_equal(writers_count(writers, now_us).n_writes, 24);
    habit = writers_habit(writers, now_us);
    assert_non_null(strstr(habit, "`update VM 102: -scsi0 ..` by root@pam writes what is there"));
}

static void
who_changes_something_is_not_accused(void **state)
{
    Fixture *fixture = *state;
    gint64 now_us = host_realtime_us(fixture->samples->host);
    const Writers *writers;
    g_autofree char *habit = NULL;

    make_vm(fixture, OLD);
    writers = drift_look_writers(fixture->samples->vm->drift);
    write_conf(fixture, "memory: 1\n", OLD_US);
    look(fixture);
    for (guint i = 0; i < 5; i++) {
        g_autofree char *text = g_strdup_printf("memory: %u\n", i + 2);

        look_after_write(fixture, text, now_us - (10 - i) * 60 * SECOND);
    }
    assert_int_equal(writers_count(writers, now_us).n_writes, 5);
    assert_int_equal(writers_count(writers, now_us).n_equal, 0);
    habit = writers_habit(writers, now_us);
    assert_null(habit);
}

static void
a_file_nobody_writes_tells_of_no_writer(void **state)
{
    Fixture *fixture = *state;

    make_vm(fixture, OLD);
    write_conf(fixture, "memory: 1\n", OLD_US);
    for (guint i = 0; i < 10; i++) {
        fixture->samples->now_us += (gint64)3600 * SECOND;
        look(fixture);
    }
    assert_null(writers_count(drift_look_writers(fixture->samples->vm->drift), G_MAXINT64).last);
}

static void
explain_shows_the_last_write_before_the_onset(void **state)
{
    Fixture *fixture = *state;
    Vm *vm;
    gint64 now_us = host_realtime_us(fixture->samples->host);
    g_autoptr(JsonNode) frozen = NULL, fine = NULL;
    g_autofree char *text = NULL, *fine_text = NULL, *unbroken = NULL;
    g_auto(GStrv) lines = NULL;

    make_vm(fixture, OLD);
    vm = fixture->samples->vm;
    write_the_same_again(fixture, now_us - (gint64)23 * 3600 * SECOND - 1200 * SECOND, 24);
    fine = report_vm(fixture->samples->host, vm);
    fine_text = report_explain_text(json_node_get_object(fine), false);
    assert_null(strstr(fine_text, "\nbefore "));
    assert_non_null(strstr(fine_text, "\nwriter "));
    vm->track.verdict.state = STATE_FROZEN;
    vm->track.verdict.since_us = host_monotonic_us(fixture->samples->host);
    frozen = report_vm(fixture->samples->host, vm);
    text = report_explain_text(json_node_get_object(frozen), false);
    lines = g_strsplit(text, "\n        ", -1); /* a long line is broken */
    unbroken = g_strjoinv(" ", lines);
    assert_non_null(strstr(unbroken,
                           "UTC `update VM 102: -scsi0 ..` by root@pam: equal value, 24 times "
                           "in 24 h, 20m before onset\n"));
}

static void
a_change_in_qemu_alone_is_somebodys_write(void **state)
{
    Fixture *fixture = *state;
    Vm *vm;

    make_vm(fixture, NEW);
    vm = fixture->samples->vm;
    vm->source = "bare";
    for (guint i = 0; i < 4; i++) {
        fake_monitor_answer(fixture->samples->monitor, GET_GROUP("scsi0"),
                            i < 2 ? GROUP(62914560) : GROUP(1));
        vm->slow_round_us = 0;
        look(fixture);
    }
    assert_int_equal(writers_count(drift_look_writers(vm->drift), G_MAXINT64 / 2).n_writes, 0);
    assert_true(writers_count(drift_look_writers(vm->drift), g_get_real_time()).n_writes == 1);
}

#define TWO_DISKS                                                                                  \
    "[{\"device\": \"drive-scsi0\", \"qdev\": \"scsi0\", \"node-name\": \"n0\", \"stats\": "       \
    "{\"rd_operations\": 1, \"wr_operations\": 2, \"flush_operations\": 0}},"                      \
    " {\"device\": \"drive-scsi1\", \"qdev\": \"scsi1\", \"node-name\": \"n1\", \"stats\": "       \
    "{\"rd_operations\": 1, \"wr_operations\": 2, \"flush_operations\": 0}}]"

/* Of the newest sample; 0 none known. */
static guint64
sampled_limit(const Fixture *fixture, guint index)
{
    const Sample *sample = &fixture->samples->vm->sample;

    assert_true(index < sample->n_disks);
    return sample->disks[index].has_limit ? sample->disks[index].limit_bps : 0;
}

static void
a_limit_set_after_the_start_earns_a_suspect_patience(void **state)
{
    Fixture *fixture = *state;
    Vm *vm;

    make_vm(fixture, OLD);
    vm = fixture->samples->vm;
    write_conf(fixture, "scsi0: local:1,mbps_wr=600\nscsi1: local:2,mbps=0.02,mbps_max=1\n",
               g_get_real_time());
    fake_monitor_answer(fixture->samples->monitor, "query-blockstats", TWO_DISKS);
    look(fixture);
    fake_monitor_answer(fixture->samples->monitor, "query-blockstats", TWO_DISKS);
    look(fixture);
    assert_int_equal(sampled_limit(fixture, 0), 62914560);
    assert_int_equal(sampled_limit(fixture, 1), 0); /* it moves: nobody needs to know */
    vm->track.verdict.state = STATE_SUSPECT;
    fake_monitor_answer(fixture->samples->monitor, "query-blockstats", TWO_DISKS);
    look(fixture);
    assert_int_equal(sampled_limit(fixture, 0), 62914560); /* it may have been loosened, or not */
    assert_int_equal(sampled_limit(fixture, 1), 20971);
    vm->track.verdict.state = STATE_OK;
}

/* Lets a suspicion ask for the limits of what is sampled next. */
static void
look_as_suspect(Fixture *fixture)
{
    fixture->samples->vm->track.verdict.state = STATE_SUSPECT;
    fake_monitor_answer(fixture->samples->monitor, "query-blockstats", TWO_DISKS);
    look(fixture);
    fixture->samples->vm->track.verdict.state = STATE_OK;
}

static void
a_limit_that_was_loosened_explains_no_wait(void **state)
{
    Fixture *fixture = *state;
    const Sample *sample;

    make_vm(fixture, OLD);
    sample = &fixture->samples->vm->sample;
    make_open_file(fixture, "5", "../cmdline");
    fake_monitor_answer(fixture->samples->monitor, "query-block",
                        "[" BLOCK("scsi0", 0) ", " BLOCK("scsi1", 20000) "]");
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\nscsi1: local:2\n", OLD_US);
    look_as_suspect(fixture);
    assert_int_equal(sampled_limit(fixture, 0), 62914560);
    assert_true(sample->disks[0].limit_is_of_start);
    assert_int_equal(sampled_limit(fixture, 1), 0);
    look_asked(fixture);
    look_as_suspect(fixture);
    assert_int_equal(sampled_limit(fixture, 0), 0);
    assert_false(sample->disks[0].limit_is_of_start);
    assert_int_equal(sampled_limit(fixture, 1), 20000);
    assert_false(sample->disks[1].limit_is_of_start);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH(limits_of_the_old_kind_are_those_of_the_start),
        WITH(what_was_written_after_the_start_may_have_reached_qemu),
        WITH(limits_in_objects_are_asked_for),
        WITH(a_disk_plugged_in_later_is_probed_for),
        WITH(a_limit_set_after_the_start_earns_a_suspect_patience),
        WITH(a_limit_that_was_loosened_explains_no_wait),
        WITH(the_old_kind_is_told_by_asking),
        WITH(a_person_may_have_query_block_asked),
        WITH(nobody_asks_query_block_on_its_own),
        WITH(a_suspect_is_not_asked),
        WITH(a_file_that_does_not_answer_well_is_a_doubt),
        WITH(a_vm_without_a_monitor_that_answers_is_not_asked),
        WITH(a_configuration_that_cannot_be_read_says_why),
        WITH(a_refused_drive_is_told_with_its_line),
        WITH(who_writes_equal_values_is_counted_and_named),
        WITH(who_changes_something_is_not_accused),
        WITH(a_file_nobody_writes_tells_of_no_writer),
        WITH(explain_shows_the_last_write_before_the_onset),
        WITH(a_change_in_qemu_alone_is_somebodys_write),
    };

    return cmocka_run_group_tests_name("looks at limits", tests, NULL, NULL);
}
