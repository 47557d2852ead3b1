/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is usual for a disk outlives the guardian: kept by one, found by the next. */

#include "t.h"

#include "freeze.h"
#include "habits.h"
#include "tree.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)
#define STORE "run/vm-guardian/habits.json"

static const Limits limits = {
    .settle_us = 10 * S,
    .patience_us = 20 * S,
    .patience_max_us = 120 * S,
    .page_after_us = 60 * S,
    .silent_us = 12 * S,
};

typedef struct {
    Tree *tree;
    Host *host;
    Habits *habits;
    Vm *vm;
    gint64 now_us;
} Fixture;

/* A VM on lsi, which shows nothing in flight; its process differs each time. */
static Vm *
vm_begin(Fixture *fixture, const char *uuid, guint64 ops)
{
    const char *const argv[] = {"kvm", NULL};
    Vm *vm = vm_new(proc_open(fixture->host, 42, NULL), argv_parse(argv), "bare");
    DiskSample *disk = g_new0(DiskSample, 1);

    vm->uuid = g_strdup(uuid);
    vm->sample = (Sample){.period_us = 2 * S,
                          .process_state = 'S',
                          .monitor = MONITOR_ANSWERED,
                          .run = RUN_RUNNING,
                          .has_disks = true,
                          .disks = disk,
                          .n_disks = 1};
    disk->id = g_strdup("/machine/peripheral/scsi0");
    disk->label = g_strdup("scsi0");
    disk->has_counters = true;
    disk->wr_ops = ops;
    return vm;
}

static void
clock_set(Fixture *fixture)
{
    host_set_clock(fixture->host, fixture->now_us, fixture->now_us, fixture->now_us);
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    const char *roots[HOST_N_ROOTS] = {0};
    g_autofree char *proc = NULL, *run = NULL;

    fixture->tree = tree_new();
    tree_file(fixture->tree, "proc/42/stat",
              "42 (kvm) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 3 0 99 1\n");
    tree_file(fixture->tree, "proc/sys/kernel/random/boot_id", "first-boot\n");
    tree_file(fixture->tree, "run/vm-guardian/other", "");
    proc = g_build_filename(tree_root(fixture->tree), "proc", NULL);
    run = g_build_filename(tree_root(fixture->tree), "run", NULL);
    roots[HOST_PROC] = proc;
    roots[HOST_RUN] = run;
    fixture->host = host_new(roots, NULL);
    assert_non_null(fixture->host);
    fixture->now_us = 1000 * S;
    clock_set(fixture);
    fixture->habits = habits_new(fixture->host);
    fixture->vm = vm_begin(fixture, "uuid-a", 10);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    vm_free(fixture->vm);
    habits_free(fixture->habits);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* Samples every 2 s for so long; the disk writes every `gap_s`, 0 never. */
static void
go_on(Fixture *fixture, gint64 seconds, gint64 gap_s)
{
    Vm *vm = fixture->vm;

    for (gint64 i = 2; i <= seconds; i += 2) {
        fixture->now_us += 2 * S;
        clock_set(fixture);
        vm->sample.now_us = vm->sample.boottime_us = fixture->now_us;
        if (gap_s > 0 && i % gap_s == 0) {
            vm->sample.disks[0].wr_ops++;
            vm->sample.disks[0].total_time_ns += 2000000;
        }
        freeze_judge(&vm->track, &vm->sample, &limits);
        habits_follow(fixture->habits, vm, true);
    }
}

/* The guardian, or the VM too, ends and begins anew. */
static void
begin_again(Fixture *fixture, const char *uuid, guint64 ops)
{
    habits_free(fixture->habits);
    vm_free(fixture->vm);
    fixture->habits = habits_new(fixture->host);
    fixture->vm = vm_begin(fixture, uuid, ops);
}

static bool
store_is_there(const Fixture *fixture)
{
    return g_file_test(tree_path(fixture->tree, STORE), G_FILE_TEST_EXISTS);
}

static const DiskTrack *
disk_of(const Fixture *fixture)
{
    return fixture->vm->track.disks->pdata[0];
}

static void
a_frozen_disk_is_suspect_after_a_restart_too(void **state)
{
    Fixture *fixture = *state;
    gint64 onset;

    go_on(fixture, 600, 4);
    onset = fixture->now_us;
    go_on(fixture, 60, 0);
    assert_int_equal(disk_of(fixture)->verdict.state, STATE_SUSPECT);
    habits_save(fixture->habits);
    begin_again(fixture, "uuid-a", fixture->vm->sample.disks[0].wr_ops);
    go_on(fixture, 12, 0);
    assert_int_equal(disk_of(fixture)->habit.longest_gap_us, 4 * S);
    assert_int_equal(disk_of(fixture)->habit.last_progress_us, onset);
    assert_int_equal(disk_of(fixture)->verdict.state, STATE_SUSPECT);
    /* beside it: one that nobody knows is innocent */
    begin_again(fixture, "uuid-b", fixture->vm->sample.disks[0].wr_ops);
    go_on(fixture, 60, 0);
    assert_int_equal(disk_of(fixture)->verdict.state, STATE_OK);
}

static void
what_wrote_meanwhile_begins_a_new_spell(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 600, 30);
    habits_save(fixture->habits);
    fixture->now_us += 3600 * S;
    begin_again(fixture, "uuid-a", 5000);
    go_on(fixture, 2, 0);
    assert_int_equal(disk_of(fixture)->habit.longest_gap_us, 30 * S);
    assert_int_equal(disk_of(fixture)->habit.last_progress_us, fixture->now_us);
    assert_true(habit_is_writer(&disk_of(fixture)->habit));
    /* and the longest gap grows on */
    go_on(fixture, 100, 50);
    assert_int_equal(disk_of(fixture)->habit.longest_gap_us, 50 * S);
}

