/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "act-fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Who keeps a limit is told by its own client. */
typedef struct {
    const char *name;
    const char *means, *program, *group;
    bool is_v1;
    const char *field;
    const char *shown; /* what it says when it is asked; NULL: it is not asked */
    const char *obey;  /* the shell's way from its arguments to bytes; NULL: it does not */
    const char *told;
    const char *problem; /* NULL: it was done */
} Client;

#define UNIT "/machine.slice/_vm42.scope"
#define NESTED "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt"
#define UUID "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define V1_LIMIT "memory.limit_in_bytes"
#define SET(property) "set-property --runtime -- vm42.scope " property "=" ACT_NEW "\n"
#define ASK "show --property=MemoryMax,MemoryLimit -- vm42.scope\n"

static const Client clients[] = {
    {"a unit is written through systemd", "systemd", "systemctl", UNIT, false, "memory.max", NULL,
     "${5#*=}", SET("MemoryMax"), NULL},
    {"a systemd that refuses has done nothing", "systemd", "systemctl", UNIT, false, "memory.max",
     NULL, NULL, SET("MemoryMax"), "systemctl set-property failed"},
    {"a unit of v1 with MemoryMax keeps to it", "systemd", "systemctl", UNIT, true, V1_LIMIT,
     "MemoryLimit=infinity\nMemoryMax=67108864", "${5#*=}", ASK SET("MemoryMax"), NULL},
    {"a unit of v1 with MemoryLimit keeps to it", "systemd", "systemctl", UNIT, true, V1_LIMIT,
     "MemoryLimit=67108864\nMemoryMax=infinity", "${5#*=}", ASK SET("MemoryLimit"), NULL},
    {"of both MemoryMax is what counts", "systemd", "systemctl", UNIT, true, V1_LIMIT,
     "MemoryLimit=33554432\nMemoryMax=67108864", "${5#*=}", ASK SET("MemoryMax"), NULL},
    {"without either it is MemoryMax", "systemd", "systemctl", UNIT, true, V1_LIMIT,
     "MemoryLimit=infinity\nMemoryMax=infinity", "${5#*=}", ASK SET("MemoryMax"), NULL},
    {"a systemd that knows of no MemoryLimit has MemoryMax", "systemd", "systemctl", UNIT, true,
     V1_LIMIT, "MemoryMax=infinity", "${5#*=}", ASK SET("MemoryMax"), NULL},
    {"a systemd that does not say is not written to", "systemd", "systemctl", UNIT, true, V1_LIMIT,
     NULL, NULL, ASK, "systemctl set-property failed"},
    {"a hard limit is written through libvirt", "libvirt", "virsh", NESTED, false, "memory.max",
     NULL, "$(($7 * 1024))",
     "--connect qemu:///system memtune " UUID " --live --hard-limit 131072\n", NULL},
    {"a libvirt that refuses has done nothing", "libvirt", "virsh", NESTED, false, "memory.max",
     NULL, NULL, "--connect qemu:///system memtune " UUID " --live --hard-limit 131072\n",
     "virsh memtune failed"},
    {"so is the one with swap, of v1", "libvirt", "virsh", NESTED, true,
     "memory.memsw.limit_in_bytes", NULL, "$(($7 * 1024))",
     "--connect qemu:///system memtune " UUID " --live --swap-hard-limit 131072\n", NULL},
};

/* It notes what it is told, says what it shows, and does it, or does not. */
static void
make_program(ActFixture *fixture, const Client *client, const char *limit, const char *log)
{
    g_autofree char *file = g_strconcat("bin/", client->program, NULL);
    g_autofree char *asked =
        client->shown
            ? g_strdup_printf("if [ $1 = show ]; then echo '%s'; exit; fi\n", client->shown)
            : g_strdup("");
    g_autofree char *obeyed = client->obey
                                  ? g_strdup_printf("echo \"%s\" > '%s'\n", client->obey, limit)
                                  : g_strdup("exit 1\n");
    g_autofree char *script =
        g_strdup_printf("#!/bin/sh\necho \"$@\" >> %s\n%s%s", log, asked, obeyed);

    tree_file(fixture->tree, file, script);
    assert_int_equal(chmod(tree_path(fixture->tree, file), 0755), 0);
}

static void
make_group(ActFixture *fixture, const Client *client, const char *file)
{
    g_autofree char *membership =
        g_strconcat(client->is_v1 ? "5:memory:" : "0::", client->group, "/emulator\n", NULL);

    if (client->is_v1)
        tree_file(fixture->tree, "proc/self/mountinfo",
                  "41 31 0:38 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n");
    tree_file(fixture->tree, "proc/42/cgroup", membership);
    tree_file(fixture->tree, file, ACT_OLD "\n");
}

static void
run_with_path(ActFixture *fixture, ActRecord *step)
{
    g_autofree char *path = g_strdup(g_getenv("PATH"));
    g_autofree char *with_fake = g_strconcat(tree_path(fixture->tree, "bin"), ":", path, NULL);

    g_setenv("PATH", with_fake, TRUE);
    act_fixture_run(fixture, &act_fixture_terms, act_fixture_plan(step, NULL));
    g_setenv("PATH", path, TRUE);
}

static void
an_owner_is_told(void **state)
{
    const Client *client = *state;
    ActFixture *fixture = act_fixture_new(NULL);
    g_autofree char *file = g_strconcat("sys/fs/cgroup", client->group, "/", client->field, NULL);
    g_autofree char *limit = g_strdup(tree_path(fixture->tree, file));
    g_autofree char *log = g_strdup(tree_path(fixture->tree, "log"));
    g_autofree char *told = NULL, *left = NULL;
    ActRecord *step;

    make_group(fixture, client, file);
    make_program(fixture, client, limit, log);
    step = act_fixture_step(fixture, 42, client->group);
    set_text(&step->means, client->means);
    set_text(&step->field, client->field);
    set_text(&step->subject.uuid, UUID);
    run_with_path(fixture, step);
    assert_true(g_file_get_contents(log, &told, NULL, NULL));
    assert_string_equal(told, client->told);
    assert_true(g_file_get_contents(limit, &left, NULL, NULL));
    assert_string_equal(left, client->problem ? ACT_OLD "\n" : ACT_NEW "\n");
    if (g_strcmp0(client->problem, fixture->problem) != 0 &&
        !(client->problem && fixture->problem && strstr(fixture->problem, client->problem)))
        fail_msg("the problem is %s", fixture->problem);
    assert_int_equal(newest(fixture)->state, client->problem ? ACT_NOT_DONE : ACT_APPLIED);
    act_fixture_free(fixture, false);
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
    struct CMUnitTest tests[G_N_ELEMENTS(clients) + G_N_ELEMENTS(rows)];

    for (guint i = 0; i < G_N_ELEMENTS(clients); i++)
        tests[i] = t_row(clients[i].name, an_owner_is_told, &clients[i]);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        tests[G_N_ELEMENTS(clients) + i] = t_row(rows[i].name, nothing_is_written, &rows[i]);
    return cmocka_run_group_tests_name("means of acts", tests, NULL, NULL);
}
