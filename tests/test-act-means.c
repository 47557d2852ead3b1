/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Who keeps a limit is told by its own client. */
typedef struct {
    const char *means, *program, *group;
    const char *obey; /* the shell's way from its arguments to bytes */
    const char *told;
    const char *failure;
} Client;

#define NESTED "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt"
#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

static const Client by_systemd = {
    "systemd",
    "systemctl",
    "/machine.slice/_vm42.scope",
    "${5#MemoryMax=}",
    "set-property --runtime -- vm42.scope MemoryMax=" ACT_NEW "\n",
    "systemctl set-property failed",
};
static const Client by_libvirt = {
    "libvirt",
    "virsh",
    NESTED,
    "$(($7 * 1024))",
    "--connect qemu:///system memtune " UUID " --live --hard-limit 131072\n",
    "virsh memtune failed",
};

/* It does, or does not, what it is told. */
static void
client_writes(ActFixture *fixture, const Client *client, bool obeys)
{
    ActRecord *step;
    g_autofree char *file = g_strconcat("sys/fs/cgroup", client->group, "/memory.max", NULL);
    g_autofree char *program = g_strconcat("bin/", client->program, NULL);
    g_autofree char *membership = g_strconcat("0::", client->group, "/emulator\n", NULL);
    g_autofree char *limit = g_strdup(tree_path(fixture->tree, file));
    g_autofree char *log = g_strdup(tree_path(fixture->tree, "log"));
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\necho \"$@\" > %s\n%s echo \"%s\" > '%s'\n", log,
                        obeys ? "" : "exit 1;", client->obey, limit);
    g_autofree char *path = g_strdup(g_getenv("PATH")), *told = NULL;
    g_autofree char *with_fake = g_strconcat(tree_path(fixture->tree, "bin"), ":", path, NULL);

    tree_file(fixture->tree, program, script);
    assert_int_equal(chmod(tree_path(fixture->tree, program), 0755), 0);
    tree_file(fixture->tree, "proc/42/cgroup", membership);
    tree_file(fixture->tree, file, ACT_OLD "\n");
    step = act_fixture_step(fixture, 42, client->group);
    set_text(&step->means, client->means);
    set_text(&step->subject.uuid, UUID);
    g_setenv("PATH", with_fake, TRUE);
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
    g_setenv("PATH", path, TRUE);
    assert_true(g_file_get_contents(log, &told, NULL, NULL));
    assert_string_equal(told, client->told);
    limit_is(fixture, client->group, obeys ? ACT_NEW : ACT_OLD);
    if (!obeys)
        assert_non_null(strstr(fixture->problem, client->failure));
    else if (fixture->problem)
        fail_msg("%s", fixture->problem);
    assert_int_equal(newest(fixture)->state, obeys ? ACT_APPLIED : ACT_NOT_DONE);
}

static void
a_unit_is_written_through_systemd(void **state)
{
    client_writes(*state, &by_systemd, true);
}

static void
a_systemd_that_refuses_has_done_nothing(void **state)
{
    client_writes(*state, &by_systemd, false);
}

static void
a_hard_limit_is_written_through_libvirt(void **state)
{
    client_writes(*state, &by_libvirt, true);
}

static void
a_libvirt_that_refuses_has_done_nothing(void **state)
{
    client_writes(*state, &by_libvirt, false);
}

/* Refusals of the means: each changes one thing about the only step. */
typedef struct {
    const char *name;
    void (*change)(ActFixture *fixture, ActRecord *step);
    const char *problem;
} Row;

static void
escape_by_dots(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->where, "/pod42/../pod43/vm");
}

static void
name_the_neighbour(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->where, "/pod43/vm");
}

static void
name_the_root(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->where, "/");
}

static void
name_a_prefix(ActFixture *fixture, ActRecord *step)
{
    tree_file(fixture->tree, "sys/fs/cgroup/pod4/memory.max", ACT_OLD "\n");
    set_text(&step->where, "/pod4");
}

