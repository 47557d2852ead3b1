/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "judge.h"
#include "report.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC
#define PERIOD_US (2 * SECOND)

/* A VM with two disks that is sampled by hand, and every line that is told of it. */
typedef struct {
    Tree *tree;
    Host *host;
    Vm *vm;
    GString *lines; /* "step: line", one each */
    gint64 now_us;
    guint64 moving_ops;
    bool moves[2];
    guint n_disks;
    MonitorStage monitor;
} Fixture;

static int
fixture_set_up(void **state)
{
    static const char *const words[] = {"kvm", "-name", "web", NULL};
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fake_host_qemu(fixture->tree, 42, "web", NULL);
    fixture->vm = vm_new(proc_open(fixture->host, 42, NULL), argv_parse(words), "bare");
    limits_init_defaults(&fixture->vm->limits);
    fixture->lines = g_string_new(NULL);
    fixture->now_us = 1000 * SECOND;
    fixture->moves[0] = fixture->moves[1] = true;
    fixture->n_disks = 2;
    fixture->monitor = MONITOR_ANSWERED;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    vm_free(fixture->vm);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->lines, TRUE);
    g_free(fixture);
    return 0;
}

static void
on_change(const GuardianChange *change, gpointer data)
{
    Fixture *fixture = data;
    const char *step = NULL;
    g_autofree char *line = report_change_line(change, fixture->now_us, &step);

    if (line)
        g_string_append_printf(fixture->lines, "%s: %s\n", step, line);
}

static void
take_sample(Fixture *fixture)
{
    static const char *const ids[] = {"virtio0", "virtio1"};
    Sample *sample = &fixture->vm->sample;

    fixture->moving_ops++;
    sample_clear(sample);
    sample->now_us = sample->boottime_us = fixture->now_us;
    sample->period_us = PERIOD_US;
    sample->process_state = 'S';
    sample->monitor = fixture->monitor;
    sample->waited_us = fixture->monitor == MONITOR_ANSWERED ? 300 : PERIOD_US;
    sample->monitor_is_ours = true;
    sample->run = RUN_RUNNING;
    sample->has_disks = fixture->monitor == MONITOR_ANSWERED;
    sample->n_disks = sample->has_disks ? fixture->n_disks : 0;
    sample->disks = g_new0(DiskSample, sample->n_disks + 1);
    for (guint i = 0; i < sample->n_disks; i++) {
        DiskSample *disk = &sample->disks[i];

        disk->id = g_strdup(ids[i]);
        disk->label = g_strdup(ids[i]);
        disk->driver = g_strdup("virtio-blk-pci");
        disk->has_counters = disk->has_queue = true;
        disk->wr_ops = fixture->moves[i] ? fixture->moving_ops : 3;
        disk->queue_inflight = fixture->moves[i] ? 0 : 2;
        disk->queue_used_idx = fixture->moves[i] ? fixture->moving_ops : 3;
    }
    fixture->vm->has_sample = true;
    judge_sample(fixture->vm, on_change, fixture);
    fixture->now_us += PERIOD_US;
}

static void
take_samples(Fixture *fixture, gint64 for_us)
{
    for (gint64 end_us = fixture->now_us + for_us; fixture->now_us < end_us;)
        take_sample(fixture);
}

