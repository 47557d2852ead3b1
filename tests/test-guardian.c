/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "fake-monitor.h"
#include "guardian.h"

#include <string.h>
#include <unistd.h>

#define PATIENT_US (10 * G_USEC_PER_SEC)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A host whose one VM with a monitor is this very process. */
typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    FakeMonitor *monitor;
    Guardian *guardian;
    guint n_ended; /* told that they are not watched any more */
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *root = g_strdup_printf("proc/%d/root/run", (int)getpid());
    g_autofree char *socket = g_strconcat(root, "/q.sock", NULL);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    tree_directory(fixture->tree, root);
    fixture->monitor = fake_monitor_new(fixture->context, tree_path(fixture->tree, socket));
    fake_monitor_answer(fixture->monitor, "query-status", "{\"status\": \"running\"}");
    fake_monitor_answer(fixture->monitor, "query-blockstats", "[]");
    fake_host_qemu(fixture->tree, getpid(), "web", WORDS("-qmp", "unix:/run/q.sock,server=on"));
    fake_host_qemu(fixture->tree, 1000001, "db", NULL);
    tree_file(fixture->tree, "config/guardian.conf", "[monitor]\nown = yes\n");
    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, NULL));
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    guardian_free(fixture->guardian);
    fake_monitor_free(fixture->monitor);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

static Vm *
find_vm(const Fixture *fixture, const char *name)
{
    const GPtrArray *vms = guardian_vms(fixture->guardian);

    for (guint i = 0; i < vms->len; i++)
        if (vm_matches(vms->pdata[i], name))
            return vms->pdata[i];
    return NULL;
}

/* Until the VM is being sampled, or was. */
static void
run_until(Fixture *fixture, const char *name, bool wants_complete)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    while (g_get_monotonic_time() < end_us) {
        const Vm *vm = find_vm(fixture, name);

        if (vm && (wants_complete ? vm->has_sample && !vm->sampling : vm->sampling != NULL))
            return;
        g_main_context_iteration(fixture->context, TRUE);
    }
    fail_msg("%s was not sampled", name);
}

static void
reconfigure(Fixture *fixture, const char *text)
{
    Config *config;

    tree_file(fixture->tree, "config/guardian.conf", text);
    config = config_load(fixture->host, NULL);
    assert_non_null(config);
    guardian_reconfigure(fixture->guardian, config);
}

static void
on_change(const GuardianChange *change, gpointer data)
{
    Fixture *fixture = data;

    if (change->after.reason && strstr(change->after.reason, "not to watch"))
        fixture->n_ended++;
}

/* This process is Proxmox' VM 101, with these notes. */
static void
proxmox_says(Fixture *fixture, const char *notes)
{
    g_autofree char *pid = g_strdup_printf("%d\n", (int)getpid());
    g_autofree char *conf = g_strconcat("#", notes, "\nmemory: 512\ntags: prod;mail\n", NULL);

    fake_host_qemu(fixture->tree, getpid(), "web",
                   WORDS("-id", "101", "-qmp", "unix:/run/q.sock,server=on"));
    tree_file(fixture->tree, "run/qemu-server/101.pid", pid);
    tree_file(fixture->tree, "etc/pve/qemu-server/101.conf", conf);
}

/* Until its owner's words have arrived and been heard, or the VM is gone. */
static void
run_until_heard(Fixture *fixture)
{
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    const Vm *vm;

    while ((vm = find_vm(fixture, "101")) && (!vm->owner || vm->owner_is_new)) {
        if (g_get_monotonic_time() > end_us)
            fail_msg("its owner is not heard");
        g_main_context_iteration(fixture->context, TRUE);
    }
}

