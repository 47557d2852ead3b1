/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-fixture.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

const ActTerms act_fixture_terms = {
    .is_enforced = true, .budget_vm = G_MAXUINT, .budget_host = G_MAXUINT};

static void
make_vm(Tree *tree, pid_t pid)
{
    g_autofree char *member = g_strdup_printf("proc/%d/cgroup", (int)pid);
    g_autofree char *group = g_strdup_printf("0::/pod%d/vm\n", (int)pid);
    g_autofree char *outer = g_strdup_printf("sys/fs/cgroup/pod%d/memory.max", (int)pid);
    g_autofree char *inner = g_strdup_printf("sys/fs/cgroup/pod%d/vm/memory.max", (int)pid);

    fake_host_process(tree, pid, ACT_START_TICKS, "kvm", NULL);
    tree_file(tree, member, group);
    tree_file(tree, outer, ACT_OLD "\n");
    tree_file(tree, inner, ACT_OLD "\n");
}

ActFixture *
act_fixture_new(Tree *tree)
{
    ActFixture *fixture = g_new0(ActFixture, 1);

    fixture->tree = tree ? tree : tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    if (!tree) {
        tree_file(fixture->tree, "proc/self/mountinfo",
                  "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        tree_file(fixture->tree, "proc/sys/kernel/random/boot_id", "this-boot\n");
        make_vm(fixture->tree, 42);
        make_vm(fixture->tree, 43);
    }
    fixture->acts = acts_new(fixture->host, fixture->context);
    return fixture;
}

void
act_fixture_free(ActFixture *fixture, bool keep_tree)
{
    acts_free(fixture->acts);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    if (!keep_tree)
        tree_free(fixture->tree);
    g_free(fixture->problem);
    g_free(fixture);
}

void
act_fixture_restart(ActFixture *fixture)
{
    acts_free(fixture->acts);
    fixture->acts = acts_new(fixture->host, fixture->context);
}

static char *
limit_path(const char *group)
{
    return g_strconcat("sys/fs/cgroup", group, "/memory.max", NULL);
}

char *
act_fixture_limit(ActFixture *fixture, const char *group)
{
    g_autofree char *path = limit_path(group);
    char *text = NULL;

    if (!g_file_get_contents(tree_path(fixture->tree, path), &text, NULL, NULL))
        g_error("no %s", path);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

void
act_fixture_set_limit(ActFixture *fixture, const char *group, const char *value)
{
    g_autofree char *path = limit_path(group);
    g_autofree char *line = g_strconcat(value, "\n", NULL);

    tree_file(fixture->tree, path, line);
}

ActRecord *
act_fixture_step(ActFixture *fixture, pid_t pid, const char *group)
{
    ActRecord *record = g_new0(ActRecord, 1);
    g_autofree char *directory = g_strconcat("sys/fs/cgroup", group, NULL);
    struct stat st = {0};

    (void)!stat(tree_path(fixture->tree, directory), &st);
    record->subject = (ActSubject){
        .vm = g_strdup_printf("vm%d", (int)pid), .pid = pid, .start_ticks = ACT_START_TICKS};
    record->kind = g_strdup("limits");
    record->means = g_strdup("cgroup");
    record->where = g_strdup(group);
    record->field = g_strdup("memory.max");
    record->group_id = st.st_ino;
    record->old_value = g_strdup(ACT_OLD);
    record->new_value = g_strdup(ACT_NEW);
    record->undo_value = g_strdup(ACT_OLD);
    record->by = g_strdup(ACT_BY_DAEMON);
    return record;
}

GPtrArray *
act_fixture_plan(ActRecord *first, ...)
{
    GPtrArray *steps = act_steps_new();
    va_list more;

    va_start(more, first);
    for (ActRecord *step = first; step; step = va_arg(more, ActRecord *))
        g_ptr_array_add(steps, step);
    va_end(more);
    return steps;
}

static void
on_done(const ActOutcome *outcome, gpointer data)
{
    ActFixture *fixture = data;

    fixture->is_done = true;
    fixture->leave = outcome->leave;
    fixture->has_tripped = outcome->has_tripped;
    fixture->n_names = outcome->names->len;
    fixture->n_applied = outcome->n_applied;
    g_free(fixture->problem);
    fixture->problem = g_strdup(outcome->problem);
}

static void
wait_done(ActFixture *fixture)
{
    while (!fixture->is_done)
        g_main_context_iteration(fixture->context, TRUE);
    fixture->is_done = false;
}

void
act_fixture_run(ActFixture *fixture, const ActTerms *terms, GPtrArray *steps)
{
    acts_begin(fixture->acts, terms, steps, on_done, fixture);
    wait_done(fixture);
}

void
act_fixture_load(ActFixture *fixture)
{
    acts_load(fixture->acts, on_done, fixture);
    wait_done(fixture);
}

guint
act_fixture_files(ActFixture *fixture)
{
    return tree_count(fixture->tree, "var/" ACT_JOURNAL_DIRECTORY);
}

int
act_fixture_set_up(void **state)
{
    *state = act_fixture_new(NULL);
    return 0;
}

int
act_fixture_tear_down(void **state)
{
    act_fixture_free(*state, false);
    return 0;
}

void
limit_is(ActFixture *fixture, const char *group, const char *wanted)
{
    g_autofree char *limit = act_fixture_limit(fixture, group);

    assert_string_equal(limit, wanted);
}

GPtrArray *
one_step(ActFixture *fixture)
{
    return act_fixture_plan(act_fixture_step(fixture, 42, "/pod42/vm"), NULL);
}

const ActRecord *
newest(ActFixture *fixture)
{
    const GPtrArray *records = act_journal_records(acts_journal(fixture->acts));

    assert_true(records->len > 0);
    return records->pdata[records->len - 1];
}

void
set_text(char **text, const char *value)
{
    g_free(*text);
    *text = g_strdup(value);
}

static Script script;

static void
scripted_run(ActCall *call)
{
    if (call->is_read_only)
        act_call_end(call, false, call->record->old_value, NULL);
    else
        act_call_end(call, script.was_written, script.value, script.problem);
}

static const ActMeans scripted = {.name = "scripted", .run = scripted_run};

void
act_scripted(ActFixture *fixture)
{
    acts_add_means(fixture->acts, &scripted);
}

void
run_scripted(ActFixture *fixture, Script answer)
{
    ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");

    set_text(&step->means, "scripted");
    script = answer;
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
}
