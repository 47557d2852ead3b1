/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Scores of real processes, in the real /proc: this program forks a guilty one and an innocent one
 * beside it. What needs a recycled number is told in a tree. */

#include "t.h"

#include "act-fixture.h"
#include "act-order.h"
#include "act-score.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REUSES 1000

/* Real processes. */

typedef struct {
    pid_t pid;
    guint64 start_ticks;
} Process;

typedef struct {
    Tree *tree; /* of the journal */
    Host *host;
    GMainContext *context;
    Acts *acts;
    Process guilty, innocent;
    bool is_done;
    guint n_applied;
    char *problem;
} Real;

static Process
process_start(const Host *host)
{
    Process process = {.pid = fork()};
    g_autoptr(Proc) proc = NULL;

    if (process.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    assert_true(process.pid > 0);
    proc = proc_open(host, process.pid, NULL);
    assert_non_null(proc);
    process.start_ticks = proc_start_ticks(proc);
    return process;
}

static void
process_end(Process process)
{
    assert_int_equal(kill(process.pid, SIGKILL), 0);
    assert_int_equal(waitpid(process.pid, NULL, 0), process.pid);
}

static gint
score_of(Process process)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/oom_score_adj", (int)process.pid);
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return atoi(text);
}

static int
real_set_up(void **state)
{
    Real *real = g_new0(Real, 1);
    const char *roots[HOST_N_ROOTS] = {0};

    real->tree = tree_new();
    tree_directory(real->tree, "var");
    roots[HOST_VAR] = tree_path(real->tree, "var");
    real->host = host_new(roots, NULL);
    assert_non_null(real->host);
    real->context = g_main_context_new();
    real->acts = acts_new(real->host, real->context);
    real->guilty = process_start(real->host);
    real->innocent = process_start(real->host);
    *state = real;
    return 0;
}

static int
real_tear_down(void **state)
{
    Real *real = *state;

    process_end(real->innocent);
    acts_free(real->acts);
    g_main_context_unref(real->context);
    host_free(real->host);
    tree_free(real->tree);
    g_free(real->problem);
    g_free(real);
    return 0;
}

static ActRecord *
step_new(Process vm, Process process, gint before, gint after)
{
    ActRecord *record = g_new0(ActRecord, 1);

    record->subject =
        (ActSubject){.vm = g_strdup("vm"), .pid = vm.pid, .start_ticks = vm.start_ticks};
    record->kind = g_strdup(ACT_KIND_SCORE);
    record->means = g_strdup("process");
    record->where = act_score_where(process.pid, process.start_ticks);
    record->field = g_strdup(ACT_FIELD_SCORE);
    record->old_value = g_strdup_printf("%d", before);
    record->new_value = g_strdup_printf("%d", after);
    record->undo_value = g_strdup(record->old_value);
    record->by = g_strdup(ACT_BY_DAEMON);
    return record;
}

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    Real *real = data;

    real->is_done = true;
    real->n_applied = outcome->n_applied;
    g_free(real->problem);
    real->problem = g_strdup(outcome->problem);
}

static void
run(Real *real, GPtrArray *steps)
{
    acts_begin(real->acts, &act_fixture_terms, steps, on_done, real);
    while (!real->is_done)
        g_main_context_iteration(real->context, TRUE);
    real->is_done = false;
}

static void
a_score_is_written_and_taken_back(void **state)
{
    Real *real = *state;
    Process vm = real->innocent, guilty = real->guilty;
    gint before = score_of(guilty);
    GPtrArray *undo;

    run(real, act_fixture_plan(step_new(vm, guilty, before, 777), NULL));
    if (real->problem)
        fail_msg("%s", real->problem);
    assert_int_equal(real->n_applied, 1);
    assert_int_equal(score_of(guilty), 777);
    assert_int_equal(score_of(real->innocent), before);
    undo = acts_undo_plan(real->acts, vm.pid, vm.start_ticks, ACT_KIND_SCORE);
    assert_int_equal(undo->len, 1);
    run(real, undo);
    assert_null(real->problem);
    assert_int_equal(score_of(guilty), before);
    undo = acts_undo_plan(real->acts, vm.pid, vm.start_ticks, ACT_KIND_SCORE);
    assert_int_equal(undo->len, 0);
    g_ptr_array_unref(undo);
    process_end(guilty);
}