static void
proxmox_notes_set_what_an_owner_may_set(void **state)
{
    Fixture *fixture = *state;
    const Vm *vm;

    proxmox_says(fixture, "vm-guardian%3A freeze.patience=60s guardian.watch=no");
    tree_file(fixture->tree, "config/vm.d/mail.conf",
              "[Match]\ntag = mail\n[freeze]\nsettle = 33s\n");
    reconfigure(fixture, "[freeze]\npatience = 30s\n");
    guardian_start(fixture->guardian);
    run_until(fixture, "101", false);
    run_until_heard(fixture);
    vm = find_vm(fixture, "101");
    assert_non_null(vm);
    assert_int_equal(vm->limits.patience_us, 60 * G_USEC_PER_SEC);
    assert_int_equal(vm->limits.settle_us, 33 * G_USEC_PER_SEC); /* the host's word on a tag */
    assert_true(vm->limits.watch);
    assert_null(((const OwnerWord *)vm->owner->pdata[0])->problem);
    assert_non_null(((const OwnerWord *)vm->owner->pdata[1])->problem);
    assert_int_equal(find_vm(fixture, "db")->limits.patience_us, 30 * G_USEC_PER_SEC);
}

static void
an_owner_may_leave_where_the_host_lets_him(void **state)
{
    Fixture *fixture = *state;

    proxmox_says(fixture, "vm-guardian%3A guardian.watch=no");
    reconfigure(fixture, "[guardian]\nowner_may_set = guardian.watch\n");
    guardian_start(fixture->guardian);
    run_until(fixture, "101", false);
    run_until_heard(fixture);
    assert_null(find_vm(fixture, "101"));
    guardian_look_for_vms(fixture->guardian); /* nor is it found again */
    assert_null(find_vm(fixture, "101"));
    assert_non_null(find_vm(fixture, "db"));
}

static void
a_look_samples_every_vm(void **state)
{
    Fixture *fixture = *state;

    guardian_look_twice(fixture->guardian, 0);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 2);
    assert_int_equal(find_vm(fixture, "web")->sample.monitor, MONITOR_ANSWERED);
    assert_int_equal(find_vm(fixture, "db")->sample.monitor, MONITOR_NOT_ASKED);
    assert_true(find_vm(fixture, "web")->track.has_last);
}

static void
a_look_at_a_vm_that_never_answers_ends(void **state)
{
    Fixture *fixture = *state;
    gint64 from_us = g_get_monotonic_time();

    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_MUTE);
    guardian_look_twice(fixture->guardian, 0);
    assert_true(g_get_monotonic_time() - from_us < 20 * G_USEC_PER_SEC);
    assert_int_equal(find_vm(fixture, "web")->sample.monitor, MONITOR_NO_GREETING);
    assert_true(find_vm(fixture, "db")->has_sample);
}

static void
a_reload_during_a_sample_keeps_the_connection(void **state)
{
    Fixture *fixture = *state;

    guardian_start(fixture->guardian);
    run_until(fixture, "web", false);
    reconfigure(fixture, "[monitor]\nown = yes\n[freeze]\npatience = 33s\n");
    assert_int_equal(find_vm(fixture, "web")->limits.patience_us, 33 * G_USEC_PER_SEC);
    run_until(fixture, "web", true);
    assert_int_equal(find_vm(fixture, "web")->sample.monitor, MONITOR_ANSWERED);
    assert_int_equal(fake_monitor_accepted(fixture->monitor), 1);
}

/* A connect that waits for its turn would stay in the backlog of QEMU as a dead one. */
static void
a_reload_keeps_a_connect_that_waits(void **state)
{
    Fixture *fixture = *state;
    const QmpClient *client;

    reconfigure(fixture, "");
    fake_monitor_set_mood(fixture->monitor, FAKE_MONITOR_DEAF);
    guardian_start(fixture->guardian);
    run_until(fixture, "web", true);
    client = find_vm(fixture, "web")->client;
    assert_non_null(client);
    reconfigure(fixture, "[freeze]\npatience = 33s\n");
    assert_ptr_equal(find_vm(fixture, "web")->client, client);
}

