/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "alert-hooks-fixture.h"

#include <sys/stat.h>

static void
on_told(const char *line, gpointer data)
{
    HooksFixture *fixture = data;

    fixture->n_told++;
    g_string_append_printf(fixture->told, "%s\n", line);
}

int
hooks_set_up(void **state)
{
    HooksFixture *fixture = g_new0(HooksFixture, 1);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->told = g_string_new(NULL);
    tree_directory(fixture->tree, "config/alert.d");
    fixture->hooks = alert_hooks_new(fixture->host, fixture->context, on_told, fixture);
    return 0;
}

int
hooks_tear_down(void **state)
{
    HooksFixture *fixture = *state;

    alert_hooks_free(fixture->hooks);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_free(fixture);
    return 0;
}

void
add_hook(HooksFixture *fixture, const char *name, const char *body)
{
    g_autofree char *path = g_strdup_printf("config/alert.d/%s", name);
    g_autofree char *text =
        g_strdup_printf("#!/bin/sh\nOUT=%s\n%s\n", tree_root(fixture->tree), body);

    tree_file(fixture->tree, path, text);
    assert_int_equal(chmod(tree_path(fixture->tree, path), 0755), 0);
}

void
run_news(HooksFixture *fixture, const char *line)
{
    static const char *const vms[] = {NASTY, NULL};
    const AlertingNews news = {.step = "paged",
                               .line = line,
                               .vm = NASTY,
                               .disk = "virtio0",
                               .state = STATE_FROZEN,
                               .layer = LAYER_STORAGE,
                               .cause = "host-device-stuck",
                               .since_utc = "2026-11-21T15:00:00Z",
                               .vms = vms,
                               .is_paged = true};

    alert_hooks_run(fixture->hooks, &news);
}

gint64
settle(HooksFixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US, longest = 0;
    AlertHooksCount count = alert_hooks_count(fixture->hooks);

    while (count.running + count.waiting > 0 && g_get_monotonic_time() < end_us) {
        gint64 begin_us = g_get_monotonic_time();

        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
        else
            longest = MAX(longest, g_get_monotonic_time() - begin_us);
        count = alert_hooks_count(fixture->hooks);
    }
    assert_int_equal(count.running + count.waiting, 0);
    return longest;
}

char *
read_out(HooksFixture *fixture, const char *name)
{
    char *text = NULL;

    return g_file_get_contents(tree_path(fixture->tree, name), &text, NULL, NULL) ? text : NULL;
}
