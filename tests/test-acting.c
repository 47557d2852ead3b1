/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The daemon's hand over virtual time, on a host in a tree: VM 42 is doomed by what its group
 * holds, VM 43 beside it is well. */

#include "t.h"

#include "acting.h"
#include "fake-host.h"
#include "message.h"
#include "report.h"

#include <string.h>

#define HOUR ((gint64)3600 * G_USEC_PER_SEC)
#define MIB ((guint64)1024 * 1024)
#define LIMIT "1258291200" /* 1200 MiB */

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    Acting *acting;
    gint64 now;
    GString *told;
    guint n_told;
    GString *alerts; /* a line for each news: "guilty: why", "guilty: over" */
} Fixture;

static void
on_told(const char *line, bool is_bad, gpointer data)
{
    Fixture *fixture = data;

    fixture->n_told++;
    g_string_append_printf(fixture->told, "%s\n", line);
}

static void
on_alert(const Vm *vm, const char *problem, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->alerts, "%s: %s\n", vm->name,
                           problem ? problem : "over");
}

/* What a group of the VM holds, beside its guest of 1024 MiB that is fully touched. */
static void
group_set(Fixture *fixture, pid_t pid, guint beside_mib)
{
    g_autofree char *base =
        g_strdup_printf("sys/fs/cgroup/kubepods/pod%08d-1111-2222-3333-444444444444", (int)pid);
    g_autofree char *inner = g_strconcat(base, "/vm", NULL);
    const char *const groups[] = {base, inner};
    g_autofree char *stat =
        g_strdup_printf("anon %" G_GUINT64_FORMAT "\nfile 0\nshmem 0\n", (1024 + beside_mib) * MIB);
    g_autofree char *usage = g_strdup_printf("%" G_GUINT64_FORMAT "\n", (1024 + beside_mib) * MIB);

    for (guint i = 0; i < 2; i++) {
        g_autofree char *stat_path = g_strconcat(groups[i], "/memory.stat", NULL);
        g_autofree char *usage_path = g_strconcat(groups[i], "/memory.current", NULL);

        tree_file(fixture->tree, stat_path, stat);
        tree_file(fixture->tree, usage_path, usage);
    }
}

static char *
limit_path(pid_t pid, bool is_inner)
{
    return g_strdup_printf(
        "sys/fs/cgroup/kubepods/pod%08d-1111-2222-3333-444444444444%s/memory.max", (int)pid,
        is_inner ? "/vm" : "");
}

static void
limit_set(Fixture *fixture, pid_t pid)
{
    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = limit_path(pid, i);

        tree_file(fixture->tree, path, LIMIT "\n");
    }
}

static bool
limit_is_old(Fixture *fixture, pid_t pid, bool is_inner)
{
    g_autofree char *path = limit_path(pid, is_inner);
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(tree_path(fixture->tree, path), &text, NULL, NULL));
    return g_str_has_prefix(text, LIMIT);
}

static void
vm_make(Fixture *fixture, pid_t pid, const char *name, guint beside_mib)
{
    g_autofree char *status = g_strdup_printf("proc/%d/status", (int)pid);
    g_autofree char *cgroup = g_strdup_printf("proc/%d/cgroup", (int)pid);
    g_autofree char *group =
        g_strdup_printf("0::/kubepods/pod%08d-1111-2222-3333-444444444444/vm\n", (int)pid);

    fake_host_qemu(fixture->tree, pid, name,
                   (const char *const[]){"-m", "1024M", "-object",
                                         "memory-backend-memfd,id=m,size=1024M,share=on",
                                         "-machine", "memory-backend=m", NULL});
    tree_file(fixture->tree, status,
              "Uid:\t107\t107\t107\t107\nRssAnon:\t20480 kB\nRssFile:\t2048 kB\n"
              "RssShmem:\t1048576 kB\nVmPTE:\t1024 kB\n");
    tree_file(fixture->tree, cgroup, group);
    group_set(fixture, pid, beside_mib);
    limit_set(fixture, pid);
}

static void
clock_to(Fixture *fixture, gint64 now)
{
    fixture->now = now;
    host_set_clock(fixture->host, now, now, 1790000000 * (gint64)G_USEC_PER_SEC + now);
}

