/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kill -9 at random instants, a thousand times: a worker (this program with a tree as argument)
 * raises a limit and takes it back, and sets a process's score and memory.oom.group and takes them
 * back, again and again. After each kill the journal and each value must agree: either the value is
 * the old one and nothing is to be undone, or it is the new one and the journal says how to undo
 * it. */

#include "t.h"

#include "act-fixture.h"
#include "act-limit.h"
#include "act-order.h"
#include "act-score.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __SANITIZE_ADDRESS__
#define KILLS 1000
#define REUSES 10000
#else /* a fork takes 20 times as long, and a tenth of them meets every line, too */
#define KILLS 100
#define REUSES 1000
#endif
/* Recovery reads the whole journal: a short one keeps the test short. */
#define KILLS_PER_JOURNAL 50

/* What the worker writes. */
static const struct {
    const char *kind, *means, *field, *file, *old, *new;
} places[] = {
    {ACT_KIND_LIMITS, "cgroup", "memory.max", "sys/fs/cgroup/pod42/vm/memory.max", ACT_OLD,
     ACT_NEW},
    {ACT_KIND_SCORE, "process", ACT_FIELD_SCORE, "proc/42/oom_score_adj", "100", "777"},
    {ACT_KIND_GROUP, "cgroup", "memory.oom.group", "sys/fs/cgroup/pod42/vm/memory.oom.group", "1",
     "0"},
};
#define N_PLACES G_N_ELEMENTS(places)

typedef struct {
    ActFixture *fixture;
    guint n_applied[N_PLACES], n_untouched[N_PLACES];
} Torture;

static void
place_reset(Tree *tree, guint place)
{
    g_autofree char *line = g_strconcat(places[place].old, "\n", NULL);

    tree_file(tree, places[place].file, line);
}

static char *
place_value(Tree *tree, guint place)
{
    char *text = NULL;

    assert_true(g_file_get_contents(tree_path(tree, places[place].file), &text, NULL, NULL));
    return g_strchomp(text);
}

static GPtrArray *
place_plan(ActFixture *fixture, guint place)
{
    ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");

    set_text(&step->kind, places[place].kind);
    set_text(&step->means, places[place].means);
    set_text(&step->field, places[place].field);
    set_text(&step->old_value, places[place].old);
    set_text(&step->new_value, places[place].new);
    set_text(&step->undo_value, places[place].old);
    if (strcmp(step->field, ACT_FIELD_SCORE) == 0) {
        g_free(step->where);
        step->where = act_score_where(42, ACT_START_TICKS);
        step->group_id = 0;
    }
    return act_fixture_plan(step, NULL);
}

/* A write, or its undo if one is written. */
static void
place_turn(ActFixture *fixture, guint place)
{
    const ActTerms terms = {.is_commanded = true};
    GPtrArray *undo;

    act_fixture_load(fixture);
    undo = acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, places[place].kind);
    if (undo->len > 0) {
        act_fixture_run(fixture, &terms, undo);
        return;
    }
    g_ptr_array_unref(undo);
    act_fixture_run(fixture, &terms, place_plan(fixture, place));
}

/* Says on ready_fd that it begins: before that a kill would find nothing to interrupt. */
static void
work(Tree *tree, int ready_fd, guint place)
{
    ActFixture *fixture = act_fixture_new(tree);

    if (write(ready_fd, "", 1) != 1)
        _exit(1);
    close(ready_fd);
    for (;; place = (place + 1) % N_PLACES)
        place_turn(fixture, place);
}

