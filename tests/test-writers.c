/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "writers.h"

#include <string.h>

#define SECOND ((gint64)G_USEC_PER_SEC)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
/* 2023-11-14 22:13:20 UTC */
#define EPOCH (1700000000 * SECOND)
#define WHAT "update VM 102: -scsi0 local-lvm:vm-102-disk-0,mbps_rd=60,mbps_wr=60"

static void
add_log(Writers *writers, gint64 at_us)
{
    writers_add(writers,
                &(Write){.at_us = at_us / SECOND * SECOND, .who = "root@pam", .what = WHAT});
}

static void
add_file(Writers *writers, gint64 at_us, WriteEffect effect)
{
    writers_add(writers, &(Write){.at_us = at_us, .effect = effect});
}

/* A script that writes the same value every hour, as log and file tell it. */
static Writers *
hourly(guint hours, WriteEffect effect)
{
    Writers *writers = writers_new();

    for (guint i = 0; i < hours; i++) {
        add_file(writers, EPOCH + i * HOUR + 300000, effect);
        /* The log is read again every minute. */
        add_log(writers, EPOCH + i * HOUR + SECOND);
        add_log(writers, EPOCH + i * HOUR + SECOND);
    }
    return writers;
}

static void
the_incident_has_its_line(void **state)
{
    g_autoptr(Writers) writers = hourly(24, WRITE_EQUAL);
    g_autofree char *line = writers_describe(writers, EPOCH + 23 * HOUR + 20 * MINUTE + SECOND);

    assert_string_equal(line, "21:13 UTC `update VM 102: -scsi0 ..` by root@pam: equal value, 24 "
                              "times in 24 h, 20m before onset");
}

static void
a_write_after_the_onset_is_not_before_it(void **state)
{
    g_autoptr(Writers) writers = hourly(24, WRITE_EQUAL);
    g_autofree char *line = writers_describe(writers, EPOCH - SECOND);
    g_autofree char *second = writers_describe(writers, EPOCH + HOUR - MINUTE);

    assert_null(line);
    assert_non_null(strstr(second, "1 times in 24 h, 58m before onset"));
}

static void
a_write_of_the_day_before_is_forgotten(void **state)
{
    g_autoptr(Writers) writers = hourly(1, WRITE_EQUAL);
    g_autofree char *line = writers_describe(writers, EPOCH + 25 * HOUR);

    assert_null(line);
}

static void
a_habit_names_writer_rhythm_and_since(void **state)
{
    g_autoptr(Writers) writers = hourly(48, WRITE_EQUAL);
    g_autofree char *habit = writers_habit(writers, EPOCH + 47 * HOUR + MINUTE);

    assert_string_equal(habit, "`update VM 102: -scsi0 ..` by root@pam writes what is there "
                               "already: 24 times in 24 h, about every 1h00m, for 1d23h at least");
}

static void
changes_are_no_habit(void **state)
{
    g_autoptr(Writers) writers = hourly(48, WRITE_CHANGED);
    g_autofree char *habit = writers_habit(writers, EPOCH + 47 * HOUR + MINUTE);
    g_autofree char *line = writers_describe(writers, EPOCH + 47 * HOUR + MINUTE);

    assert_null(habit);
    assert_non_null(strstr(line, ": another value, 24 writes in 24 h"));
}

static void
two_equal_writes_are_a_person(void **state)
{
    g_autoptr(Writers) writers = hourly(2, WRITE_EQUAL);
    g_autoptr(Writers) more = hourly(3, WRITE_EQUAL);
    g_autofree char *habit = writers_habit(writers, EPOCH + 3 * HOUR);
    g_autofree char *more_habit = writers_habit(more, EPOCH + 3 * HOUR);

    assert_null(habit);
    assert_non_null(more_habit);
}

static void
our_own_writes_are_nobody_elses(void **state)
{
    g_autoptr(Writers) writers = writers_new();

    writers_add_own(writers, EPOCH, EPOCH + 2 * SECOND);
    add_log(writers, EPOCH + SECOND);
    add_file(writers, EPOCH + 2 * SECOND, WRITE_CHANGED);
    assert_int_equal(writers_count(writers, EPOCH + HOUR).n_writes, 0);
    add_log(writers, EPOCH + MINUTE);
    assert_int_equal(writers_count(writers, EPOCH + HOUR).n_writes, 1);
}

static void
a_write_that_we_own_up_to_later_is_taken_out(void **state)
{
    g_autoptr(Writers) writers = writers_new();

    add_file(writers, EPOCH, WRITE_CHANGED);
    add_file(writers, EPOCH + MINUTE, WRITE_CHANGED);
    writers_add_own(writers, EPOCH + MINUTE - SECOND, EPOCH + MINUTE + SECOND);
    assert_int_equal(writers_count(writers, EPOCH + HOUR).n_writes, 1);
    assert_int_equal(writers_count(writers, EPOCH + HOUR).last->at_us, EPOCH);
}