static Fixture *
fixture_new(const char *configuration)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autoptr(GError) error = NULL;

    fixture->tree = tree_new();
    fixture->told = g_string_new(NULL);
    fixture->alerts = g_string_new(NULL);
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_file(fixture->tree, "config/guardian.conf", configuration);
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_file(fixture->tree, "proc/meminfo",
              "MemTotal: 16777216 kB\nMemFree: 8388608 kB\nMemAvailable: 8388608 kB\n"
              "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    vm_make(fixture, 42, "guilty", 200); /* 1224 of 1200 */
    vm_make(fixture, 43, "innocent", 60);
    clock_to(fixture, HOUR);
    fixture->acting = acting_new(fixture->host, fixture->context, on_told, fixture);
    acting_set_alert_func(fixture->acting, on_alert, fixture);
    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, &error));
    assert_int_equal(guardian_look_for_vms(fixture->guardian), 2);
    return fixture;
}

static void
fixture_free(Fixture *fixture)
{
    acting_free(fixture->acting);
    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_string_free(fixture->alerts, TRUE);
    g_free(fixture);
}

/* One look at all VMs, and until nothing of it is under way. */
static void
look(Fixture *fixture)
{
    const GPtrArray *vms = guardian_vms(fixture->guardian);

    for (guint i = 0; i < vms->len; i++)
        ((Vm *)vms->pdata[i])->memory_us = 0;
    guardian_look_twice(fixture->guardian, 0);
    for (guint i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];

        acting_follow(fixture->acting, vm, vms, guardian_limits(fixture->guardian));
        while (acts_is_busy(acting_acts(fixture->acting), proc_pid(vm->proc),
                            proc_start_ticks(vm->proc)))
            g_main_context_iteration(fixture->context, TRUE);
    }
}

static guint
files(Fixture *fixture)
{
    GDir *directory = g_dir_open(tree_path(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY), 0, NULL);
    guint n = 0;

    while (directory && g_dir_read_name(directory))
        n++;
    g_clear_pointer(&directory, g_dir_close);
    return n;
}

#define ENFORCE "[guardian]\nmode = enforce\n[enforce]\nlimits = enforce\n"

static void
observe_tells_the_plan_once_and_writes_nothing(void **state)
{
    static const char *const observing[] = {"", "[guardian]\nmode = enforce\n",
                                            "[enforce]\nlimits = enforce\n"};

    for (guint i = 0; i < G_N_ELEMENTS(observing); i++) {
        Fixture *fixture = fixture_new(observing[i]);

        for (guint j = 0; j < 10; j++) {
            clock_to(fixture, fixture->now + HOUR / 60);
            look(fixture);
        }
        assert_int_equal(fixture->n_told, 1);
        assert_non_null(strstr(fixture->told->str, "guilty: observe, not written: "));
        assert_true(limit_is_old(fixture, 42, false) && limit_is_old(fixture, 42, true));
        assert_int_equal(files(fixture), 0);
        fixture_free(fixture);
    }
}

static void
a_doomed_vm_is_raised_by_one_write_for_each_group(void **state)
{
    Fixture *fixture = fixture_new(ENFORCE);

    for (guint i = 0; i < 10; i++) {
        clock_to(fixture, fixture->now + HOUR / 60);
        look(fixture);
    }
    if (fixture->n_told != 1 || !strstr(fixture->told->str, "guilty: memory limits raised: "))
        fail_msg("%s", fixture->told->str);
    assert_false(limit_is_old(fixture, 42, false) || limit_is_old(fixture, 42, true));
    assert_true(limit_is_old(fixture, 43, false) && limit_is_old(fixture, 43, true));
    assert_int_equal(files(fixture), 2);
    fixture_free(fixture);
}

static void
a_day_without_need_has_no_write(void **state)
{
    Fixture *fixture = fixture_new(ENFORCE);

    group_set(fixture, 42, 80);
    for (guint i = 0; i < 24 * 60; i++) {
        clock_to(fixture, fixture->now + HOUR / 60);
        look(fixture);
    }
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(files(fixture), 0);
    assert_true(limit_is_old(fixture, 42, true) && limit_is_old(fixture, 43, true));
    fixture_free(fixture);
}