static void
a_guardian_that_is_killed_forgets_five_minutes(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 200, 4);
    assert_false(store_is_there(fixture));
    go_on(fixture, 200, 4);
    assert_true(store_is_there(fixture));
    begin_again(fixture, "uuid-a", 7);
    go_on(fixture, 2, 0);
    assert_int_equal(disk_of(fixture)->habit.longest_gap_us, 4 * S);
}

static void
a_tool_saves_nothing(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 20, 4);
    fixture->now_us += 1000 * S;
    clock_set(fixture);
    habits_follow(fixture->habits, fixture->vm, false);
    assert_false(store_is_there(fixture));
}

static void
another_boot_knows_nothing(void **state)
{
    Fixture *fixture = *state;

    go_on(fixture, 60, 4);
    habits_save(fixture->habits);
    tree_file(fixture->tree, "proc/sys/kernel/random/boot_id", "second-boot\n");
    begin_again(fixture, "uuid-a", 7);
    go_on(fixture, 2, 0);
    assert_int_equal(disk_of(fixture)->habit.progress_samples, 0);
}

static void
nonsense_is_passed_over(void **state)
{
    static const char one[] =
        "{\"vm\":\"uuid-a\",\"disk\":\"/machine/peripheral/scsi0\",\"progress_samples\":%s,"
        "\"learned_since_us\":%s,\"last_progress_us\":%s,\"longest_gap_us\":%s,"
        "\"operations\":1,\"seen_us\":%s}";
    static const struct {
        const char *samples, *learned, *progress, *gap, *seen;
        bool is_taken;
    } rows[] = {
        {"9", "1000", "2000", "500", "3000", true},
        {"9", "3000", "2000", "500", "3000", false},
        {"9", "0", "2000", "500", "3000", false},
        {"9", "1000", "4000", "500", "3000", false},
        {"9", "1000", "2000", "500", "99999999999999", false},
        {"9", "1000", "2000", "99999999999999", "3000", false},
        {"9", "1000", "2000", "-5", "3000", false},
        {"\"x\"", "1000", "2000", "500", "3000", false},
        {"9", "null", "2000", "500", "3000", false},
    };
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "7",
                                        "{\"schema\":1}",
                                        "{\"schema\":1,\"boot_id\":\"first-boot\",\"habits\":[1]}",
                                        "{\"schema\":2,\"boot_id\":\"first-boot\",\"habits\":[]}"};
    Fixture *fixture = *state;

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        tree_file(fixture->tree, STORE, texts[i]);
        begin_again(fixture, "uuid-a", 7);
        go_on(fixture, 2, 0);
        assert_int_equal(disk_of(fixture)->habit.progress_samples, 0);
    }
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *entry = g_strdup_printf(one, rows[i].samples, rows[i].learned,
                                                 rows[i].progress, rows[i].gap, rows[i].seen);
        g_autofree char *text =
            g_strdup_printf("{\"schema\":1,\"boot_id\":\"first-boot\",\"habits\":[%s]}", entry);

        tree_file(fixture->tree, STORE, text);
        begin_again(fixture, "uuid-a", 7);
        go_on(fixture, 2, 0);
        assert_int_equal(disk_of(fixture)->habit.progress_samples, rows[i].is_taken ? 9 : 0);
    }
}

static void
disks_without_end_are_not_kept(void **state)
{
    Fixture *fixture = *state;
    Vm *vm = fixture->vm;

    for (guint i = 0; i < 12000; i++) {
        DiskTrack *disk;

        g_free(vm->sample.disks[0].id);
        vm->sample.disks[0].id = g_strdup_printf("disk%u", i);
        track_follow_disks(&vm->track, &vm->sample);
        disk = vm->track.disks->pdata[0];
        disk->has_last = true;
        habit_note_progress(&disk->habit, fixture->now_us);
        vm->sample.now_us = fixture->now_us;
        habits_follow(fixture->habits, vm, false);
    }
    habits_save(fixture->habits);
    {
        g_autofree char *text = NULL;

        assert_true(g_file_get_contents(tree_path(fixture->tree, STORE), &text, NULL, NULL));
        assert_true(strlen(text) < 4 * 1024 * 1024);
        assert_non_null(strstr(text, "\"disk8000\""));
        assert_null(strstr(text, "\"disk9000\""));
    }
}

#define habits_test(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        habits_test(a_frozen_disk_is_suspect_after_a_restart_too),
        habits_test(what_wrote_meanwhile_begins_a_new_spell),
        habits_test(a_guardian_that_is_killed_forgets_five_minutes),
        habits_test(a_tool_saves_nothing),
        habits_test(another_boot_knows_nothing),
        habits_test(nonsense_is_passed_over),
        habits_test(disks_without_end_are_not_kept),
    };

    return cmocka_run_group_tests_name("habits", tests, NULL, NULL);
}
