/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit-policy.h"

#include "lookup.h"
#include "unit-ask.h"
#include "units.h"

/* Only a daemon-reload changes it. */
#define ASK_US (600 * (gint64)G_USEC_PER_SEC)
/* Where systemd does not answer one child of each VM would wait: half of the room stays for those
 * who look at the VMs' storage. */
#define ROOM (CHILD_STUCK_MAX / 2)

struct UnitPolicy {
    char *unit, *word; /* printable */
    gint64 due_us;     /* monotonic */
    Lookup *asking;
};

UnitPolicy *
unit_policy_new(void)
{
    return g_new0(UnitPolicy, 1);
}

void
unit_policy_free(UnitPolicy *policy)
{
    if (!policy)
        return;
    g_free(policy->unit);
    g_free(policy->word);
    g_free(policy);
}

/* A running unit keeps its policy: what is known outlives a systemd that does not answer. */
static void
on_words(const UnitWords *words, gpointer data)
{
    Vm *vm = lookup_end(data);

    if (!vm || !words)
        return;
    g_free(vm->unit_policy->word);
    vm->unit_policy->word = *words->oom_policy ? units_printable(words->oom_policy, -1) : NULL;
}

/* The unit is another one after the VM was moved. */
static void
take_unit(UnitPolicy *policy, const char *unit)
{
    char *printable = unit ? units_printable_path(unit) : NULL;

    if (g_strcmp0(policy->unit, printable) != 0)
        g_clear_pointer(&policy->word, g_free);
    g_free(policy->unit);
    policy->unit = printable;
}

void
unit_policy_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us)
{
    UnitPolicy *policy = vm->unit_policy;
    g_autofree char *unit = NULL;
    bool is_unit;

    if (policy->asking || now_us < policy->due_us || !vm->kill_order || !vm->cgroup ||
        children_running(children) >= ROOM)
        return;
    policy->due_us = now_us + ASK_US;
    unit = unit_around(host, cgroup_path(vm->cgroup)->path, &is_unit);
    take_unit(policy, unit);
    if (unit && !unit_ask(children, unit, on_words, lookup_begin(&policy->asking, vm, host)))
        (void)lookup_end(policy->asking);
}

void
unit_policy_forget(Vm *vm)
{
    lookup_forget(&vm->unit_policy->asking);
}

const char *
unit_policy_word(const UnitPolicy *policy, const char **ret_unit)
{
    *ret_unit = policy->unit;
    return policy->word;
}