static guint
times_in(const char *text, const char *what)
{
    guint n = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* A kubelet that writes its own values again, once: raised again after the cool-down. One that does
 * it every six minutes: three times two writes, then the breaker. */
static void
what_was_rewritten_is_raised_again_until_it_is_a_fight(void **state)
{
    Fixture *fixture = fixture_new(ENFORCE);

    look(fixture);
    limit_set(fixture, 42);
    clock_to(fixture, fixture->now + HOUR / 60);
    look(fixture);
    assert_true(limit_is_old(fixture, 42, true)); /* cooling down */
    assert_non_null(strstr(fixture->told->str, "too soon"));
    for (guint i = 0; i < 8; i++) {
        clock_to(fixture, fixture->now + HOUR / 10);
        limit_set(fixture, 42);
        look(fixture);
    }
    assert_int_equal(files(fixture), 6);
    assert_true(limit_is_old(fixture, 42, true));
    assert_int_equal(times_in(fixture->told->str, "somebody writes the old value back"), 1);
    /* somebody has to look, is told once, and told when it is over */
    assert_int_equal(times_in(fixture->alerts->str, "guilty: over"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "guilty: the VM's writes of this hour"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "guilty: the write budget was spent"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "guilty: "), 3);
    acting_reset(fixture->acting);
    clock_to(fixture, fixture->now + HOUR);
    look(fixture);
    assert_false(limit_is_old(fixture, 42, true));
    assert_int_equal(times_in(fixture->alerts->str, "guilty: over"), 2);
    assert_int_equal(times_in(fixture->alerts->str, "innocent: "), 2); /* over, and again */
    assert_int_equal(times_in(fixture->alerts->str, "innocent: over"), 2);
    fixture_free(fixture);
}

/* The newest first: the group of the VM, and before it the one above. */
static void
what_was_done_is_reported(void **state)
{
    Fixture *fixture = fixture_new(ENFORCE);
    g_autoptr(JsonNode) before = NULL, after = NULL;
    g_autofree char *status = NULL, *explained = NULL;
    g_autoptr(GPtrArray) vms = NULL;
    JsonArray *acts;

    guardian_set_acts(fixture->guardian, acts_journal(acting_acts(fixture->acting)));
    before = report_state(fixture->guardian, true);
    status = report_status_text(json_node_get_object(before), false);
    assert_null(strstr(status, "memory.max"));
    g_clear_pointer(&status, g_free);
    look(fixture);
    after = report_state(fixture->guardian, true);
    status = report_status_text(json_node_get_object(after), false);
    assert_int_equal(times_in(status, "memory.max"), 1);
    assert_non_null(strstr(status, "act     guilty, 0s ago: memory.max of "));
    vms = report_vms_sorted(json_node_get_object(after));
    for (guint i = 0; i < vms->len; i++) {
        JsonObject *vm = vms->pdata[i];

        acts = json_object_get_array_member(vm, "acts");
        if (g_str_equal(message_get_string(vm, "name"), "innocent")) {
            assert_int_equal(json_array_get_length(acts), 0);
            continue;
        }
        assert_int_equal(json_array_get_length(acts), 2);
        for (guint j = 0; j < 2; j++) {
            JsonObject *act = json_array_get_object_element(acts, j);

            assert_string_equal(message_get_string(act, "state"), "applied");
            assert_string_equal(message_get_string(act, "before"), "1200Mi");
            assert_string_equal(message_get_string(act, "by"), "daemon");
            assert_int_equal(g_str_has_suffix(message_get_string(act, "where"), "/vm"), j == 0);
        }
        explained = report_explain_text(vm, false);
    }
    assert_non_null(strstr(explained, "\nacts    "));
    assert_int_equal(times_in(explained, "memory.max of /kubepods/pod00000042-"), 2);
    fixture_free(fixture);
}

static void
what_the_host_cannot_back_is_told_and_not_done(void **state)
{
    Fixture *fixture = fixture_new(ENFORCE);

    tree_file(fixture->tree, "proc/meminfo",
              "MemTotal: 16777216 kB\nMemFree: 65536 kB\nMemAvailable: 65536 kB\n"
              "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    look(fixture);
    assert_non_null(strstr(fixture->told->str, "the host could not back it"));
    assert_true(limit_is_old(fixture, 42, true));
    assert_int_equal(files(fixture), 0);
    fixture_free(fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observe_tells_the_plan_once_and_writes_nothing),
        cmocka_unit_test(a_doomed_vm_is_raised_by_one_write_for_each_group),
        cmocka_unit_test(what_was_rewritten_is_raised_again_until_it_is_a_fight),
        cmocka_unit_test(what_was_done_is_reported),
        cmocka_unit_test(what_the_host_cannot_back_is_told_and_not_done),
        cmocka_unit_test(a_day_without_need_has_no_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
