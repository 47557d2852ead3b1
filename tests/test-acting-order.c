/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whom the kernel kills first, over virtual time: what vm.d asks for VM 42, "guilty", whose pod has
 * a stranger in it, is written once and kept; VM 43 beside it, "innocent", has one, too, and
 * nothing is asked for it. */

#include "t.h"

#include "act-order.h"
#include "acting-fixture.h"
#include "message.h"
#include "report.h"
#include "run-ctl.h"

#include <stdlib.h>
#include <string.h>

#define GUILTY 42
#define INNOCENT 43
#define STRANGER 4200 /* of the guilty; 4300 of the innocent */
#define HELPER 4201
#define MINUTE (HOUR / 60)
#define OLD_TICKS 4242 /* an hour ago */
#define POD "sys/fs/cgroup/kubepods/pod000000%d-1111-2222-3333-444444444444"

static void put(ActingFixture *fixture, const char *text, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
put(ActingFixture *fixture, const char *text, const char *format, ...)
{
    g_autofree char *path = NULL;
    va_list arguments;

    va_start(arguments, format);
    path = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    tree_file(fixture->tree, path, text);
}

static gint number_of(ActingFixture *fixture, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gint
number_of(ActingFixture *fixture, const char *format, ...)
{
    g_autofree char *path = NULL, *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    path = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    assert_true(g_file_get_contents(tree_path(fixture->tree, path), &text, NULL, NULL));
    return atoi(text);
}

static gint
score_of(ActingFixture *fixture, pid_t pid)
{
    return number_of(fixture, "proc/%d/oom_score_adj", (int)pid);
}

/* Replaced, as /proc does it: a shorter number leaves nothing of a longer one. */
static void
set_score(ActingFixture *fixture, pid_t pid, const char *score)
{
    g_autofree char *path = g_strdup_printf("proc/%d/oom_score_adj", (int)pid);

    tree_remove(fixture->tree, path);
    tree_file(fixture->tree, path, score);
}

static void
add_process(ActingFixture *fixture, pid_t vm, pid_t pid, guint64 start_ticks, const char *comm)
{
    g_autofree char *membership =
        g_strdup_printf("0::/kubepods/pod000000%d-1111-2222-3333-444444444444/vm\n", (int)vm);

    fake_host_process(fixture->tree, pid, start_ticks, comm, NULL);
    put(fixture, membership, "proc/%d/cgroup", (int)pid);
    put(fixture, "0\n", "proc/%d/oom_score_adj", (int)pid);
}

static void
list_processes(ActingFixture *fixture, pid_t vm, const char *pids)
{
    put(fixture, pids, POD "/vm/cgroup.procs", (int)vm);
}

#define ASK_SCORES                                                                                 \
    "[Match]\nname = guilty\n[memory]\noom_score_qemu = -100\noom_score_strangers = 1000\n"
#define ASK ASK_SCORES "oom_group = 0\n"
#define ENFORCE "[guardian]\nmode = enforce\n[enforce]\noom_group = enforce\noom_score = enforce\n"

/* Both have a stranger and one kill for container and pod. */
static ActingFixture *
order_new(const char *configuration, const char *asked)
{
    ActingFixture *fixture = acting_fixture_new(configuration);
    g_autoptr(GError) error = NULL;
    Config *config;

    put(fixture, asked, "config/vm.d/guilty.conf");
    config = config_load(fixture->host, &error);
    if (!config)
        fail_msg("%s", error->message);
    guardian_reconfigure(fixture->guardian, config);
    for (int vm = GUILTY; vm <= INNOCENT; vm++) {
        acting_group_set(fixture, vm, 80);
        put(fixture, "0\n", "proc/%d/oom_score_adj", vm);
        put(fixture, "1\n", POD "/memory.oom.group", vm);
        put(fixture, "1\n", POD "/vm/memory.oom.group", vm);
        add_process(fixture, vm, vm * 100, OLD_TICKS, "memhold");
        add_process(fixture, vm, vm * 100 + 1, OLD_TICKS, "swtpm");
    }
    list_processes(fixture, GUILTY, "42\n4200\n4201\n");
    list_processes(fixture, INNOCENT, "43\n4300\n4301\n");
    put(fixture, "1\n", "sys/fs/cgroup/kubepods/memory.oom.group");
    return fixture;
}

static void
pass(ActingFixture *fixture, gint64 for_us)
{
    for (gint64 end = fixture->now + for_us; fixture->now < end;) {
        acting_clock_to(fixture, fixture->now + MINUTE);
        acting_look(fixture);
    }
}

static void
all_is_old(ActingFixture *fixture, pid_t vm)
{
    assert_int_equal(score_of(fixture, vm), 0);
    assert_int_equal(score_of(fixture, vm * 100), 0);
    assert_int_equal(score_of(fixture, vm * 100 + 1), 0);
    assert_int_equal(number_of(fixture, POD "/memory.oom.group", (int)vm), 1);
    assert_int_equal(number_of(fixture, POD "/vm/memory.oom.group", (int)vm), 1);
}

static void
observe_tells_each_plan_once_and_writes_nothing(void **state)
{
    static const char *const observing[] = {
        "", "[guardian]\nmode = enforce\n",
        "[enforce]\noom_group = enforce\noom_score = enforce\n"};

    for (guint i = 0; i < G_N_ELEMENTS(observing); i++) {
        ActingFixture *fixture = order_new(observing[i], ASK);

        pass(fixture, 10 * MINUTE);
        if (fixture->n_told != 2)
            fail_msg("%s", fixture->told->str);
        assert_non_null(strstr(fixture->told->str, "process 42 oom_score_adj 0 -> -100, process "
                                                   "4200 oom_score_adj 0 -> 1000; to do it: "
                                                   "guardianctl limits apply guilty --yes"));
        assert_non_null(strstr(fixture->told->str, "/vm memory.oom.group 1 -> 0, "));
        all_is_old(fixture, GUILTY);
        all_is_old(fixture, INNOCENT);
        assert_int_equal(acting_files(fixture), 0);
        acting_fixture_free(fixture);
    }
}

static void
what_is_asked_for_is_written_once_in_a_day(void **state)
{
    ActingFixture *fixture = order_new(ENFORCE, ASK);

    pass(fixture, 24 * HOUR);
    assert_int_equal(score_of(fixture, GUILTY), -100);
    assert_int_equal(score_of(fixture, STRANGER), 1000);
    assert_int_equal(score_of(fixture, HELPER), 0);
    assert_int_equal(number_of(fixture, POD "/memory.oom.group", GUILTY), 0);
    assert_int_equal(number_of(fixture, POD "/vm/memory.oom.group", GUILTY), 0);
    assert_int_equal(number_of(fixture, "sys/fs/cgroup/kubepods/memory.oom.group"), 1);
    all_is_old(fixture, INNOCENT);
    assert_int_equal(acting_files(fixture), 4);
    if (fixture->n_told != 2)
        fail_msg("%s", fixture->told->str);
    assert_null(strstr(fixture->alerts->str, "guilty oom_score: the"));
    acting_fixture_free(fixture);
}

static void
a_day_in_which_nothing_differs_has_no_write(void **state)
{
    ActingFixture *fixture = order_new(ENFORCE, ASK);

    set_score(fixture, GUILTY, "-100\n");
    set_score(fixture, STRANGER, "1000\n");
    put(fixture, "0\n", POD "/memory.oom.group", GUILTY);
    put(fixture, "0\n", POD "/vm/memory.oom.group", GUILTY);
    pass(fixture, 24 * HOUR);
    assert_int_equal(fixture->n_told, 0);
    assert_int_equal(acting_files(fixture), 0);
    all_is_old(fixture, INNOCENT);
    acting_fixture_free(fixture);
}

/* One that has just begun may be a probe that ends at once. */
static void
who_comes_later_is_brought_along(void **state)
{
    ActingFixture *fixture = order_new(ENFORCE, ASK);

    pass(fixture, 10 * MINUTE);
    assert_int_equal(acting_files(fixture), 4);
    add_process(fixture, GUILTY, 4202, (guint64)(fixture->now / 10000), "sh");
    list_processes(fixture, GUILTY, "42\n4200\n4201\n4202\n");
    acting_clock_to(fixture, fixture->now + MINUTE / 4);
    acting_look(fixture);
    assert_int_equal(score_of(fixture, 4202), 0);
    pass(fixture, HOUR + 10 * MINUTE); /* this hour's writes are spent */
    assert_int_equal(score_of(fixture, 4202), 1000);
    assert_int_equal(acting_files(fixture), 5);
    all_is_old(fixture, INNOCENT);
    acting_fixture_free(fixture);
}

/* Twelve strangers, and six writes an hour: QEMU first, two writes always left for a limit. */
static void
an_hour_has_room_for_four(void **state)
{
    ActingFixture *fixture = order_new(ENFORCE, ASK_SCORES);
    g_autoptr(GString) pids = g_string_new("42\n");
    guint n_written = 0;

    for (pid_t pid = 4210; pid < 4222; pid++) {
        add_process(fixture, GUILTY, pid, OLD_TICKS, "sh");
        g_string_append_printf(pids, "%d\n", (int)pid);
    }
    list_processes(fixture, GUILTY, pids->str);
    pass(fixture, HOUR / 2);
    assert_int_equal(score_of(fixture, GUILTY), -100);
    assert_int_equal(acting_files(fixture), 4);
    acting_group_set(fixture, GUILTY, 200); /* doomed now */
    put(fixture, ASK_SCORES "[enforce]\nlimits = enforce\n", "config/vm.d/guilty.conf");
    guardian_reconfigure(fixture->guardian, config_load(fixture->host, NULL));
    pass(fixture, HOUR / 4);
    assert_false(acting_limit_is_old(fixture, GUILTY, true));
    assert_int_equal(acting_files(fixture), 6);
    pass(fixture, 4 * HOUR);
    for (pid_t pid = 4210; pid < 4222; pid++)
        n_written += score_of(fixture, pid) == 1000;
    assert_int_equal(n_written, 12);
    assert_null(strstr(fixture->alerts->str, "budget"));
    all_is_old(fixture, INNOCENT);
    acting_fixture_free(fixture);
}

static void
on_loaded(const ActOutcome *outcome, gpointer is_loaded)
{
    *(bool *)is_loaded = true;
}

/* Three times in an hour, then a person is told, once; only the newest is to be taken back. */
static void
who_puts_it_back_each_time_is_let_be_and_told_of(void **state)
{
    ActingFixture *fixture = order_new(ENFORCE, "[Match]\nname = guilty\n[memory]\n"
                                                "oom_score_strangers = 1000\n");
    g_autoptr(GPtrArray) undo = NULL;
    const ActRecord *record;
    guint64 start_ticks;
    bool is_loaded = false;

    for (guint i = 0; i < 8; i++) {
        set_score(fixture, STRANGER, "7\n");
        pass(fixture, 6 * MINUTE);
    }
    assert_int_equal(acting_files(fixture), 3);
    assert_int_equal(score_of(fixture, STRANGER), 7);
    assert_int_equal(times_in(fixture->alerts->str, "guilty oom_score: oom_score_adj of stranger "
                                                    "memhold[4200]: somebody writes 7 again"),
                     1);
    assert_int_equal(times_in(fixture->alerts->str, "innocent oom_score: over"), 1);
    assert_int_equal(times_in(fixture->alerts->str, "innocent"), 3); /* each kind once */
    record = act_journal_records(acts_journal(acting_acts(fixture->acting)))->pdata[0];
    start_ticks = record->subject.start_ticks;
    acts_load(acting_acts(fixture->acting), on_loaded, &is_loaded);
    while (!is_loaded)
        g_main_context_iteration(fixture->context, TRUE);
    undo = acts_undo_plan(acting_acts(fixture->acting), GUILTY, start_ticks, ACT_KIND_SCORE);
    assert_int_equal(undo->len, 1);
    record = undo->pdata[0];
    assert_string_equal(record->new_value, "7");
    all_is_old(fixture, INNOCENT);
    acting_fixture_free(fixture);
}

/* `guardianctl limits WHAT guilty`, with the status and all these words; "" for none. */
static void
tool_says(ActingFixture *fixture, const char *what, bool is_yes, int status, const char *first,
          const char *second)
{
    CtlOptions options = {0};
    char *words[] = {(char *)"limits", (char *)what, (char *)"guilty",
                     is_yes ? (char *)"--yes" : NULL, NULL};
    g_auto(Run) run = {0};

    for (guint i = 0; i < HOST_N_ROOTS; i++)
        options.roots[i] = host_root_path(fixture->host, (HostRoot)i);
    run = run_verb(ctl_limits, &options, words);
    if (run.status != status || !strstr(run.out, first) || !strstr(run.out, second))
        fail_msg("%s: %d: %s%s", what, run.status, run.out, run.err);
}

static void
the_tool_plans_writes_and_takes_back(void **state)
{
    ActingFixture *fixture = order_new("", ASK);

    tool_says(
        fixture, "plan", false, 1, "to write  process 4200 oom_score_adj\n    0 -> 1000  why: ",
        "/vm/memory.oom.group\n    1 -> 0  why: [memory] oom_group asks for it\n    undo: 1\n");
    tool_says(fixture, "apply", false, 1, "to write  process 42 oom_score_adj",
              "observe: nothing is written");
    all_is_old(fixture, GUILTY);
    assert_int_equal(acting_files(fixture), 0);
    tool_says(fixture, "apply", true, 0, "written   process 42 oom_score_adj\n    0 -> -100",
              "written   process 4200 oom_score_adj");
    assert_int_equal(score_of(fixture, GUILTY), -100);
    assert_int_equal(score_of(fixture, STRANGER), 1000);
    assert_int_equal(number_of(fixture, POD "/memory.oom.group", GUILTY), 0);
    assert_int_equal(number_of(fixture, POD "/vm/memory.oom.group", GUILTY), 0);
    assert_int_equal(number_of(fixture, "sys/fs/cgroup/kubepods/memory.oom.group"), 1);
    all_is_old(fixture, INNOCENT);
    tool_says(fixture, "apply", true, 0, "nothing is to be written", "");
    tool_says(fixture, "undo", true, 0, "1000 -> 0  why: taken back", "-100 -> 0");
    all_is_old(fixture, GUILTY);
    tool_says(fixture, "undo", true, 0, "nothing of ours is to be taken back", "");
    assert_int_equal(acting_files(fixture), 8);
    acting_fixture_free(fixture);
}

static void
explain_tells_what_stands_and_why_it_matters(void **state)
{
    ActingFixture *fixture = order_new("", ASK);
    g_autoptr(JsonNode) told = NULL;
    g_autoptr(GPtrArray) vms = NULL;

    acting_look(fixture);
    told = report_state(fixture->guardian, true);
    vms = report_vms_sorted(json_node_get_object(told));
    for (guint i = 0; i < vms->len; i++) {
        JsonObject *vm = vms->pdata[i];
        g_autofree char *text = report_explain_text(vm, false);

        if (g_str_equal(message_get_string(vm, "name"), "innocent")) {
            assert_null(strstr(text, "[memory] asks"));
            assert_true(json_object_get_null_member(vm, "kill_order"));
            continue;
        }
        assert_non_null(strstr(text, "oom_score_adj of stranger memhold[4200] is 0, [memory] asks "
                                     "for 1000: others die before it"));
        assert_non_null(strstr(text, "oom_score_adj of QEMU is 0, [memory] asks for -100: it dies "
                                     "before others"));
        assert_non_null(strstr(text, "one OOM in it ends all of it"));
        assert_int_equal(times_in(text, "so that it is never written"), 1);
    }
    acting_fixture_free(fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observe_tells_each_plan_once_and_writes_nothing),
        cmocka_unit_test(what_is_asked_for_is_written_once_in_a_day),
        cmocka_unit_test(a_day_in_which_nothing_differs_has_no_write),
        cmocka_unit_test(who_comes_later_is_brought_along),
        cmocka_unit_test(an_hour_has_room_for_four),
        cmocka_unit_test(who_puts_it_back_each_time_is_let_be_and_told_of),
        cmocka_unit_test(the_tool_plans_writes_and_takes_back),
        cmocka_unit_test(explain_tells_what_stands_and_why_it_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
