/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a restart of the guardian must not repeat: a page, and with it the capture of a VM. */

#include "t.h"

#include "alerting.h"
#include "fake-host.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Alerting *alerting;
    GString *told; /* "raised paged " */
    Vm *vms[2];
    gint64 now_us;
} Fixture;

static void
on_news(const AlertingNews *news, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->told, "%s ", news->step);
}

static void
on_warn(const char *line, gpointer data)
{
    fail_msg("%s", line);
}

static void
alerting_begin(Fixture *fixture)
{
    const AlertingFuncs funcs = {.speak = on_news, .warn = on_warn, .data = fixture};

    fixture->alerting = alerting_new(fixture->host, fixture->context, &funcs);
}

static void
clock_add(Fixture *fixture, gint64 us)
{
    fixture->now_us += us;
    host_set_clock(fixture->host, fixture->now_us, fixture->now_us, fixture->now_us);
}

static int
fixture_set_up(void **state)
{
    static const char *const argv[] = {"kvm", NULL};
    static const char *const names[] = {"web", "db"};
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    tree_directory(fixture->tree, "run/vm-guardian");
    tree_directory(fixture->tree, "config/alert.d");
    fixture->context = g_main_context_new();
    fixture->told = g_string_new(NULL);
    clock_add(fixture, 1000 * S);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        fake_host_qemu(fixture->tree, (pid_t)(42 + i), names[i], NULL);
        fixture->vms[i] =
            vm_new(proc_open(fixture->host, (pid_t)(42 + i), NULL), argv_parse(argv), "bare");
        assert_non_null(fixture->vms[i]);
        g_free(fixture->vms[i]->name);
        fixture->vms[i]->name = g_strdup(names[i]);
    }
    alerting_begin(fixture);
    *state = fixture;
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    alerting_free(fixture->alerting);
    vm_free(fixture->vms[0]);
    vm_free(fixture->vms[1]);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_free(fixture);
    return 0;
}

/* A disk of the VM freezes, or with disk NULL the whole of it, and is paged at once; the news are
 * spoken. Is it a page? */
static bool
page(Fixture *fixture, guint vm, const char *disk)
{
    const Verdict ok = {.state = STATE_OK, .cause = ""};
    const Verdict frozen = {.state = STATE_FROZEN,
                            .layer = disk ? LAYER_BLOCK_PATH : LAYER_MAIN_LOOP_BLOCKED,
                            .cause = "",
                            .has_alert = true,
                            .is_paged = true,
                            .since_us = fixture->now_us};
    const DiskTrack track = {.id = (char *)disk, .label = (char *)disk};
    GuardianChange change = {
        .vm = fixture->vms[vm], .disk = disk ? &track : NULL, .before = ok, .after = frozen};
    bool is_page = alerting_is_page(fixture->alerting, &change);

    for (guint i = 0; i < 4; i++) { /* news wait a moment for their like */
        alerting_follow(fixture->alerting, &change);
        clock_add(fixture, 2 * S);
        change.before = frozen;
        assert_false(alerting_is_page(fixture->alerting, &change));
    }
    alerting_follow(fixture->alerting, &change);
    return is_page;
}

static void
a_page_is_one_once(void **state)
{
    Fixture *fixture = *state;

    assert_true(page(fixture, 0, "scsi0"));
    assert_string_equal(fixture->told->str, "raised paged ");
    assert_false(page(fixture, 0, "scsi0"));
    assert_string_equal(fixture->told->str, "raised paged ");
    /* another disk, and another VM, are other pages; that all of the VM hangs now is the same one
     */
    assert_true(page(fixture, 0, "scsi1"));
    assert_false(page(fixture, 0, NULL));
    assert_true(page(fixture, 1, NULL));
}

static void
a_restart_does_not_page_again(void **state)
{
    Fixture *fixture = *state;

    assert_true(page(fixture, 0, "scsi0"));
    alerting_free(fixture->alerting);
    g_string_truncate(fixture->told, 0);
    alerting_begin(fixture);
    assert_false(page(fixture, 0, "scsi0"));
    assert_string_equal(fixture->told->str, "");
    assert_true(page(fixture, 1, "scsi0"));
    assert_string_equal(fixture->told->str, "raised paged ");
}

static void
a_vm_does_not_page_for_its_disk(void **state)
{
    Fixture *fixture = *state;
    const Verdict ok = {.state = STATE_OK, .cause = ""};
    const Verdict disk = {.state = STATE_FROZEN,
                          .layer = LAYER_BLOCK_PATH,
                          .cause = "",
                          .has_alert = true,
                          .is_paged = true};
    const Verdict whole = {.state = STATE_FROZEN,
                           .layer = LAYER_MAIN_LOOP_BLOCKED,
                           .cause = "",
                           .has_alert = true,
                           .is_paged = true};
    const DiskTrack track = {.id = (char *)"scsi0", .label = (char *)"scsi0"};
    const GuardianChange of_vm = {.vm = fixture->vms[0], .before = ok, .after = disk};
    const GuardianChange of_disk = {
        .vm = fixture->vms[0], .disk = &track, .before = ok, .after = whole};

    assert_false(alerting_is_page(fixture->alerting, &of_vm));
    assert_false(alerting_is_page(fixture->alerting, &of_disk));
}

#define alerting_test(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        alerting_test(a_page_is_one_once),
        alerting_test(a_restart_does_not_page_again),
        alerting_test(a_vm_does_not_page_for_its_disk),
    };

    return cmocka_run_group_tests_name("alerting-page", tests, NULL, NULL);
}