static pid_t
worker_start(const char *root, guint place)
{
    char ready[16], first[16], byte;
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        g_snprintf(ready, sizeof ready, "%d", ends[1]);
        g_snprintf(first, sizeof first, "%u", place);
        execl("/proc/self/exe", "worker", root, ready, first, NULL);
        _exit(127);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

/* What a reader of a failure needs. */
static void
records_print(const GPtrArray *records)
{
    for (guint i = 0; i < records->len; i++) {
        const ActRecord *record = records->pdata[i];

        print_message("%s %-8s %s -> %s%s%s, read back %s, %s\n", record->name,
                      act_state_name(record->state), record->old_value, record->new_value,
                      record->undoes ? " undoes " : "", record->undoes ? record->undoes : "",
                      record->read_back, record->problem);
    }
}

/* With its children, which die a moment after it and then are ours. */
static void
worker_kill(pid_t worker)
{
    assert_int_equal(kill(worker, SIGKILL), 0);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void
journal_and_value_agree(Torture *torture, guint place)
{
    ActFixture *fixture = torture->fixture;
    g_autofree char *value = place_value(fixture->tree, place);
    g_autoptr(GPtrArray) undo =
        acts_undo_plan(fixture->acts, 42, ACT_START_TICKS, places[place].kind);

    if (undo->len != (strcmp(value, places[place].old) != 0))
        records_print(act_journal_records(acts_journal(fixture->acts)));
    if (strcmp(value, places[place].old) == 0) {
        torture->n_untouched[place]++;
        assert_int_equal(undo->len, 0);
        return;
    }
    torture->n_applied[place]++;
    assert_string_equal(value, places[place].new);
    assert_int_equal(undo->len, 1);
    assert_string_equal(((const ActRecord *)undo->pdata[0])->new_value, places[place].old);
}

static void
journal_and_values_agree(Torture *torture)
{
    ActFixture *fixture = torture->fixture;
    const GPtrArray *records;

    act_fixture_restart(fixture);
    act_fixture_load(fixture);
    if (fixture->problem)
        fail_msg("%s", fixture->problem);
    records = act_journal_records(acts_journal(fixture->acts));
    for (guint i = 0; i < records->len; i++)
        assert_int_not_equal(((const ActRecord *)records->pdata[i])->state, ACT_INTENDED);
    for (guint place = 0; place < N_PLACES; place++)
        journal_and_value_agree(torture, place);
}

/* How long a write and its undo take on this machine, built like this: kills within that time fall
 * into every part of both. Begins a new journal. */
static gint64
new_journal(ActFixture *fixture)
{
    gint64 begin_us;

    for (guint place = 0; place < N_PLACES; place++)
        place_reset(fixture->tree, place);
    act_fixture_restart(fixture);
    begin_us = g_get_monotonic_time();
    place_turn(fixture, 0);
    place_turn(fixture, 0);
    return g_get_monotonic_time() - begin_us;
}

static void
a_kill_at_any_instant_loses_no_undo(void **state)
{
    ActFixture *fixture = act_fixture_new(NULL);
    Torture torture = {.fixture = fixture};
    gint64 lives_us = 0;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    for (guint i = 0; i < KILLS; i++) {
        pid_t worker;

        if (i % KILLS_PER_JOURNAL == 0)
            lives_us = new_journal(fixture);
        /* each begins elsewhere: few live long enough to come round */
        worker = worker_start(tree_root(fixture->tree), i % N_PLACES);
        assert_true(worker > 0);
        g_usleep((gulong)g_random_int_range(0, (gint32)lives_us));
        worker_kill(worker);
        journal_and_values_agree(&torture);
        if (i % KILLS_PER_JOURNAL == KILLS_PER_JOURNAL - 1)
            tree_remove(fixture->tree, "var/vm-guardian");
    }
    for (guint place = 0; place < N_PLACES; place++) { /* else it was no torture */
        assert_in_range(torture.n_applied[place], KILLS / 100, KILLS);
        assert_in_range(torture.n_untouched[place], KILLS / 100, KILLS);
    }
    act_fixture_free(fixture, false);
}

/* Reuse. */

typedef enum { REUSE_NOTHING, REUSE_PID, REUSE_GROUP, REUSE_MOVED, REUSE_N } Reuse;

static void
reuse(ActFixture *fixture, Reuse kind)
{
    Tree *tree = fixture->tree;

    fake_host_set_state(tree, 42, ACT_START_TICKS + (kind == REUSE_PID), "kvm", 'S');
    tree_file(tree, "proc/42/cgroup", kind == REUSE_MOVED ? "0::/pod43/vm\n" : "0::/pod42/vm\n");
    if (kind == REUSE_GROUP) {
        assert_int_equal(rename(tree_path(tree, "sys/fs/cgroup/pod42/vm"),
                                tree_path(tree, "sys/fs/cgroup/pod42/before")),
                         0);
        tree_file(tree, "sys/fs/cgroup/pod42/vm/memory.max", ACT_OLD "\n");
        tree_remove(tree, "sys/fs/cgroup/pod42/before");
    }
}

typedef struct {
    bool has_ended, was_written;
} Answer;

static void
on_end(ActCall *call, bool was_written, const char *value, const char *problem)
{
    *(Answer *)call->data = (Answer){true, was_written};
}

static void
a_recycled_pid_or_group_is_never_written_to(void **state)
{
    ActFixture *fixture = act_fixture_new(NULL);
    Children *children = children_new(fixture->context);
    guint n[REUSE_N] = {0};

    for (guint i = 0; i < REUSES; i++) {
        ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");
        Reuse kind = (Reuse)g_random_int_range(0, REUSE_N);
        Answer answer = {0};
        ActCall call = {.host = fixture->host,
                        .context = fixture->context,
                        .children = children,
                        .means = &act_means_cgroup,
                        .record = step,
                        .end = on_end,
                        .data = &answer};
        g_autofree char *limit = NULL, *beside = NULL;

        reuse(fixture, kind);
        act_means_cgroup.run(&call);
        while (!answer.has_ended)
            g_main_context_iteration(fixture->context, TRUE);
        limit = act_fixture_limit(fixture, "/pod42/vm");
        beside = act_fixture_limit(fixture, "/pod43/vm");
        assert_int_equal(answer.was_written, kind == REUSE_NOTHING);
        assert_string_equal(limit, kind == REUSE_NOTHING ? ACT_NEW : ACT_OLD);
        assert_string_equal(beside, ACT_OLD);
        act_fixture_set_limit(fixture, "/pod42/vm", ACT_OLD);
        act_record_free(step);
        n[kind]++;
    }
    for (guint i = 0; i < REUSE_N; i++)
        assert_in_range(n[i], REUSES / REUSE_N / 2, REUSES);
    children_free(children);
    act_fixture_free(fixture, false);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recycled_pid_or_group_is_never_written_to),
        cmocka_unit_test(a_kill_at_any_instant_loses_no_undo),
    };

    if (argc > 3)
        work(tree_at(argv[1]), atoi(argv[2]), (guint)atoi(argv[3]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
