/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two containers on a host in a tree: one stands still between its limits, the other is as full and
 * goes on. Only memory.high of the first is lifted, and only where that is allowed. */

#include "t.h"

#include "fake-host.h"
#include "lifting.h"
#include "message.h"
#include "report.h"
#include "run-ctl.h"

#include <string.h>

#define S ((gint64)G_USEC_PER_SEC)
#define GIB (G_GUINT64_CONSTANT(1) << 30)
#define GUILTY "kubepods/pod1/crio-1"
#define INNOCENT "kubepods/pod2/crio-2"
#define HIGH "12884901888"

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Acts *acts;
    Bands *bands;
    GPtrArray *vms;
    Lifting *lifting;
    Limits limits;
    GString *told;
    GString *alerts; /* a line for each: "/group: why", "/group: over" */
    gint64 now_us;
} Fixture;

static void
on_told(const char *line, bool is_bad, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->told, "%s\n", line);
}

static void
on_alert(const char *label, const char *problem, gpointer data)
{
    g_string_append_printf(((Fixture *)data)->alerts, "%s: %s\n", label,
                           problem ? problem : "over");
}

static void
on_held(const Band *band, gpointer data)
{
    Fixture *fixture = data;

    lifting_follow(fixture->lifting, band, &fixture->limits);
}

static void
group_file(Fixture *fixture, const char *group, const char *name, const char *before, guint64 value)
{
    g_autofree char *path = g_strdup_printf("sys/fs/cgroup/%s/%s", group, name);
    g_autofree char *text = g_strdup_printf("%s%" G_GUINT64_FORMAT "\n", before, value);

    tree_file(fixture->tree, path, text);
}

static void
group_make(Fixture *fixture, const char *group, pid_t first_pid, const char *oom_group)
{
    g_autofree char *base = g_strconcat("sys/fs/cgroup/", group, "/", NULL);
    g_autofree char *procs = g_strdup_printf("%d\n%d\n", (int)first_pid, (int)first_pid + 1);
    const struct {
        const char *name, *text;
    } files[] = {{"memory.high", HIGH "\n"},      {"memory.max", "17179869184\n"},
                 {"memory.swap.max", "0\n"},      {"memory.swap.current", "0\n"},
                 {"memory.oom.group", oom_group}, {"cgroup.procs", procs}};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strconcat(base, files[i].name, NULL);

        tree_file(fixture->tree, path, files[i].text);
    }
    for (guint i = 0; i < 2; i++) {
        g_autofree char *cgroup = g_strdup_printf("proc/%d/cgroup", (int)first_pid + (int)i);
        g_autofree char *statm = g_strdup_printf("proc/%d/statm", (int)first_pid + (int)i);
        g_autofree char *wchan = g_strdup_printf("proc/%d/wchan", (int)first_pid + (int)i);
        g_autofree char *line = g_strdup_printf("0::/%s\n", group);

        fake_host_process(fixture->tree, first_pid + (pid_t)i, 500 + i, i ? "web" : "hog", NULL);
        tree_file(fixture->tree, cgroup, line);
        tree_file(fixture->tree, statm, i ? "900 300 1 1 0 1 0\n" : "9000 3000000 1 1 0 1 0\n");
        tree_file(fixture->tree, wchan, "mem_cgroup_handle_over_high");
    }
}

static Fixture *
fixture_new(const char *oom_group, gint64 mode)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->tree = tree_new();
    fixture->told = g_string_new(NULL);
    fixture->alerts = g_string_new(NULL);
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_file(fixture->tree, "proc/self/mountinfo",
              "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_file(fixture->tree, "proc/meminfo",
              "MemTotal: 67108864 kB\nMemFree: 33554432 kB\nMemAvailable: 33554432 kB\n"
              "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    group_make(fixture, GUILTY, 70, oom_group);
    group_make(fixture, INNOCENT, 80, "0\n");
    fixture->vms = g_ptr_array_new();
    fixture->acts = acts_new(fixture->host, fixture->context);
    fixture->bands = bands_new(fixture->host);
    fixture->lifting = lifting_new(fixture->host, fixture->context, fixture->acts, fixture->bands,
                                   fixture->vms, on_told, fixture);
    lifting_set_alert_func(fixture->lifting, on_alert, fixture);
    limits_init_defaults(&fixture->limits);
    fixture->limits.mode = fixture->limits.enforce_memory_high = mode;
    bands_set_held_func(fixture->bands, on_held, fixture);
    fixture->now_us = 3600 * S;
    return fixture;
}