static void
name_another_file(ActFixture *fixture, ActRecord *step)
{
    tree_file(fixture->tree, "sys/fs/cgroup/pod42/vm/cgroup.kill", "0\n");
    set_text(&step->field, "cgroup.kill");
}

static void
let_the_process_be_another(ActFixture *fixture, ActRecord *step)
{
    fake_host_set_state(fixture->tree, 42, ACT_START_TICKS + 1, "kvm", 'S');
}

static void
let_it_be_a_zombie(ActFixture *fixture, ActRecord *step)
{
    fake_host_set_state(fixture->tree, 42, ACT_START_TICKS, "kvm", 'Z');
}

static void
let_the_group_be_another(ActFixture *fixture, ActRecord *step)
{
    step->group_id++;
}

static void
let_the_group_be_a_link(ActFixture *fixture, ActRecord *step)
{
    g_autofree char *real = g_strdup(tree_path(fixture->tree, "sys/fs/cgroup/pod42/vm"));
    g_autofree char *aside = g_strdup(tree_path(fixture->tree, "sys/fs/cgroup/aside"));

    assert_int_equal(rename(real, aside), 0);
    tree_link(fixture->tree, "sys/fs/cgroup/pod42/vm", aside);
    set_text(&step->field, "memory.max");
}

static void
let_it_move(ActFixture *fixture, ActRecord *step)
{
    tree_file(fixture->tree, "proc/42/cgroup", "0::/pod43/vm\n");
}

static void
say_what_cannot_be_written_down(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->why, "\xff");
}

static void
use_an_unknown_means(ActFixture *fixture, ActRecord *step)
{
    set_text(&step->means, "hammer");
}

static const Row rows[] = {
    {"dots do not lead out of the VM's group", escape_by_dots, "not in that cgroup"},
    {"a neighbour's group is refused", name_the_neighbour, "not in that cgroup"},
    {"the root's group is refused", name_the_root, "not in that cgroup"},
    {"half a name is another group", name_a_prefix, "not in that cgroup"},
    {"other files of a group are never written", name_another_file, "no file that is ever"},
    {"another process with its pid is refused", let_the_process_be_another, "process is gone"},
    {"a dead process is refused", let_it_be_a_zombie, "process is gone"},
    {"another group at its path is refused", let_the_group_be_another, "another cgroup"},
    {"a link in place of a group is refused", let_the_group_be_a_link, "cannot be opened"},
    {"a process that moved is refused", let_it_move, "not in that cgroup"},
    {"what cannot be written down is not done", say_what_cannot_be_written_down, "is no text"},
    {"an unknown means does nothing", use_an_unknown_means, "no such means"},
};

static void
nothing_is_written(void **state)
{
    const Row *row = *state;
    ActFixture *fixture = act_fixture_new(NULL);
    ActRecord *step = act_fixture_step(fixture, 42, "/pod42/vm");
    g_autofree char *limit = NULL;

    row->change(fixture, step);
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
    assert_int_equal(fixture->n_applied, 0);
    if (!fixture->problem || !strstr(fixture->problem, row->problem))
        fail_msg("the problem is %s", fixture->problem);
    limit = act_fixture_limit(fixture, "/pod42/vm");
    assert_string_equal(limit, ACT_OLD);
    limit_is(fixture, "/pod42", ACT_OLD);
    limit_is(fixture, "/pod43/vm", ACT_OLD);
    act_fixture_free(fixture, false);
}

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        WITH_ACTS(a_unit_is_written_through_systemd),
        WITH_ACTS(a_systemd_that_refuses_has_done_nothing),
        WITH_ACTS(a_hard_limit_is_written_through_libvirt),
        WITH_ACTS(a_libvirt_that_refuses_has_done_nothing),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(rows)];

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[G_N_ELEMENTS(fixed) + i] = t_row(rows[i].name, nothing_is_written, &rows[i]);
    return cmocka_run_group_tests_name("means of acts", tests, NULL, NULL);
}