static void
log_and_file_in_any_order_are_one_write(void **state)
{
    g_autoptr(Writers) writers = writers_new();
    WritersCount count;

    add_log(writers, EPOCH + MINUTE);
    add_file(writers, EPOCH + MINUTE - 200000, WRITE_EQUAL);
    add_file(writers, EPOCH, WRITE_EQUAL);
    add_log(writers, EPOCH);
    count = writers_count(writers, EPOCH + HOUR);
    assert_int_equal(count.n_writes, 2);
    assert_int_equal(count.n_equal, 2);
    assert_true(count.rhythm_us == MINUTE);
    assert_string_equal(count.last->who, "root@pam");
}

static void
a_write_without_a_log_has_no_name(void **state)
{
    g_autoptr(Writers) writers = writers_new();
    g_autofree char *line = NULL;

    add_file(writers, EPOCH, WRITE_UNKNOWN);
    line = writers_describe(writers, EPOCH + 90 * SECOND);
    assert_string_equal(line, "22:13 UTC the configuration was written by somebody, 1 writes in 24 "
                              "h, 1m before onset");
}

static void
a_change_in_qemu_is_another_write(void **state)
{
    g_autoptr(Writers) writers = writers_new();
    g_autofree char *line = NULL;

    add_log(writers, EPOCH);
    writers_add(writers, &(Write){.at_us = EPOCH, .effect = WRITE_CHANGED, .is_live = true});
    assert_int_equal(writers_count(writers, EPOCH).n_writes, 2);
    line = writers_describe(writers, EPOCH);
    assert_non_null(line);
}

static void
many_writes_cost_little(void **state)
{
    g_autoptr(Writers) writers = writers_new();

    for (guint i = 0; i < 5000; i++)
        add_log(writers, EPOCH + i * MINUTE);
    add_log(writers, EPOCH); /* long forgotten: it does not come back */
    assert_int_equal(writers_count(writers, EPOCH + 5000 * MINUTE).n_writes, 256);
    assert_true(writers_count(writers, EPOCH + 5000 * MINUTE).last->at_us ==
                (EPOCH + 4999 * MINUTE) / SECOND * SECOND);
}

typedef struct {
    const char *name, *text, *vm, *user, *what; /* vm NULL: it tells of no write */
} Row;

static const Row rows[] = {
    {"a line of the journal", "<root@pam> " WHAT, "102", "root@pam", WHAT},
    {"a message of the cluster log", WHAT, "102", NULL, WHAT},
    {"a user of another realm", "<a b@x!token> update VM 7: -delete net1", "7", "a b@x!token",
     "update VM 7: -delete net1"},
    {"another line", "<root@pam> starting task UPID:pve:0000", NULL, NULL, NULL},
    {"a user without an end", "<root@pam update VM 7: -x", NULL, NULL, NULL},
    {"a VM without a number", "update VM x: -x", NULL, NULL, NULL},
    {"a number without an end", "update VM 7", NULL, NULL, NULL},
    {"nothing", "", NULL, NULL, NULL},
    {"a container", "update CT 7: -memory 1", NULL, NULL, NULL},
};

static void
check_row(void **state)
{
    const Row *row = *state;
    g_autofree char *vm = NULL, *user = NULL;
    const char *what = NULL;
    bool is_write = writers_parse(row->text, &vm, &user, &what);

    assert_int_equal(is_write, row->vm != NULL);
    assert_int_equal(g_strcmp0(vm, row->vm), 0);
    assert_int_equal(g_strcmp0(user, row->user), 0);
    assert_int_equal(g_strcmp0(what, row->what), 0);
}

int
main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(the_incident_has_its_line),
        cmocka_unit_test(a_write_after_the_onset_is_not_before_it),
        cmocka_unit_test(a_write_of_the_day_before_is_forgotten),
        cmocka_unit_test(a_habit_names_writer_rhythm_and_since),
        cmocka_unit_test(changes_are_no_habit),
        cmocka_unit_test(two_equal_writes_are_a_person),
        cmocka_unit_test(our_own_writes_are_nobody_elses),
        cmocka_unit_test(a_write_that_we_own_up_to_later_is_taken_out),
        cmocka_unit_test(log_and_file_in_any_order_are_one_write),
        cmocka_unit_test(a_write_without_a_log_has_no_name),
        cmocka_unit_test(a_change_in_qemu_is_another_write),
        cmocka_unit_test(many_writes_cost_little),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(rows) + G_N_ELEMENTS(others)];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[n++] = t_row(rows[i].name, check_row, &rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++)
        tests[n++] = others[i];
    return cmocka_run_group_tests_name("foreign writers", tests, NULL, NULL);
}