static void
fixture_free(Fixture *fixture)
{
    acts_free(fixture->acts);
    lifting_free(fixture->lifting);
    bands_free(fixture->bands);
    g_ptr_array_unref(fixture->vms);
    limits_clear(&fixture->limits);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_string_free(fixture->alerts, TRUE);
    g_free(fixture);
}

/* Five seconds, and until nothing is under way. */
static void
step(Fixture *fixture, const char *group, bool stalls)
{
    guint64 n = (guint64)(fixture->now_us / S);

    group_file(fixture, group, "memory.current", "", 13 * GIB);
    group_file(fixture, group, "memory.stat", "file 0\nshmem 0\nanon ", 13 * GIB);
    group_file(fixture, group, "memory.events", "max 0\noom 0\noom_kill 0\nhigh ", n);
    group_file(fixture, group, "memory.pressure",
               "full avg10=0.00 avg60=0.00 avg300=0.00 total=", stalls ? n * 800000 : 0);
}

static void
follow_for(Fixture *fixture, guint seconds)
{
    HostMemory memory = {.is_known = true, .total_bytes = 64 * GIB};

    for (guint i = 0; i < seconds / 5; i++) {
        fixture->now_us += 5 * S;
        host_set_clock(fixture->host, fixture->now_us, fixture->now_us,
                       1790000000 * S + fixture->now_us);
        step(fixture, GUILTY, true);
        step(fixture, INNOCENT, false);
        bands_follow(fixture->bands, &fixture->limits, &memory, fixture->now_us);
        while (acts_is_busy(fixture->acts, 71, 501))
            g_main_context_iteration(fixture->context, TRUE);
    }
}

static char *
high_of(Fixture *fixture, const char *group)
{
    g_autofree char *path = g_strdup_printf("sys/fs/cgroup/%s/memory.high", group);
    char *text = NULL;

    assert_true(g_file_get_contents(tree_path(fixture->tree, path), &text, NULL, NULL));
    /* a file of the tree keeps the rest of a longer text */
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void
assert_high(Fixture *fixture, const char *group, const char *wanted)
{
    g_autofree char *high = high_of(fixture, group);

    assert_string_equal(high, wanted);
}

static void
assert_told_once(Fixture *fixture, const char *words)
{
    const char *found = strstr(fixture->told->str, words);

    if (!found || strstr(found + 1, words))
        fail_msg("wanted once: %s; told: %s", words, fixture->told->str);
}

static void
what_lives_on_is_freed_by_one_write(void **state)
{
    Fixture *fixture = fixture_new("0\n", MODE_ENFORCE);

    follow_for(fixture, 300);
    assert_high(fixture, GUILTY, "max");
    assert_high(fixture, INNOCENT, HIGH);
    assert_told_once(fixture, "/" GUILTY ": memory.high lifted; undo: guardianctl limits undo /");
    assert_int_equal(act_journal_records(acts_journal(fixture->acts))->len, 1);
    assert_null(strstr(fixture->told->str, INNOCENT));
    assert_string_equal(fixture->alerts->str, "/" GUILTY ": over\n");
    fixture_free(fixture);
}

/* Somebody has to look: nothing is tried any more. */
static void
what_is_not_tried_any_more_is_an_alert(void **state)
{
    Fixture *fixture = fixture_new("0\n", MODE_ENFORCE);

    fixture->limits.act_writes_host = 0;
    follow_for(fixture, 300);
    assert_high(fixture, GUILTY, HIGH);
    assert_non_null(
        strstr(fixture->alerts->str, "/" GUILTY ": the host's writes of this hour are spent\n"));
    assert_non_null(strstr(fixture->alerts->str, "/" GUILTY ": the write budget was spent"));
    assert_null(strstr(fixture->alerts->str, "over"));
    assert_null(strstr(fixture->alerts->str, INNOCENT));
    fixture_free(fixture);
}

/* In status, and with the VM in that group; not with the one in the other. */
static void
what_was_lifted_is_reported(void **state)
{
    Fixture *fixture = fixture_new("0\n", MODE_ENFORCE);
    Guardian *guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, NULL));
    g_autoptr(JsonNode) told = NULL;
    g_autoptr(GPtrArray) vms = NULL;
    g_autofree char *status = NULL;

    fake_host_qemu(fixture->tree, 90, "inside", NULL);
    fake_host_qemu(fixture->tree, 91, "elsewhere", NULL);
    tree_file(fixture->tree, "proc/90/cgroup", "0::/" GUILTY "/vm\n");
    tree_file(fixture->tree, "proc/91/cgroup", "0::/" INNOCENT "/vm\n");
    tree_file(fixture->tree, "sys/fs/cgroup/" GUILTY "/vm/memory.max", "max\n");
    tree_file(fixture->tree, "sys/fs/cgroup/" INNOCENT "/vm/memory.max", "max\n");
    guardian_set_acts(guardian, acts_journal(fixture->acts));
    follow_for(fixture, 60);
    assert_high(fixture, GUILTY, "max");
    assert_int_equal(guardian_look_for_vms(guardian), 2);
    told = report_state(guardian, true);
    status = report_status_text(json_node_get_object(told), false);
    assert_non_null(strstr(status, "/" GUILTY ", "));
    assert_non_null(strstr(status, "memory.high of /" GUILTY " 12"));
    vms = report_vms_sorted(json_node_get_object(told));
    for (guint i = 0; i < vms->len; i++) {
        JsonArray *acts = json_object_get_array_member(vms->pdata[i], "acts");
        bool is_inside = g_str_equal(message_get_string(vms->pdata[i], "name"), "inside");

        assert_int_equal(json_array_get_length(acts), is_inside);
    }
    guardian_set_acts(guardian, NULL);
    guardian_free(guardian);
    fixture_free(fixture);
}

