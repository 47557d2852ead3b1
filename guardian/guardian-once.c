/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Without the loop: what a tool does that looks and ends. */
#include "guardian-private.h"
#include "memory-watch.h"
#include "storage.h"
#include "unit-policy.h"

/* Without the loop, how long a look may take in all before what is there is shown. */
#define LOOK_DEADLINE_US (8 * G_USEC_PER_SEC)

/* Between two looks whether the pages are counted. */
#define COUNT_LOOK_US (G_USEC_PER_SEC / 5)

static gboolean
set_flag(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static GSource *
flag_after(const Guardian *guardian, gint64 delay_us, bool *flag)
{
    GSource *timer = g_timeout_source_new((guint)(delay_us / 1000));

    g_source_set_callback(timer, set_flag, flag, NULL);
    g_source_attach(timer, guardian->context);
    return timer;
}

/* Runs the context until nothing is open any more, or the deadline; at least for `at_least_us`. */
static void
guardian_wait(Guardian *guardian, gint64 at_least_us, gint64 deadline_us)
{
    bool is_long_enough = false, is_over = false;
    g_autoptr(GSource) pause = flag_after(guardian, at_least_us, &is_long_enough);
    g_autoptr(GSource) deadline = flag_after(guardian, deadline_us, &is_over);

    while (!is_over &&
           (!is_long_enough || guardian->samples_open > 0 ||
            discovery_pending(guardian->discovery) > 0 || children_open(guardian->children) > 0 ||
            libvirt_pending(guardian->libvirt) > 0))
        g_main_context_iteration(guardian->context, TRUE);
    g_source_destroy(pause);
    g_source_destroy(deadline);
}

guint
guardian_look_for_vms(Guardian *guardian)
{
    discovery_scan(guardian->discovery);
    libvirt_look(guardian->libvirt, host_monotonic_us(guardian->host));
    guardian_wait(guardian, 0, LOOK_DEADLINE_US / 2);
    return guardian->vms->len;
}

/* One after the other: beside the children of the samples there was no room for them. */
static void
ask_policies(Guardian *guardian)
{
    for (guint i = 0; i < guardian->vms->len; i++) {
        unit_policy_go_on(guardian->vms->pdata[i], guardian->host, guardian->children,
                          host_monotonic_us(guardian->host));
        guardian_wait(guardian, 0, LOOK_DEADLINE_US);
    }
}

void
guardian_look_twice(Guardian *guardian, gint64 apart_us)
{
    gint64 now;

    guardian->wants_all_evidence = true;
    (void)guardian_look_for_vms(guardian);
    for (guint round = 0; round < 2; round++) {
        now = host_monotonic_us(guardian->host);
        guardian->ticked_us = now;
        host_watch_follow(guardian->host_watch, guardian->vms, &guardian->limits, now);
        for (guint i = guardian->vms->len; i-- > 0;)
            if (!((Vm *)guardian->vms->pdata[i])->sampling)
                guardian_sample(guardian, guardian->vms->pdata[i], now);
        guardian_wait(guardian, round == 0 ? apart_us : 0, LOOK_DEADLINE_US);
    }
    ask_policies(guardian);
    now = host_monotonic_us(guardian->host);
    trees_look(guardian->host_watch->trees, guardian->vms, now);
    host_watch_look(guardian->host_watch, guardian->vms, &guardian->limits, now);
}

/* false: all that are wanted are there. A count that waits for others' gets its turn at a reading.
 */
static bool
counts_go_on(Guardian *guardian, const char *word)
{
    bool lacks = false;

    for (guint i = 0; i < guardian->vms->len; i++) {
        Vm *vm = guardian->vms->pdata[i];

        if (!vm_matches(vm, word) || !memory_watch_lacks_count(vm))
            continue;
        lacks = true;
        if (vm->memory_watch->counted_us == 0)
            guardian_read_memory(guardian, vm, host_monotonic_us(guardian->host));
    }
    return lacks;
}

void
guardian_await_count(Guardian *guardian, const char *word, gint64 at_most_us)
{
    gint64 end_us = host_monotonic_us(guardian->host) + at_most_us;

    while (counts_go_on(guardian, word) && host_monotonic_us(guardian->host) < end_us)
        guardian_wait(guardian, COUNT_LOOK_US, COUNT_LOOK_US);
}

void
guardian_look_at_devices(Guardian *guardian)
{
    gint64 now = host_monotonic_us(guardian->host);

    for (guint i = 0; i < guardian->vms->len; i++)
        storage_look_again(guardian->vms->pdata[i], guardian->children, now);
    guardian_wait(guardian, 0, LOOK_DEADLINE_US);
}
