/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-look-fixture.h"

#include <string.h>
#include <unistd.h>

/* The child tells the time of the host; samples here are taken at their own. */
static void
look_asked(LookFixture *fixture)
{
    drift_look_want(fixture->samples->vm);
    fixture->samples->now_us = host_monotonic_us(fixture->samples->host);
    look(fixture);
    fixture->samples->now_us = host_monotonic_us(fixture->samples->host);
    look(fixture);
}

static char *
describe(LookFixture *fixture)
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
assert_described(LookFixture *fixture, const char *expected)
{
    g_autofree char *text = describe(fixture);

    assert_string_equal(text, expected);
}

static void
limits_of_the_old_kind_are_those_of_the_start(void **state)
{
    LookFixture *fixture = *state;

    make_vm(fixture, OLD);
    write_conf(fixture, "scsi0: local:1,iothread=1,mbps_wr=60.0\nscsi1: local:2,mbps=5\n", OLD_US);
    look(fixture);
    assert_described(fixture, "scsi0 command-line; scsi1 command-line bps_total; ");
}

static void
what_was_written_after_the_start_may_have_reached_qemu(void **state)
{
    LookFixture *fixture = *state;
    g_autoptr(GPtrArray) disks = NULL;

    make_vm(fixture, OLD);
    write_conf(fixture, "scsi0: local:1,mbps_wr=30\n", g_get_real_time());
    look(fixture);
    assert_described(fixture, "scsi0 unknown; scsi1 unknown; ");
    disks = drift_look_disks(fixture->samples->vm, host_realtime_us(fixture->samples->host));
    assert_non_null(strstr(((DriftDisk *)disks->pdata[0])->notes->pdata[0], "guardianctl drift"));
}

/* What is on its way may have been read before the change that he wants to see. */
static void
who_wants_to_know_while_it_is_read_has_it_read_again(void **state)
{
    LookFixture *fixture = *state;
    Vm *vm;

    make_vm(fixture, OLD);
    vm = fixture->samples->vm;
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\n", OLD_US);
    pve_look_go_on(vm, fixture->samples->host, fixture->children, fixture->samples->now_us);
    pve_look_want(vm->pve);
    look(fixture); /* that read ends */
    write_conf(fixture, "scsi0: local:1,mbps_wr=30\n", OLD_US + SECOND);
    look(fixture);
    assert_int_equal(pve_look_written_us(vm->pve), OLD_US + SECOND);
    write_conf(fixture, "scsi0: local:1,mbps_wr=20\n", OLD_US + 2 * SECOND);
    look(fixture); /* nobody wants this */
    assert_int_equal(pve_look_written_us(vm->pve), OLD_US + SECOND);
}

static void
limits_in_objects_are_asked_for(void **state)
{
    LookFixture *fixture = *state;
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
    LookFixture *fixture = *state;

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
    LookFixture *fixture = *state;
    bool has_objects = true;

    make_vm(fixture, OLD);
    write_conf(fixture, "scsi0: local:1,mbps_wr=60\n", OLD_US);
    look(fixture);
    look(fixture);
    assert_true(drift_look_generation(fixture->samples->vm, &has_objects));
    assert_false(has_objects);
}

static void
make_open_file(LookFixture *fixture, const char *number, const char *target)
{
    g_autofree char *path = g_strdup_printf("proc/%d/fd/%s", (int)getpid(), number);

    tree_link(fixture->samples->tree, path, target);
}

