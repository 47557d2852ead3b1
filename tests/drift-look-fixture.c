/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "drift-look-fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

int
look_set_up(void **state)
{
    LookFixture *fixture = g_new0(LookFixture, 1);
    void *samples = NULL;

    if (sample_fixture_set_up(&samples) != 0)
        return -1;
    fixture->samples = samples;
    fixture->children = children_new(fixture->samples->context);
    *state = fixture;
    return 0;
}

int
look_tear_down(void **state)
{
    LookFixture *fixture = *state;
    void *samples = fixture->samples;

    pve_look_forget(fixture->samples->vm);
    drift_look_forget(fixture->samples->vm);
    children_free(fixture->children);
    g_free(fixture);
    return sample_fixture_tear_down(&samples);
}

void
write_conf(LookFixture *fixture, const char *text, gint64 written_us)
{
    const struct timespec times[2] = {{.tv_sec = written_us / G_USEC_PER_SEC},
                                      {.tv_sec = written_us / G_USEC_PER_SEC}};

    tree_file(fixture->samples->tree, "etc/" CONF, text);
    assert_int_equal(utimensat(AT_FDCWD, tree_path(fixture->samples->tree, "etc/" CONF), times, 0),
                     0);
}

void
make_vm(LookFixture *fixture, const char *const *words)
{
    Vm *vm = sample_fixture_vm(fixture->samples, true, words);

    vm->source = "proxmox";
    g_free(vm->id);
    vm->id = g_strdup("102");
}

void
look(LookFixture *fixture)
{
    Vm *vm = fixture->samples->vm;

    pve_look_go_on(vm, fixture->samples->host, fixture->children, fixture->samples->now_us);
    drift_look_go_on(vm, fixture->samples->host, fixture->children, fixture->samples->now_us);
    (void)sample_fixture_take(fixture->samples);
    vm->sample.age_us = 3600 * (gint64)G_USEC_PER_SEC;
    while (children_open(fixture->children) > 0)
        g_main_context_iteration(fixture->samples->context, TRUE);
}
