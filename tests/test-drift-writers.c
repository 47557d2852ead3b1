/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-look-fixture.h"
#include "report.h"

#include <string.h>

/* Time goes on by an hour, and the configuration is read again. */
static void
look_after_write(LookFixture *fixture, const char *text, gint64 written_us)
{
    write_conf(fixture, text, written_us);
    fixture->samples->now_us += (gint64)3600 * SECOND;
    look(fixture);
}

static void
write_log(LookFixture *fixture, gint64 at_us)
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
write_the_same_again(LookFixture *fixture, gint64 first_us, guint times)
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
    LookFixture *fixture = *state;
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
    LookFixture *fixture = *state;
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
    LookFixture *fixture = *state;

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
    LookFixture *fixture = *state;
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
    lines = g_strsplit(text, "\n         ", -1); /* a long line is broken */
    unbroken = g_strjoinv(" ", lines);
    assert_non_null(strstr(unbroken,
                           "UTC `update VM 102: -scsi0 ..` by root@pam: equal value, 24 times "
                           "in 24 h, 20m before onset\n"));
}

static void
a_change_in_qemu_alone_is_somebodys_write(void **state)
{
    LookFixture *fixture = *state;
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

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        WITH_LOOKS(who_writes_equal_values_is_counted_and_named),
        WITH_LOOKS(who_changes_something_is_not_accused),
        WITH_LOOKS(a_file_nobody_writes_tells_of_no_writer),
        WITH_LOOKS(explain_shows_the_last_write_before_the_onset),
        WITH_LOOKS(a_change_in_qemu_alone_is_somebodys_write),
    };

    return cmocka_run_group_tests_name("writers of limits", tests, NULL, NULL);
}