static void
a_monitor_that_is_not_ours_any_more_is_left(void **state)
{
    Fixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;

    guardian_start(fixture->guardian);
    run_until(fixture, "web", true);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 1);
    reconfigure(fixture, "[monitor]\nown = no\n");
    while (fake_monitor_connected(fixture->monitor) > 0 && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_int_equal(fake_monitor_connected(fixture->monitor), 0);
}

static void
a_vm_that_a_reload_excludes_ends_in_mid_sample(void **state)
{
    Fixture *fixture = *state;

    guardian_set_change_func(fixture->guardian, on_change, fixture);
    guardian_start(fixture->guardian);
    run_until(fixture, "db", true); /* command lines arrive in any order */
    run_until(fixture, "web", false);
    reconfigure(fixture, "[guardian]\nexclude = web\n");
    assert_null(find_vm(fixture, "web"));
    assert_non_null(find_vm(fixture, "db"));
    assert_int_equal(fixture->n_ended, 1);
    run_until(fixture, "db", true); /* the loop goes on */
    reconfigure(fixture, "[monitor]\nown = yes\n");
    run_until(fixture, "web", true); /* and it is found again */
}

static void
a_reload_before_anything_is_found_counts(void **state)
{
    Fixture *fixture = *state;

    guardian_start(fixture->guardian);
    g_main_context_iteration(fixture->context, TRUE); /* command lines are being read */
    reconfigure(fixture, "[guardian]\nexclude = db\n");
    run_until(fixture, "web", true);
    assert_null(find_vm(fixture, "db"));
}

static void
a_nameless_vm_keeps_what_was_judged_of_it(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *endless = g_strnfill(2 * 1024 * 1024, 'x');

    tree_remove(fixture->tree, "proc/1000001");
    fake_host_process(fixture->tree, 1000001, 7, "kvm", WORDS(endless));
    guardian_look_twice(fixture->guardian, 0);
    assert_true(find_vm(fixture, "pid-1000001")->is_nameless);
    find_vm(fixture, "pid-1000001")->track.verdict.since_us = 4711;
    guardian_look_for_vms(fixture->guardian);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 2); /* nothing new is known of it */
    assert_true(find_vm(fixture, "pid-1000001")->has_sample);

    tree_remove(fixture->tree, "proc/1000001/cmdline");
    fake_host_process(fixture->tree, 1000001, 7, "kvm", WORDS("kvm", "-name", "db"));
    guardian_look_for_vms(fixture->guardian);
    assert_int_equal(guardian_vms(fixture->guardian)->len, 2);
    assert_int_equal(find_vm(fixture, "db")->track.verdict.since_us, 4711);
}

static void
a_vm_that_ends_is_forgotten(void **state)
{
    Fixture *fixture = *state;

    guardian_look_twice(fixture->guardian, 0);
    assert_non_null(find_vm(fixture, "db"));
    tree_remove(fixture->tree, "proc/1000001");
    guardian_look_twice(fixture->guardian, 0);
    assert_null(find_vm(fixture, "db"));
    assert_non_null(find_vm(fixture, "web"));
}

static void
the_end_in_mid_sample_is_clean(void **state)
{
    Fixture *fixture = *state;

    guardian_start(fixture->guardian);
    run_until(fixture, "web", false);
}

/* Nothing is looked for, and no VM sampled twice, in the time a test takes. */
#define SELDOM                                                                                     \
    "[guardian]\ndiscovery_period = 1h\n[monitor]\nperiod_shared = 1h\nperiod_suspect = 1s\n"

static void
hear(Fixture *fixture, HookChange change, const char *vm)
{
    const HookEvent event = {.change = change, .vm = vm};

    guardian_hear_hook(fixture->guardian, &event, g_get_monotonic_time());
}

static void
run_for(Fixture *fixture, gint64 us)
{
    gint64 end_us = g_get_monotonic_time() + us;

    while (g_get_monotonic_time() < end_us)
        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
}

