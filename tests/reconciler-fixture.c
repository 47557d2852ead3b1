/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "reconciler-fixture.h"

#include "config-disk.h"
#include "limits-request.h"
#include "pve-look.h"
#include "report.h"

#include <string.h>

static void
on_told(const Vm *vm, const char *line, bool is_alert, gpointer data)
{
    g_string_append_printf(((ReconcilerFixture *)data)->told, "%s%s\n", is_alert ? "ALERT " : "",
                           line);
}

int
reconciler_fixture_set_up(void **state)
{
    ReconcilerFixture *fixture = g_new0(ReconcilerFixture, 1);
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

int
reconciler_fixture_tear_down(void **state)
{
    ReconcilerFixture *fixture = *state;
    void *samples = fixture->samples;

    limits_request_forget(fixture->samples->vm);
    reconciler_free(fixture->reconciler);
    pve_look_forget(fixture->samples->vm);
    drift_look_forget(fixture->samples->vm);
    children_free(fixture->children);
    g_ptr_array_unref(fixture->vms);
    g_string_free(fixture->told, TRUE);
    g_string_free(fixture->asked, TRUE);
    g_free(fixture);
    return sample_fixture_tear_down(&samples);
}

void
reconciler_fixture_policy(ReconcilerFixture *fixture, const char *name, const char *key,
                          const char *value)
{
    GPtrArray *policies = g_ptr_array_new_with_free_func((GDestroyNotify)config_disk_free);
    ConfigDisk *disk = config_disk_new(name, "/etc/vm-guardian/vm.d/web.conf", 7);
    guint line;

    if (key)
        config_disk_take(disk, key, value, 8);
    assert_null(config_disk_finish(disk, &line));
    g_ptr_array_add(policies, disk);
    drift_look_set_policies(fixture->samples->vm->drift, policies);
}

Vm *
reconciler_fixture_vm(ReconcilerFixture *fixture, const char *const *words, Mode mode)
{
    Vm *vm = sample_fixture_vm(fixture->samples, true, words);

    vm->limits.mode = mode;
    vm->limits.enforce_throttle = mode;
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

void
reconciler_fixture_begin_turn(ReconcilerFixture *fixture, gint64 after_us)
{
    SampleFixture *samples = fixture->samples;

    fixture->now_us += after_us;
    host_set_clock(samples->host, fixture->now_us, fixture->now_us,
                   1700000000 * (gint64)SECOND + fixture->now_us);
    samples->now_us = fixture->now_us;
    pve_look_go_on(samples->vm, samples->host, fixture->children, fixture->now_us);
    drift_look_go_on(samples->vm, samples->host, fixture->children, fixture->now_us);
    limits_request_check(samples->vm, fixture->now_us);
    (void)sample_fixture_take(samples);
    reconciler_consider(fixture->reconciler, samples->vm);
}

void
reconciler_fixture_end_turn(ReconcilerFixture *fixture)
{
    SampleFixture *samples = fixture->samples;
    g_autofree char *asked = NULL;

    /* The journal is written by children; a request waits for the next turn. */
    while (children_open(fixture->children) > 0 ||
           (reconciler_is_busy(fixture->reconciler, samples->vm) && !samples->vm->limits_request))
        g_main_context_iteration(samples->context, TRUE);
    asked = fake_monitor_take_asked(samples->monitor);
    g_string_append(fixture->asked, asked);
}

guint
reconciler_fixture_count(const GString *text, const char *word)
{
    guint n = 0;

    for (const char *p = text->str; (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

void
reconciler_fixture_turns(ReconcilerFixture *fixture, guint n, gint64 apart_us)
{
    for (guint i = 0; i < n; i++) {
        reconciler_fixture_begin_turn(fixture, apart_us);
        reconciler_fixture_end_turn(fixture);
    }
}

void
assert_drift_explained(ReconcilerFixture *fixture, const char *disk, const char *why)
{
    g_autoptr(JsonNode) state = report_vm(fixture->samples->host, fixture->samples->vm);
    g_autofree char *text = report_explain_text(json_node_get_object(state), false);
    g_autofree char *line = g_strdup_printf(
        "\ndrift    limits of %s are not what the policy wants (guardianctl drift): %s\n", disk,
        why);

    assert_non_null(strstr(text, line));
}
