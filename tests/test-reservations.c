/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was measured of a VM's memory outlives the guardian, and the VM's process; of the VM beside
 * it nothing is mixed in. */

#include "t.h"

#include "fake-host.h"
#include "memory-watch.h"
#include "reservations.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define S ((gint64)G_USEC_PER_SEC)
#define MIB ((guint64)1024 * 1024)
#define STORE "run/vm-guardian/reservations.json"
#define DAY_S 86400

typedef struct {
    Tree *tree;
    Host *host;
    Reservations *reservations;
    gint64 now_s;
} Fixture;

static void
clock_to(Fixture *fixture, gint64 now_s)
{
    fixture->now_s = now_s;
    host_set_clock(fixture->host, now_s * S, now_s * S, (1790000000 + now_s) * S);
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    tree_directory(fixture->tree, "run/vm-guardian");
    fake_host_qemu(fixture->tree, 42, "web", NULL);
    fake_host_qemu(fixture->tree, 43, "db", NULL);
    clock_to(fixture, 1000);
    fixture->reservations = reservations_new(fixture->host);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    reservations_free(fixture->reservations);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static Vm *
vm_begin(Fixture *fixture, pid_t pid, const char *name)
{
    const char *const argv[] = {"kvm", "-name", name, NULL};

    return vm_new(proc_open(fixture->host, pid, NULL), argv_parse(argv), "bare");
}

/* A day of it, as the daemon follows it. */
static void
learn(Fixture *fixture, Vm *vm, guint64 bytes)
{
    for (guint i = 0; i < DAY_S / 60; i++) {
        clock_to(fixture, fixture->now_s + 60);
        reservation_follow(&vm->memory_watch->reservation, bytes, 1790000000 + fixture->now_s);
        reservations_follow(fixture->reservations, vm);
        reservations_save_due(fixture->reservations);
    }
}

static guint64
peak_of(const Vm *vm)
{
    return histogram_percentile(&vm->memory_watch->reservation.peaks, 950);
}

static void
restart(Fixture *fixture)
{
    reservations_free(fixture->reservations);
    fixture->reservations = reservations_new(fixture->host);
}

static void
what_was_measured_outlives_the_daemon(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Vm) web = vm_begin(fixture, 42, "web"), db = vm_begin(fixture, 43, "db");
    g_autoptr(Vm) web_again = vm_begin(fixture, 42, "web"), db_again = vm_begin(fixture, 43, "db");
    guint64 web_peak, db_peak;

    learn(fixture, web, 300 * MIB);
    learn(fixture, db, 40 * MIB);
    web_peak = peak_of(web);
    db_peak = peak_of(db);
    assert_in_range(web_peak, 300 * MIB, 320 * MIB);
    assert_in_range(db_peak, 40 * MIB, 45 * MIB);
    restart(fixture);
    reservations_follow(fixture->reservations, web_again);
    reservations_follow(fixture->reservations, db_again);
    assert_int_equal(peak_of(web_again), web_peak);
    assert_int_equal(peak_of(db_again), db_peak);
    /* it goes on from there, and is not fetched twice */
    learn(fixture, web_again, 900 * MIB);
    assert_in_range(peak_of(web_again), 900 * MIB, 950 * MIB);
}

/* A boot: what is in run is gone. The stop comes after the last save that was due. */
static void
what_was_measured_outlives_the_boot(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Children) children = children_new(context);
    g_autoptr(Vm) web = vm_begin(fixture, 42, "web"), db = vm_begin(fixture, 43, "db");
    g_autoptr(Vm) web_again = vm_begin(fixture, 42, "web"), db_again = vm_begin(fixture, 43, "db");

    learn(fixture, web, 300 * MIB);
    learn(fixture, db, 40 * MIB);
    reservations_set_children(fixture->reservations, children);
    clock_to(fixture, fixture->now_s + 300);
    reservations_save_due(fixture->reservations);
    while (children_running(children) > 0)
        g_main_context_iteration(context, TRUE);
    assert_int_equal(unlink(tree_path(fixture->tree, STORE)), 0);
    restart(fixture);
    reservations_follow(fixture->reservations, web_again);
    reservations_follow(fixture->reservations, db_again);
    assert_int_equal(peak_of(web_again), peak_of(web));
    assert_int_equal(peak_of(db_again), peak_of(db));
    assert_true(peak_of(web) > 0);
}