/* `guardianctl limits undo GROUP [--yes]` exits with that, and says so. */
static void
assert_undo(Fixture *fixture, const char *group, bool is_yes, int status, const char *said)
{
    CtlOptions options = {0};
    char *words[] = {(char *)"limits", (char *)"undo", (char *)group,
                     is_yes ? (char *)"--yes" : NULL, NULL};
    g_auto(Run) run = {0};

    for (guint i = 0; i < HOST_N_ROOTS; i++)
        options.roots[i] = host_root_path(fixture->host, (HostRoot)i);
    run = run_verb(ctl_limits, &options, words);
    assert_int_equal(run.status, status);
    assert_non_null(strstr(run.out, said));
}

static void
what_was_lifted_is_taken_back(void **state)
{
    Fixture *fixture = fixture_new("0\n", MODE_ENFORCE);

    follow_for(fixture, 60);
    assert_high(fixture, GUILTY, "max");
    assert_undo(fixture, "/" INNOCENT, true, 0, "nothing of ours is to be taken back");
    assert_high(fixture, GUILTY, "max");
    /* the mode of this host's configuration is observe */
    assert_undo(fixture, "/" GUILTY, false, 1, "to write  /" GUILTY ": memory.high max -> " HIGH);
    assert_high(fixture, GUILTY, "max");
    assert_undo(fixture, "/" GUILTY, true, 0, "written   /" GUILTY ": memory.high max -> " HIGH);
    assert_high(fixture, GUILTY, HIGH);
    assert_high(fixture, INNOCENT, HIGH);
    fixture_free(fixture);
}

static void
observe_tells_the_plan_once_and_writes_nothing(void **state)
{
    Fixture *fixture = fixture_new("0\n", MODE_OBSERVE);
    const Band *band = NULL;
    g_autofree char *text = NULL;

    follow_for(fixture, 300);
    assert_high(fixture, GUILTY, HIGH);
    assert_told_once(fixture, "/" GUILTY ": observe, not written: memory.high " HIGH " -> max");
    assert_int_equal(act_journal_records(acts_journal(fixture->acts))->len, 0);
    for (guint i = 0; i < bands_list(fixture->bands)->len; i++)
        if (strcmp(((Band *)bands_list(fixture->bands)->pdata[i])->label, "/" GUILTY) == 0)
            band = bands_list(fixture->bands)->pdata[i];
    assert_non_null(band);
    assert_int_equal(band->beside_pid, 71);
    text = band_text(band);
    assert_non_null(strstr(text, "observe, not written"));
    fixture_free(fixture);
}

static void
what_would_die_with_it_is_left_alone(void **state)
{
    Fixture *fixture = fixture_new("1\n", MODE_ENFORCE);

    follow_for(fixture, 300);
    assert_high(fixture, GUILTY, HIGH);
    assert_told_once(fixture, "memory.high=max is no way out: memory.oom.group=1");
    assert_int_equal(act_journal_records(acts_journal(fixture->acts))->len, 0);
    fixture_free(fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lives_on_is_freed_by_one_write),
        cmocka_unit_test(what_is_not_tried_any_more_is_an_alert),
        cmocka_unit_test(what_was_lifted_is_reported),
        cmocka_unit_test(what_was_lifted_is_taken_back),
        cmocka_unit_test(observe_tells_the_plan_once_and_writes_nothing),
        cmocka_unit_test(what_would_die_with_it_is_left_alone),
    };

    return cmocka_run_group_tests_name("lifting", tests, NULL, NULL);
}