static void
a_hook_makes_it_look_at_once(void **state)
{
    Fixture *fixture = *state;

    reconfigure(fixture, SELDOM);
    guardian_start(fixture->guardian);
    run_until(fixture, "db", true);
    fake_host_qemu(fixture->tree, 1000002, "late", NULL);
    run_for(fixture, 100000);
    assert_null(find_vm(fixture, "late"));
    hear(fixture, HOOK_STARTING, "late"); /* a look before there is a process is in its way */
    hear(fixture, HOOK_OTHER, "late");
    run_for(fixture, 700000);
    assert_null(find_vm(fixture, "late"));
    hear(fixture, HOOK_STARTED, "late");
    run_until(fixture, "late", true);
}

static void
a_hook_tells_of_the_end_of_its_vm_only(void **state)
{
    Fixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    gint64 web_us;

    reconfigure(fixture, SELDOM);
    guardian_start(fixture->guardian);
    run_until(fixture, "web", true);
    run_until(fixture, "db", true);
    web_us = find_vm(fixture, "web")->sample.now_us;
    tree_remove(fixture->tree, "proc/1000001");
    hear(fixture, HOOK_STOPPED, "db");
    while (find_vm(fixture, "db") && g_get_monotonic_time() < end_us)
        g_main_context_iteration(fixture->context, TRUE);
    assert_null(find_vm(fixture, "db"));
    assert_int_equal(find_vm(fixture, "web")->sample.now_us, web_us);
}

static void
an_announced_migration_is_in_the_samples_of_its_vm(void **state)
{
    Fixture *fixture = *state;

    hear(fixture, HOOK_INCOMING, "db");
    guardian_start(fixture->guardian);
    run_until(fixture, "web", true);
    run_until(fixture, "db", true);
    assert_true(find_vm(fixture, "db")->sample.is_incoming);
    assert_false(find_vm(fixture, "web")->sample.is_incoming);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

/* A shared monitor is left alone for long; memory can fill up meanwhile. */
static void
memory_is_read_between_two_samples(void **state)
{
    Fixture *fixture = *state;
    gint64 end_us = g_get_monotonic_time() + PATIENT_US, sampled_us, first_us, last_us;
    const Vm *vm;
    guint n = 0;

    reconfigure(fixture, "[monitor]\nperiod_shared = 1h\n[memory]\nperiod = 1s\n");
    guardian_start(fixture->guardian);
    run_until(fixture, "db", true);
    vm = find_vm(fixture, "db");
    sampled_us = vm->sample.now_us;
    for (first_us = last_us = vm->memory_us; n < 2 && g_get_monotonic_time() < end_us;
         last_us = vm->memory_us) {
        g_main_context_iteration(fixture->context, TRUE);
        n += vm->memory_us != last_us;
    }
    assert_int_equal(n, 2);
    assert_true(vm->memory_us - first_us >= 2 * G_USEC_PER_SEC);
    assert_int_equal(vm->sample.now_us, sampled_us);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        row(a_look_samples_every_vm),
        row(proxmox_notes_set_what_an_owner_may_set),
        row(an_owner_may_leave_where_the_host_lets_him),
        row(a_look_at_a_vm_that_never_answers_ends),
        row(a_reload_during_a_sample_keeps_the_connection),
        row(a_reload_keeps_a_connect_that_waits),
        row(a_monitor_that_is_not_ours_any_more_is_left),
        row(a_vm_that_a_reload_excludes_ends_in_mid_sample),
        row(a_reload_before_anything_is_found_counts),
        row(a_nameless_vm_keeps_what_was_judged_of_it),
        row(a_vm_that_ends_is_forgotten),
        row(the_end_in_mid_sample_is_clean),
        cmocka_unit_test_setup_teardown(memory_is_read_between_two_samples, fixture_set_up,
                                        fixture_tear_down),
        row(a_hook_makes_it_look_at_once),
        row(a_hook_tells_of_the_end_of_its_vm_only),
        row(an_announced_migration_is_in_the_samples_of_its_vm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
