/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "sample-fixture.h"

#include <unistd.h>

int
sample_fixture_set_up(void **state)
{
    SampleFixture *fixture = g_new0(SampleFixture, 1);
    g_autofree char *root = g_strdup_printf("proc/%d/root/run", (int)getpid());
    g_autofree char *socket = g_strconcat(root, "/q.sock", NULL);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_directory(fixture->tree, root);
    fixture->monitor = fake_monitor_new(fixture->context, tree_path(fixture->tree, socket));
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[" DISK(BACKEND("v0"), 9) "]");
    fake_monitor_answer(fixture->monitor, "query-status", RUNNING);
    fake_monitor_answer(fixture->monitor, "query-memdev",
                        "[{\"size\": 134217728, \"share\": false, \"id\": \"pc.ram\"}]");
    fake_monitor_answer(fixture->monitor, "query-version",
                        "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}, "
                        "\"package\": \"\"}");
    fixture->now_us = 1000 * SECOND;
    fixture->period_us = 2 * SECOND;
    return 0;
}

int
sample_fixture_tear_down(void **state)
{
    SampleFixture *fixture = *state;

    sample_cancel(fixture->vm);
    vm_free(fixture->vm);
    fake_monitor_free(fixture->monitor);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

Vm *
sample_fixture_vm(SampleFixture *fixture, bool monitor_is_ours, const char *const *words)
{
    Vm *vm;

    fake_host_qemu(fixture->tree, getpid(), "web", NULL);
    vm = vm_new(proc_open(fixture->host, getpid(), NULL), argv_parse(words ? words : WORDS("kvm")),
                "bare");
    limits_init_defaults(&vm->limits);
    vm->limits.answer_deadline_us = PATIENT_US;
    vm->limits.hold_max_us = PATIENT_US;
    vm->monitor_path = g_strdup("/run/q.sock");
    vm->monitor_root = HOST_PROC;
    vm->monitor_is_ours = monitor_is_ours;
    fixture->vm = vm;
    return vm;
}

static void
on_done(Vm *vm, gpointer data)
{
    ((SampleFixture *)data)->n_done++;
}

void
sample_fixture_begin(SampleFixture *fixture)
{
    SampleContext context = {.host = fixture->host,
                             .context = fixture->context,
                             .now_us = fixture->now_us,
                             .boottime_us = fixture->now_us,
                             .period_us = fixture->period_us,
                             .wants_all_evidence = fixture->wants_all_evidence};

    fixture->n_done = 0;
    sample_begin(fixture->vm, &context, on_done, fixture);
}

void
sample_fixture_run_idle(SampleFixture *fixture)
{
    while (g_main_context_iteration(fixture->context, FALSE))
        ;
}

const Sample *
sample_fixture_end(SampleFixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US + SECOND;

    while (fixture->n_done == 0 && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(fixture->n_done, 1);
    assert_null(fixture->vm->sampling);
    fixture->now_us += fixture->period_us;
    sample_fixture_run_idle(fixture);
    return &fixture->vm->sample;
}

const Sample *
sample_fixture_take(SampleFixture *fixture)
{
    sample_fixture_begin(fixture);
    return sample_fixture_end(fixture);
}

void
assert_asked(SampleFixture *fixture, const char *expected)
{
    g_autofree char *asked = fake_monitor_take_asked(fixture->monitor);

    assert_string_equal(asked, expected);
}