/* What was written to it has gone with it: nothing is to be taken back, and the undo of what lives
 * on is not held up. */
static void
a_process_that_ended_is_over(void **state)
{
    Real *real = *state;
    Process vm = real->innocent, guilty = real->guilty;
    gint before = score_of(guilty);
    g_autoptr(GPtrArray) undo = NULL;

    run(real,
        act_fixture_plan(step_new(vm, vm, before, 300), step_new(vm, guilty, before, 777), NULL));
    assert_int_equal(real->n_applied, 2);
    process_end(guilty);
    acts_load(real->acts, on_done, real);
    while (!real->is_done)
        g_main_context_iteration(real->context, TRUE);
    real->is_done = false;
    undo = acts_undo_plan(real->acts, vm.pid, vm.start_ticks, ACT_KIND_SCORE);
    assert_int_equal(undo->len, 1);
    assert_int_equal(score_of(vm), 300);
    run(real, g_steal_pointer(&undo));
    assert_null(real->problem);
    assert_int_equal(score_of(vm), before);
}

static void
one_that_ended_before_is_not_written_to(void **state)
{
    Real *real = *state;
    Process vm = real->innocent, guilty = real->guilty;
    ActRecord *step = step_new(vm, guilty, score_of(guilty), 777);

    process_end(guilty);
    run(real, act_fixture_plan(step, NULL));
    assert_int_equal(real->n_applied, 0);
    assert_string_equal(real->problem, "the process is gone");
}