static guint
count(const Fixture *fixture, const char *text)
{
    guint n = 0;

    for (const char *at = fixture->lines->str; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

static void
a_vm_that_is_fine_is_not_told_of(void **state)
{
    Fixture *fixture = *state;

    take_samples(fixture, 60 * SECOND);
    assert_string_equal(fixture->lines->str, "");
}

static void
a_frozen_disk_opens_pages_and_closes_its_own_alert(void **state)
{
    Fixture *fixture = *state;

    take_samples(fixture, 60 * SECOND);
    fixture->moves[1] = false;
    take_samples(fixture, 200 * SECOND);
    fixture->moves[1] = true;
    take_samples(fixture, 60 * SECOND);
    assert_int_equal(count(fixture, "opened: web disk virtio1: alert: frozen, block-path"), 1);
    assert_int_equal(count(fixture, "paged: web disk virtio1: PAGE: frozen, block-path"), 1);
    assert_int_equal(count(fixture, "closed: web disk virtio1: alert closed, was block-path"), 1);
    assert_int_equal(count(fixture, "opened:") + count(fixture, "closed:"), 2);
    assert_int_equal(count(fixture, "next: guardianctl explain web\n"), 3); /* suspect, too */
    assert_int_equal(count(fixture, "virtio0"), 0);                         /* the innocent */
}

static void
a_blocked_main_loop_is_one_alert_of_the_vm(void **state)
{
    Fixture *fixture = *state;

    take_samples(fixture, 60 * SECOND);
    fixture->monitor = MONITOR_SILENT;
    take_samples(fixture, 200 * SECOND);
    fixture->monitor = MONITOR_ANSWERED;
    take_samples(fixture, 60 * SECOND);
    assert_int_equal(count(fixture, "opened: web: alert: frozen, main-loop-blocked"), 1);
    assert_int_equal(count(fixture, "paged: web: PAGE: "), 1);
    assert_int_equal(count(fixture, "closed: web: alert closed, was main-loop-blocked"), 1);
    assert_int_equal(count(fixture, " disk "), 0);
}

static void
an_unplugged_disk_closes_its_alert(void **state)
{
    Fixture *fixture = *state;

    take_samples(fixture, 60 * SECOND);
    fixture->moves[1] = false;
    take_samples(fixture, 40 * SECOND);
    assert_int_equal(count(fixture, "opened: web disk virtio1"), 1);
    fixture->n_disks = 1;
    take_samples(fixture, 20 * SECOND);
    assert_int_equal(count(fixture, "closed: web disk virtio1: alert closed, was block-path; now "
                                    "ok: the disk was taken out of the VM\n"),
                     1);
    assert_int_equal(count(fixture, "closed:"), 1);
}

static void
the_end_of_the_process_closes_what_was_opened(void **state)
{
    Fixture *fixture = *state;

    take_samples(fixture, 60 * SECOND);
    fixture->moves[0] = fixture->moves[1] = false;
    take_samples(fixture, 40 * SECOND);
    assert_int_equal(count(fixture, "opened:"), 2);
    sample_clear(&fixture->vm->sample);
    fixture->vm->sample.now_us = fixture->vm->sample.boottime_us = fixture->now_us;
    fixture->vm->sample.period_us = PERIOD_US;
    fixture->vm->sample.process_is_gone = true;
    judge_sample(fixture->vm, on_change, fixture);
    assert_int_equal(count(fixture, "closed: web disk virtio0"), 1);
    assert_int_equal(count(fixture, "closed: web disk virtio1"), 1);
    assert_int_equal(count(fixture, "closed:"), 2);
    assert_int_equal(count(fixture, "changed: web: unknown, process-gone"), 1);
}

static void
who_is_not_watched_any_more_has_no_open_alert(void **state)
{
    Fixture *fixture = *state;

    take_samples(fixture, 60 * SECOND);
    fixture->moves[1] = false;
    take_samples(fixture, 40 * SECOND);
    judge_end(fixture->vm, on_change, fixture);
    assert_int_equal(count(fixture, "closed: web disk virtio1"), 1);
    assert_int_equal(count(fixture, "closed:"), 1);
}

typedef struct {
    const char *name, *vm_name;
    const char *hint;
} HintRow;

static const HintRow hint_rows[] = {
    {"a plain name is what to type", "web-1.example", "explain web-1.example"},
    {"a name that a shell would run is not what to type", "$(reboot)", "explain 42"},
    {"a name with a blank is not what to type", "a b", "explain 42"},
    {"a name that looks like an option is not what to type", "--json", "explain 42"},
};

static void
hint_is_safe(void **state)
{
    const HintRow *row = *state;
    void *inner = NULL;
    Fixture *fixture;

    assert_int_equal(fixture_set_up(&inner), 0);
    fixture = inner;
    g_free(fixture->vm->name);
    fixture->vm->name = g_strdup(row->vm_name);
    take_samples(fixture, 60 * SECOND);
    fixture->moves[1] = false;
    take_samples(fixture, 40 * SECOND);
    assert_non_null(strstr(fixture->lines->str, row->hint));
    fixture_tear_down(&inner);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        row(a_vm_that_is_fine_is_not_told_of),
        row(a_frozen_disk_opens_pages_and_closes_its_own_alert),
        row(a_blocked_main_loop_is_one_alert_of_the_vm),
        row(an_unplugged_disk_closes_its_alert),
        row(the_end_of_the_process_closes_what_was_opened),
        row(who_is_not_watched_any_more_has_no_open_alert),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(hint_rows)];

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(hint_rows); i++)
        tests[G_N_ELEMENTS(fixed) + i] = t_row(hint_rows[i].name, hint_is_safe, &hint_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