/* Stopped before a save was due: what came since the last one is kept, too. */
static void
a_stop_saves_beyond_the_boot(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Vm) web = vm_begin(fixture, 42, "web"), db = vm_begin(fixture, 43, "db");
    g_autoptr(Vm) web_again = vm_begin(fixture, 42, "web"), db_again = vm_begin(fixture, 43, "db");

    learn(fixture, web, 300 * MIB);
    reservations_follow(fixture->reservations, db);
    reservations_save_last(fixture->reservations);
    assert_int_equal(unlink(tree_path(fixture->tree, STORE)), 0);
    restart(fixture);
    reservations_follow(fixture->reservations, web_again);
    reservations_follow(fixture->reservations, db_again);
    assert_true(peak_of(web) > 0);
    assert_int_equal(peak_of(web_again), peak_of(web));
    assert_int_equal(db_again->memory_watch->reservation.peaks.n_samples, 0);
}

/* A file that nobody ever reads from, as a dead disk is: the stop is held for seconds. */
static void
a_dead_disk_does_not_hold_the_stop(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Vm) web = vm_begin(fixture, 42, "web"), again = vm_begin(fixture, 42, "web");

    learn(fixture, web, 300 * MIB);
    tree_directory(fixture->tree, "var/vm-guardian/learned");
    assert_int_equal(
        mkfifo(tree_path(fixture->tree, "var/vm-guardian/learned/.reservations.json"), 0600), 0);
    reservations_save_last(fixture->reservations);
    restart(fixture);
    reservations_follow(fixture->reservations, again);
    assert_int_equal(peak_of(again), peak_of(web));
}

static void
a_young_vm_gets_nothing_of_others(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Vm) web = vm_begin(fixture, 42, "web"), db = vm_begin(fixture, 43, "db");

    learn(fixture, web, 300 * MIB);
    restart(fixture);
    reservations_follow(fixture->reservations, db);
    assert_int_equal(db->memory_watch->reservation.peaks.n_samples, 0);
}

static void
a_vm_not_seen_for_a_month_is_forgotten(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Vm) web = vm_begin(fixture, 42, "web"), again = vm_begin(fixture, 42, "web");

    learn(fixture, web, 300 * MIB);
    clock_to(fixture, fixture->now_s + 31 * DAY_S);
    reservations_save_last(fixture->reservations);
    restart(fixture);
    reservations_follow(fixture->reservations, again);
    assert_int_equal(again->memory_watch->reservation.peaks.n_samples, 0);
}

static void
a_broken_store_is_passed_over(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"schema\":1,\"reservations\":{}}",
        "{\"schema\":1,\"reservations\":[1,null,[],{}]}",
        "{\"schema\":1,\"reservations\":[{\"vm\":\"web\",\"seen_s\":-1}]}",
        "{\"schema\":1,\"reservations\":[{\"vm\":\"web\",\"seen_s\":1,\"state\":\"x\"}]}",
        "{\"schema\":2,\"reservations\":[]}",
    };
    Fixture *fixture = *state;

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(Vm) web = vm_begin(fixture, 42, "web");

        tree_file(fixture->tree, STORE, texts[i]);
        restart(fixture);
        reservations_follow(fixture->reservations, web);
        assert_int_equal(web->memory_watch->reservation.peaks.n_samples, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        test(what_was_measured_outlives_the_daemon), test(what_was_measured_outlives_the_boot),
        test(a_stop_saves_beyond_the_boot),          test(a_dead_disk_does_not_hold_the_stop),
        test(a_young_vm_gets_nothing_of_others),     test(a_vm_not_seen_for_a_month_is_forgotten),
        test(a_broken_store_is_passed_over),
    };

    return cmocka_run_group_tests_name("reservations", tests, NULL, NULL);
}