/* Without CAP_SYS_RESOURCE a score cannot be less than what root gave last. */
static void
a_kernel_that_refuses_is_told_of(void **state)
{
    Real *real = *state;
    Process guilty = real->guilty;
    gint before = score_of(guilty);
    pid_t child = fork();
    int status;

    if (child == 0) {
        g_autofree char *self = g_strdup_printf("%d", (int)guilty.pid);
        g_autofree char *start = g_strdup_printf("%" G_GUINT64_FORMAT, guilty.start_ticks);

        /* root, but for that; anybody else has not got it */
        if (geteuid() == 0 && prctl(PR_CAPBSET_DROP, 24 /* CAP_SYS_RESOURCE */) < 0)
            _exit(77);
        execl("/proc/self/exe", "refused", self, start, NULL);
        _exit(78);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(score_of(guilty), before);
    process_end(guilty);
}

/* In a program without the capability: 0 when the refusal is told and nothing was done. */
static int
be_refused(pid_t pid, guint64 start_ticks)
{
    void *state = NULL;
    Process guilty = {pid, start_ticks};
    Real *real;
    bool is_told;

    real_set_up(&state);
    real = state;
    process_end(real->guilty);
    run(real, act_fixture_plan(step_new(guilty, guilty, score_of(guilty), -900), NULL));
    is_told = real->n_applied == 0 && real->problem && strstr(real->problem, "CAP_SYS_RESOURCE") &&
              strstr(real->problem, "Permission denied");
    if (!is_told)
        fprintf(stderr, "told: %s\n", real->problem);
    real_tear_down(&state);
    return is_told ? 0 : 1;
}

/* In a tree. */

typedef enum { REUSE_NOTHING, REUSE_NUMBER, REUSE_VM, REUSE_ZOMBIE, REUSE_CHANGED, REUSE_N } Reuse;

static void
reuse(ActFixture *fixture, Reuse kind)
{
    Tree *tree = fixture->tree;

    fake_host_set_state(tree, 42, ACT_START_TICKS + (kind == REUSE_VM), "kvm", 'S');
    fake_host_set_state(tree, 44, ACT_START_TICKS + (kind == REUSE_NUMBER), "sh",
                        kind == REUSE_ZOMBIE ? 'Z' : 'S');
    tree_remove(tree, "proc/44/oom_score_adj");
    tree_file(tree, "proc/44/oom_score_adj", kind == REUSE_CHANGED ? "5\n" : "0\n");
}

static gint
tree_score(ActFixture *fixture, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("proc/%d/oom_score_adj", (int)pid), *text = NULL;

    assert_true(g_file_get_contents(tree_path(fixture->tree, path), &text, NULL, NULL));
    return atoi(text);
}

static void
on_end(ActCall *call, bool was_written, const char *value, const char *problem)
{
    *(gint *)call->data = was_written;
}

static void
a_recycled_number_is_never_written_to(void **state)
{
    ActFixture *fixture = *state;
    Children *children = children_new(fixture->context);
    const Process vm = {42, ACT_START_TICKS}, stranger = {44, ACT_START_TICKS};
    guint n[REUSE_N] = {0};

    fake_host_process(fixture->tree, 44, ACT_START_TICKS, "sh", NULL);
    tree_file(fixture->tree, "proc/42/oom_score_adj", "0\n");
    tree_file(fixture->tree, "proc/44/oom_score_adj", "0\n");
    for (guint i = 0; i < REUSES; i++) {
        g_autoptr(ActRecord) step = step_new(vm, stranger, 0, 1000);
        Reuse kind = (Reuse)(i % REUSE_N);
        gint was_written = -1;
        ActCall call = {.host = fixture->host,
                        .context = fixture->context,
                        .children = children,
                        .means = &act_means_process,
                        .record = step,
                        .end = on_end,
                        .data = &was_written};

        reuse(fixture, kind);
        act_means_process.run(&call);
        while (was_written < 0)
            g_main_context_iteration(fixture->context, TRUE);
        assert_int_equal(was_written, kind == REUSE_NOTHING);
        assert_int_equal(tree_score(fixture, 44), kind == REUSE_NOTHING   ? 1000
                                                  : kind == REUSE_CHANGED ? 5
                                                                          : 0);
        assert_int_equal(tree_score(fixture, 42), 0);
        n[kind]++;
    }
    for (guint i = 0; i < REUSE_N; i++)
        assert_int_equal(n[i], REUSES / REUSE_N);
    children_free(children);
}

/* One thing about the step is wrong. */
static void
what_is_no_score_of_a_process_is_refused(void **state)
{
    static const struct {
        const char *where, *field, *value, *problem;
    } rows[] = {
        {"44", ACT_FIELD_SCORE, "1000", "process is gone"},
        {"44:", ACT_FIELD_SCORE, "1000", "process is gone"},
        {"self:4242", ACT_FIELD_SCORE, "1000", "process is gone"},
        {"../42:4242", ACT_FIELD_SCORE, "1000", "process is gone"},
        {"-44:4242", ACT_FIELD_SCORE, "1000", "process is gone"},
        {"0:4242", ACT_FIELD_SCORE, "1000", "process is gone"},
        {"44:4242", "comm", "1000", "no score"},
        {"44:4242", "../42/oom_score_adj", "1000", "no score"},
        {"44:4242", ACT_FIELD_SCORE, "1001", "no score"},
        {"44:4242", ACT_FIELD_SCORE, "x", "no score"},
    };
    ActFixture *fixture = *state;
    const Process vm = {42, ACT_START_TICKS}, stranger = {44, ACT_START_TICKS};

    fake_host_process(fixture->tree, 44, ACT_START_TICKS, "sh", NULL);
    tree_file(fixture->tree, "proc/42/oom_score_adj", "0\n");
    tree_file(fixture->tree, "proc/44/oom_score_adj", "0\n");
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        ActRecord *step = step_new(vm, stranger, 0, 0);

        set_text(&step->where, rows[i].where);
        set_text(&step->field, rows[i].field);
        set_text(&step->new_value, rows[i].value);
        act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
        assert_int_equal(fixture->n_applied, 0);
        if (!fixture->problem || !strstr(fixture->problem, rows[i].problem))
            fail_msg("row %u: %s", i, fixture->problem);
    }
    assert_int_equal(tree_score(fixture, 44), 0);
    assert_int_equal(tree_score(fixture, 42), 0);
    assert_int_equal(act_fixture_files(fixture), 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_score_is_written_and_taken_back, real_set_up,
                                        real_tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_ended_is_over, real_set_up, real_tear_down),
        cmocka_unit_test_setup_teardown(one_that_ended_before_is_not_written_to, real_set_up,
                                        real_tear_down),
        cmocka_unit_test_setup_teardown(a_kernel_that_refuses_is_told_of, real_set_up,
                                        real_tear_down),
        WITH_ACTS(a_recycled_number_is_never_written_to),
        WITH_ACTS(what_is_no_score_of_a_process_is_refused),
    };

    if (argc > 2)
        return be_refused(atoi(argv[1]), g_ascii_strtoull(argv[2], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
