/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "discover-fixture.h"

int
find_index(const DiscoverFixture *fixture, pid_t pid, guint64 start_ticks)
{
    for (guint i = 0; i < fixture->found->len; i++) {
        const Vm *vm = fixture->found->pdata[i];

        if (proc_pid(vm->proc) == pid && proc_start_ticks(vm->proc) == start_ticks)
            return (int)i;
    }
    return -1;
}

static bool
on_found(Vm *vm, gpointer data)
{
    DiscoverFixture *fixture = data;
    int index = find_index(fixture, proc_pid(vm->proc), proc_start_ticks(vm->proc));

    fixture->n_found++;
    if (fixture->wants_none) {
        vm_free(vm);
        return false;
    }
    if (index >= 0)
        g_ptr_array_remove_index(fixture->found, (guint)index);
    g_ptr_array_add(fixture->found, vm);
    return true;
}

static const Vm *
on_find(pid_t pid, gpointer data)
{
    const DiscoverFixture *fixture = data;

    for (guint i = 0; i < fixture->found->len; i++) {
        const Vm *vm = fixture->found->pdata[i];

        if (proc_pid(vm->proc) == pid && proc_is_alive(vm->proc))
            return vm;
    }
    return NULL;
}

int
discover_set_up(void **state)
{
    DiscoverFixture *fixture = g_new0(DiscoverFixture, 1);
    DiscoverFuncs funcs = {.found = on_found, .find = on_find, .data = fixture};

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->workers = workers_new(fixture->context, 2);
    fixture->discovery = discovery_new(fixture->host, fixture->workers, &funcs);
    fixture->found = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
    return 0;
}

int
discover_tear_down(void **state)
{
    DiscoverFixture *fixture = *state;

    workers_free(fixture->workers);
    discovery_free(fixture->discovery);
    g_ptr_array_unref(fixture->found);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

guint
scan(DiscoverFixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    guint before = fixture->n_found;

    discovery_scan(fixture->discovery);
    while (discovery_pending(fixture->discovery) > 0 && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(discovery_pending(fixture->discovery), 0);
    return fixture->n_found - before;
}

Vm *
only_vm(const DiscoverFixture *fixture)
{
    assert_int_equal(fixture->found->len, 1);
    return fixture->found->pdata[0];
}