static void
a_person_may_have_query_block_asked(void **state)
{
    LookFixture *fixture = *state;

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
assert_not_asked(LookFixture *fixture, const char *why)
{
    g_autofree char *asked = fake_monitor_take_asked(fixture->samples->monitor);

    assert_null(strstr(asked, "query-block "));
    assert_false(drift_look_is_open(fixture->samples->vm->drift));
    assert_non_null(strstr(drift_look_why_not(fixture->samples->vm->drift), why));
}

static void
nobody_asks_query_block_on_its_own(void **state)
{
    LookFixture *fixture = *state;
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
    LookFixture *fixture = *state;

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
    LookFixture *fixture = *state;

    make_vm(fixture, OLD);
    make_open_file(fixture, "5", "5");
    look(fixture);
    look_asked(fixture);
    assert_not_asked(fixture, "not every file");
}

static void
a_vm_without_a_monitor_that_answers_is_not_asked(void **state)
{
    LookFixture *fixture = *state;

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
    LookFixture *fixture = *state;

    make_vm(fixture, OLD);
    look(fixture);
    assert_null(pve_look_conf(fixture->samples->vm->pve));
    assert_string_equal(pve_look_problem(fixture->samples->vm->pve), "No such file or directory");
    tree_fifo(fixture->samples->tree, "etc/" CONF);
    fixture->samples->now_us += (gint64)3600 * SECOND;
    look(fixture);
    assert_string_equal(pve_look_problem(fixture->samples->vm->pve), "Invalid argument");
}

static void
a_refused_drive_is_told_with_its_line(void **state)
{
    LookFixture *fixture = *state;
    g_autoptr(GPtrArray) disks = NULL;

    make_vm(fixture, OLD);
    write_conf(fixture, "name: a\nscsi0: local:1,mpbs_wr=60\nide2: none,media=cdrom\n", OLD_US);
    look(fixture);
    disks = drift_look_disks(fixture->samples->vm, host_realtime_us(fixture->samples->host));
    assert_string_equal(((DriftDisk *)disks->pdata[0])->notes->pdata[0],
                        "configuration: line 2: key \"mpbs_wr\" is no key of a drive");
}

#define TWO_DISKS                                                                                  \
    "[{\"device\": \"drive-scsi0\", \"qdev\": \"scsi0\", \"node-name\": \"n0\", \"stats\": "       \
    "{\"rd_operations\": 1, \"wr_operations\": 2, \"flush_operations\": 0}},"                      \
    " {\"device\": \"drive-scsi1\", \"qdev\": \"scsi1\", \"node-name\": \"n1\", \"stats\": "       \
    "{\"rd_operations\": 1, \"wr_operations\": 2, \"flush_operations\": 0}}]"

/* Of the newest sample; 0 none known. */
static guint64
sampled_limit(const LookFixture *fixture, guint index)
{
    const Sample *sample = &fixture->samples->vm->sample;

    assert_true(index < sample->n_disks);
    return sample->disks[index].has_limit ? sample->disks[index].limit_bps : 0;
}

static void
a_limit_set_after_the_start_earns_a_suspect_patience(void **state)
{
    LookFixture *fixture = *state;
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
look_as_suspect(LookFixture *fixture)
{
    fixture->samples->vm->track.verdict.state = STATE_SUSPECT;
    fake_monitor_answer(fixture->samples->monitor, "query-blockstats", TWO_DISKS);
    look(fixture);
    fixture->samples->vm->track.verdict.state = STATE_OK;
}

static void
a_limit_that_was_loosened_explains_no_wait(void **state)
{
    LookFixture *fixture = *state;
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

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_LOOKS(limits_of_the_old_kind_are_those_of_the_start),
        WITH_LOOKS(what_was_written_after_the_start_may_have_reached_qemu),
        WITH_LOOKS(who_wants_to_know_while_it_is_read_has_it_read_again),
        WITH_LOOKS(limits_in_objects_are_asked_for),
        WITH_LOOKS(a_disk_plugged_in_later_is_probed_for),
        WITH_LOOKS(the_old_kind_is_told_by_asking),
        WITH_LOOKS(a_person_may_have_query_block_asked),
        WITH_LOOKS(nobody_asks_query_block_on_its_own),
        WITH_LOOKS(a_suspect_is_not_asked),
        WITH_LOOKS(a_file_that_does_not_answer_well_is_a_doubt),
        WITH_LOOKS(a_vm_without_a_monitor_that_answers_is_not_asked),
        WITH_LOOKS(a_configuration_that_cannot_be_read_says_why),
        WITH_LOOKS(a_refused_drive_is_told_with_its_line),
        WITH_LOOKS(a_limit_set_after_the_start_earns_a_suspect_patience),
        WITH_LOOKS(a_limit_that_was_loosened_explains_no_wait),
    };

    return cmocka_run_group_tests_name("looks at limits", tests, NULL, NULL);
}
