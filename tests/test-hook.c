/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "hook.h"
#include "incoming.h"

#include <unistd.h>

#define SECOND_US ((gint64)G_USEC_PER_SEC)

typedef struct {
    const char *name, *kind, *words; /* one blank between words */
    bool is_known;
    HookChange change;
} ParseRow;

static const ParseRow parse_rows[] = {
    {"libvirt prepares a VM", "libvirt", "web prepare begin -", true, HOOK_STARTING},
    {"libvirt starts a VM", "libvirt", "web start begin -", true, HOOK_STARTING},
    {"libvirt has started a VM", "libvirt", "web started begin -", true, HOOK_STARTED},
    {"libvirt meets a VM again", "libvirt", "web reconnect begin -", true, HOOK_STARTED},
    {"libvirt awaits a migration", "libvirt", "web migrate begin -", true, HOOK_INCOMING},
    {"libvirt has stopped a VM", "libvirt", "web stopped end crashed", true, HOOK_STOPPED},
    {"libvirt has let a VM go", "libvirt", "web release end migrated", true, HOOK_STOPPED},
    {"a part of libvirt's that is new is no news", "libvirt", "web stopped begin -", true,
     HOOK_OTHER},
    {"an operation of libvirt's that is new is no news", "libvirt", "web teleport begin -", true,
     HOOK_OTHER},
    {"libvirt without a part", "libvirt", "web started", true, HOOK_OTHER},
    {"Proxmox is going to start a VM", "proxmox", "102 pre-start", true, HOOK_STARTING},
    {"Proxmox has started a VM", "proxmox", "102 post-start", true, HOOK_STARTED},
    {"Proxmox is going to stop a VM", "proxmox", "102 pre-stop", true, HOOK_STOPPING},
    {"Proxmox has stopped a VM", "proxmox", "102 post-stop", true, HOOK_STOPPED},
    {"a phase of Proxmox' that is new is no news", "proxmox", "102 post-lunch", true, HOOK_OTHER},
    {"Proxmox' words are not libvirt's", "libvirt", "102 post-start", true, HOOK_OTHER},
    {"nobody's hook", "xen", "web started begin -", false, HOOK_OTHER},
    {"no operation", "libvirt", "web", false, HOOK_OTHER},
    {"no VM", "proxmox", " post-start", false, HOOK_OTHER},
    {"nothing at all", "libvirt", "", false, HOOK_OTHER},
};

static void
words_are_understood(void **state)
{
    const ParseRow *row = *state;
    g_auto(GStrv) words = g_strsplit(row->words, " ", -1);
    HookEvent event = {.vm = NULL};

    assert_int_equal(
        hook_parse(row->kind, (const char *const *)words, g_strv_length(words), &event),
        row->is_known);
    if (!row->is_known) {
        assert_null(event.vm);
        return;
    }
    assert_int_equal(event.change, row->change);
    assert_string_equal(event.vm, words[0]);
}

static Vm *
vm_called(const char *name)
{
    const char *const words[] = {"qemu-system-x86_64", "-name", name, NULL};
    Host *host = host_new(NULL, NULL);
    Proc *proc = proc_open(host, getpid(), NULL);
    Vm *vm = vm_new(proc, argv_parse(words), "bare");

    host_free(host);
    return vm;
}

static void
only_the_announced_vm_is_incoming(void **state)
{
    g_autoptr(Incoming) incoming = incoming_new();
    g_autoptr(Vm) web = vm_called("web");
    g_autoptr(Vm) again = vm_called("web");
    g_autoptr(Vm) db = vm_called("db");

    incoming_announce(incoming, "web", SECOND_US, SECOND_US);
    incoming_take(incoming, db, 2 * SECOND_US);
    incoming_take(incoming, web, 2 * SECOND_US);
    incoming_take(incoming, again, 2 * SECOND_US);
    assert_false(db->is_incoming);
    assert_true(web->is_incoming);
    assert_false(again->is_incoming); /* one announcement, one VM */
}

static void
an_old_announcement_is_for_nobody(void **state)
{
    g_autoptr(Incoming) incoming = incoming_new();
    g_autoptr(Vm) late = vm_called("late");
    g_autoptr(Vm) waited = vm_called("waited");
    g_autoptr(Vm) future = vm_called("future");
    gint64 now = 1000 * SECOND_US;

    incoming_announce(incoming, "late", now, now);
    incoming_take(incoming, late, now + INCOMING_VALID_US + 1);
    incoming_announce(incoming, "waited", now - INCOMING_VALID_US - 1, now);
    incoming_take(incoming, waited, now);
    incoming_announce(incoming, "future", now + 1, now);
    incoming_take(incoming, future, now);
    assert_false(late->is_incoming);
    assert_false(waited->is_incoming);
    assert_false(future->is_incoming);
}

static void
a_flood_of_announcements_is_bounded(void **state)
{
    g_autoptr(Incoming) incoming = incoming_new();
    g_autoptr(Vm) first = vm_called("vm0");
    g_autoptr(Vm) newest = vm_called("newest");

    for (guint i = 0; i < INCOMING_MAX; i++) {
        g_autofree char *name = g_strdup_printf("vm%u", i);

        incoming_announce(incoming, name, SECOND_US, SECOND_US);
    }
    incoming_announce(incoming, "newest", SECOND_US, SECOND_US);
    incoming_take(incoming, first, SECOND_US);
    incoming_take(incoming, newest, SECOND_US);
    assert_false(first->is_incoming);
    assert_true(newest->is_incoming);
}

static void
a_vm_that_runs_has_arrived(void **state)
{
    g_autoptr(Vm) vm = vm_called("web");

    vm->is_incoming = true;
    vm->sample.monitor = MONITOR_ANSWERED;
    vm->sample.run = RUN_INCOMING;
    incoming_note(vm);
    assert_true(vm->is_incoming);
    vm->sample.monitor = MONITOR_SILENT;
    vm->sample.run = RUN_RUNNING; /* of the sample before */
    incoming_note(vm);
    assert_true(vm->is_incoming);
    vm->sample.monitor = MONITOR_ANSWERED;
    incoming_note(vm);
    assert_false(vm->is_incoming);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(parse_rows) + 4];
    guint n = 0;

    for (; n < G_N_ELEMENTS(parse_rows); n++)
        tests[n] = t_row(parse_rows[n].name, words_are_understood, &parse_rows[n]);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(only_the_announced_vm_is_incoming);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(an_old_announcement_is_for_nobody);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_flood_of_announcements_is_bounded);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_vm_that_runs_has_arrived);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
