/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A forecast on its way to people: judged with its neighbours, shown, alerted, closed. */

#include "t.h"

#include "alerting.h"
#include "fake-host.h"
#include "memory-watch.h"
#include "message.h"
#include "report-forecast.h"
#include "units.h"

#include <string.h>

#define MIB(n) ((guint64)(n)*UNITS_MIB)
#define S ((gint64)G_USEC_PER_SEC)

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Workers *workers;
    GPtrArray *vms; /* lost, fine */
    Alerting *alerting;
    GString *told;
    gint64 now_us;
} Fixture;

static void
hear(const AlertingNews *news, gpointer data)
{
    Fixture *fixture = data;

    g_string_append_printf(fixture->told, "%s %s\n", news->step, news->line);
}

/* The limit's group, a guest of 1948 MiB that has touched 305, and so much beside it. */
static void
vm_remember(Vm *vm, guint beside_mib, gint64 now_us)
{
    vm->memory = (MemorySample){
        .at_us = now_us,
        .has_guest_ram = true,
        .guest_ram_bytes = MIB(1948),
        .guest_ram_is_shared = true,
        .has_rss = true,
        .rss_anon_bytes = MIB(24),
        .rss_shmem_bytes = MIB(305),
        .has_group = true,
        .has_limit = true,
        .limit_is_known = true,
        .limit_bytes = MIB(2300),
        .limited_unreclaimable_bytes = MIB(305 + 24 + beside_mib),
        .kinds = {.is_known = true, .kernel_bytes = MIB(20), .reclaimable_bytes = 100 * UNITS_KIB}};
}

static Vm *
fixture_vm(Fixture *fixture, pid_t pid, const char *name, const char *group)
{
    const char *const words[] = {"kvm", "-name", name, NULL};
    Vm *vm;

    fake_host_qemu(fixture->tree, pid, name, NULL);
    vm = vm_new(proc_open(fixture->host, pid, NULL), argv_parse(words), "bare");
    limits_init_defaults(&vm->limits);
    vm->limit_path = g_strdup(group);
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    Vm *lost;

    fixture->tree = tree_new();
    tree_directory(fixture->tree, "run/vm-guardian");
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->workers = workers_new(fixture->context, 4);
    fixture->vms = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
    fixture->told = g_string_new(NULL);
    fixture->now_us = 1000 * S;
    host_set_clock(fixture->host, fixture->now_us, fixture->now_us, 1800000000 * S);
    fixture->alerting = alerting_new(fixture->host, fixture->context,
                                     &(AlertingFuncs){.speak = hear, .data = fixture});
    lost = fixture_vm(fixture, 100, "vm4", "/machine.slice/vm4.scope");
    fixture_vm(fixture, 101, "vm5", "/machine.slice/vm5.scope");
    lost->roles = (RoleTable){.is_known = true,
                              .is_complete = true,
                              .stranger_pid = 11572,
                              .stranger_name = "memhold",
                              .stranger_private_bytes = MIB(403)};
    lost->roles.uses[ROLE_STRANGER] =
        (RoleUse){.n_processes = 1, .private_bytes = MIB(403), .domain_private_bytes = MIB(403)};
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    alerting_free(fixture->alerting);
    workers_free(fixture->workers);
    g_ptr_array_unref(fixture->vms);
    g_main_context_unref(fixture->context);
    g_string_free(fixture->told, TRUE);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* One reading of both, five seconds later; the first has so much beside it. */
static void
read_both(Fixture *fixture, guint beside_mib)
{
    fixture->now_us += 5 * S;
    host_set_clock(fixture->host, fixture->now_us, fixture->now_us, 1800000000 * S);
    for (guint i = 0; i < fixture->vms->len; i++) {
        Vm *vm = fixture->vms->pdata[i];

        vm_remember(vm, i == 0 ? beside_mib : 60, fixture->now_us);
        if (memory_watch_follow(vm, fixture->vms, fixture->workers,
                                1800000000 * S + fixture->now_us))
            alerting_follow_memory(fixture->alerting, vm);
    }
    for (guint i = 0; i < 3; i++) /* the timer of alerts runs by another clock */
        (void)g_main_context_iteration(fixture->context, FALSE);
}

static char *
explain(Fixture *fixture, guint index)
{
    g_autoptr(JsonNode) node = report_vm(fixture->host, fixture->vms->pdata[index]);

    return report_explain_text(json_node_get_object(node), false);
}

/* A phrase may be broken between two rows. */
static void
assert_says(const char *text, const char *const *phrases, guint n)
{
    g_auto(GStrv) rows = g_strsplit(text, "\n         ", -1);
    g_autofree char *joined = g_strjoinv(" ", rows);

    for (guint i = 0; i < n; i++)
        if (!strstr(joined, phrases[i]))
            fail_msg("\"%s\" is not in:\n%s", phrases[i], text);
}

static void
the_lost_one_is_explained_with_its_stranger_and_its_sum(void **state)
{
    Fixture *fixture = *state;
    static const char *const words[] = {
        "vm4  DOOMED 0s; disks ",
        "oom      DOOMED, alive: the guest may take 1643 MiB more, 1491 MiB left: >= 152 MiB "
        "short; "
        "stranger memhold[11572] 403 MiB\n",
        "domain   group 2300 MiB (tightest) /machine.slice/vm4.scope\n",
        "sum      in MiB: guest 1948.0 (305.0 touched) + QEMU's own 24.0 + strangers 403.0 + "
        "kernel "
        "20.0 + not told apart 57.0 = 2452.0, limit 2300.0; page cache 0.1 is not counted\n",
        "do       end memhold[11572] 403 MiB, or raise the limit now: guardianctl limits plan vm4, "
        "or for good: systemctl set-property 'vm4.scope' MemoryMax=2453M, or give the guest less "
        "RAM at its next start\n"};
    g_autofree char *lost = NULL, *fine = NULL;

    read_both(fixture, 480);
    lost = explain(fixture, 0);
    fine = explain(fixture, 1);
    assert_says(lost, words, G_N_ELEMENTS(words));
    assert_null(strstr(fine, "\noom "));
    assert_null(strstr(fine, "DOOMED"));
}

/* The container's limit is the tightest, the pod's is told beside it, and where the knobs are. */
static void
a_lost_pod_is_explained_with_both_limits(void **state)
{
    Fixture *fixture = *state;
    static const char pod[] = "/kubepods.slice/kubepods-burstable.slice/"
                              "kubepods-burstable-pod4f5a4c6e_99f1_4a3c_8e0b_5d0b7cbe2f01.slice";
    static const char *const words[] = {
        "domain   container 2300 MiB (tightest; pod 2357 MiB) /kubepods.slice/",
        "guardianctl limits plan vm4 (pod first), or for good: reserve 192Mi more (Harvester: "
        "annotation harvesterhci.io/reservedMemory; KubeVirt 1.8: addedOverhead) and restart it"};
    g_autofree char *container = g_strdup_printf("%s/cri-containerd-%064d.scope", pod, 1);
    const CgroupLimit limits[] = {
        {.path = container,
         .limit_bytes = MIB(2300),
         .charge = {.has_unreclaimable = true, .unreclaimable_bytes = MIB(809)}},
        {.path = (char *)pod,
         .limit_bytes = MIB(2357),
         .charge = {.has_unreclaimable = true, .unreclaimable_bytes = MIB(810)}},
    };
    Vm *lost = fixture->vms->pdata[0];
    g_autofree char *text = NULL;

    g_free(lost->limit_path);
    lost->limit_path = g_strdup(container);
    lost->group_limits = g_array_new(FALSE, FALSE, sizeof(CgroupLimit));
    g_array_append_vals(lost->group_limits, limits, G_N_ELEMENTS(limits));
    read_both(fixture, 480);
    text = explain(fixture, 0);
    assert_says(text, words, G_N_ELEMENTS(words));
}

static void
every_model_has_a_row_of_its_own(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;
    const char *reserve;

    read_both(fixture, 480);
    text = explain(fixture, 0);
    reserve = strstr(text, "\nreserve  ");
    if (!reserve ||
        !strstr(reserve, "\n         measured   unknown: less than an hour was measured\n"))
        fail_msg("%s", text);
    for (const char *c = reserve; c; c = strchr(c + 1, '\n'))
        assert_true(strcspn(c + 1, "\n") <= 120);
}

static void
status_shows_the_lost_one_first_and_fails(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(JsonNode) lost = NULL, fine = NULL;

    read_both(fixture, 480);
    lost = report_vm(fixture->host, fixture->vms->pdata[0]);
    fine = report_vm(fixture->host, fixture->vms->pdata[1]);
    assert_string_equal(report_level_word(json_node_get_object(lost)), "DOOMED");
    assert_null(report_level_word(json_node_get_object(fine)));
    assert_int_equal(report_vm_exit_status(json_node_get_object(lost)), 1);
    assert_int_equal(report_vm_exit_status(json_node_get_object(fine)), 0);
}

/* Fast growth beside the guest: shown with its end, and nobody is told yet. */
static void
growth_is_shown_before_anybody_is_told(void **state)
{
    Fixture *fixture = *state;
    static const char *const words[] = {
        "oom      watch: the guest may take 1643 MiB more, 1811 MiB left: growth beside the guest "
        "has begun to use up what the limit leaves, the rest is gone in 33s at 5.0 MiB a second; "
        "stranger memhold[11572] 403 MiB\n",
        "do       end memhold[11572] 403 MiB, or raise the limit now: guardianctl limits plan "
        "vm4\n"};
    g_autoptr(JsonNode) lost = NULL, fine = NULL;
    g_autofree char *text = NULL;

    for (guint i = 0; i < 8; i++)
        read_both(fixture, 60);
    for (guint i = 1; i <= 4; i++)
        read_both(fixture, 60 + 25 * i);
    lost = report_vm(fixture->host, fixture->vms->pdata[0]);
    fine = report_vm(fixture->host, fixture->vms->pdata[1]);
    assert_string_equal(report_memory_word(json_node_get_object(lost)), "watch");
    assert_null(report_level_word(json_node_get_object(lost)));
    assert_null(report_memory_word(json_node_get_object(fine)));
    assert_int_equal(report_vm_exit_status(json_node_get_object(lost)), 0);
    assert_string_equal(fixture->told->str, "");
    text = explain(fixture, 0);
    assert_says(text, words, G_N_ELEMENTS(words));
}

static void
it_is_told_once_paged_once_and_closed_once(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < 4; i++)
        read_both(fixture, 480);
    assert_non_null(strstr(fixture->told->str, "raised vm4: alert: memory: DOOMED, alive"));
    assert_non_null(strstr(fixture->told->str, "guardianctl explain vm4"));
    assert_null(strstr(fixture->told->str, "paged"));
    for (guint i = 0; i < 4; i++) /* the limit is reached */
        read_both(fixture, 480 + 1600);
    assert_non_null(strstr(fixture->told->str, "paged vm4: PAGE: memory: OOM IMMINENT"));
    for (guint i = 0; i < 30; i++)
        read_both(fixture, 60);
    assert_non_null(strstr(fixture->told->str, "closed vm4: alert closed"));
    assert_null(strstr(fixture->told->str, "vm5"));
    {
        g_auto(GStrv) lines = g_strsplit(fixture->told->str, "\n", -1);

        assert_int_equal(g_strv_length(lines), 3 + 1);
    }
}

static void
the_end_of_the_vm_ends_its_alert(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < 4; i++)
        read_both(fixture, 480);
    memory_watch_end(fixture->vms->pdata[0]);
    alerting_follow_memory(fixture->alerting, fixture->vms->pdata[0]);
    g_ptr_array_remove_index(fixture->vms, 0);
    for (guint i = 0; i < 4; i++)
        read_both(fixture, 60);
    assert_non_null(strstr(fixture->told->str, "closed vm4"));
}

/* What was to save it fails: an alert of its own, which ends with the need for it. */
static void
a_failed_act_is_alerted_and_ends_with_the_doom(void **state)
{
    Fixture *fixture = *state;

    for (guint i = 0; i < 4; i++)
        read_both(fixture, 480);
    for (guint i = 0; i < 3; i++) {
        alerting_follow_act(fixture->alerting, fixture->vms->pdata[0], "limits",
                            "refused by somebody");
        alerting_follow_act(fixture->alerting, fixture->vms->pdata[1], "limits", NULL);
        read_both(fixture, 480);
    }
    assert_non_null(strstr(fixture->told->str, "raised vm4: alert: memory: its memory limits could "
                                               "not be raised: refused by somebody"));
    assert_null(strstr(fixture->told->str, "closed"));
    for (guint i = 0; i < 30; i++)
        read_both(fixture, 60);
    assert_null(strstr(fixture->told->str, "vm5"));
    {
        g_auto(GStrv) lines = g_strsplit(fixture->told->str, "\n", -1);

        assert_int_equal(g_strv_length(lines), 4 + 1); /* two begin, two end */
    }
}

/* Of a group, which is no VM: it ends with the group's standstill. */
static void
a_failed_lift_is_alerted_and_ends_with_the_standstill(void **state)
{
    Fixture *fixture = *state;
    Band freed = {.label = (char *)"/web.service"}, other = {.label = (char *)"/other.service"};

    for (guint i = 0; i < 3; i++) {
        alerting_follow_lift(fixture->alerting, "/web.service", "refused by somebody");
        read_both(fixture, 60);
    }
    assert_non_null(strstr(fixture->told->str,
                           "raised /web.service: alert: memory: its memory.high "
                           "could not be lifted: refused by somebody"));
    alerting_follow_band(fixture->alerting, &other);
    assert_null(strstr(fixture->told->str, "closed"));
    alerting_follow_band(fixture->alerting, &freed);
    read_both(fixture, 60);
    assert_non_null(strstr(fixture->told->str, "closed /web.service"));
    assert_null(strstr(fixture->told->str, "other"));
}

/* Two guests of one limit: each fits alone. */
static void
guests_under_one_limit_fill_up_together(void **state)
{
    Fixture *fixture = *state;
    Vm *lost = fixture->vms->pdata[0], *peer = fixture->vms->pdata[1];

    read_both(fixture, 60);
    assert_int_equal(lost->memory_watch->pressure.verdict.level, PRESSURE_OK);
    g_free(peer->limit_path);
    peer->limit_path = g_strdup(lost->limit_path);
    read_both(fixture, 60);
    read_both(fixture, 60);
    assert_int_equal(lost->memory_watch->pressure.verdict.level, PRESSURE_DOOMED);
    assert_int_equal(lost->memory.peers_left_bytes, MIB(1948 - 305));
}

/* While one goes into the background there are two: the process that was started waits. */
static void
who_waits_for_its_daemon_is_no_second_guest(void **state)
{
    Fixture *fixture = *state;
    Vm *vms[] = {fixture->vms->pdata[0], fixture->vms->pdata[1]};

    for (guint i = 0; i < G_N_ELEMENTS(vms); i++) {
        g_free(vms[i]->monitor_path);
        vms[i]->monitor_path = g_strdup("/run/qemu/vm4.qmp");
        vms[i]->argv->is_daemonized = true;
    }
    g_free(vms[1]->limit_path);
    vms[1]->limit_path = g_strdup(vms[0]->limit_path);
    read_both(fixture, 60);
    read_both(fixture, 60);
    for (guint i = 0; i < G_N_ELEMENTS(vms); i++) {
        assert_false(vms[i]->memory.has_peers);
        assert_int_equal(vms[i]->memory_watch->pressure.verdict.level, PRESSURE_OK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_model_has_a_row_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_lost_one_is_explained_with_its_stranger_and_its_sum,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_pod_is_explained_with_both_limits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(status_shows_the_lost_one_first_and_fails, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(growth_is_shown_before_anybody_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_told_once_paged_once_and_closed_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_vm_ends_its_alert, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_act_is_alerted_and_ends_with_the_doom, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failed_lift_is_alerted_and_ends_with_the_standstill,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(guests_under_one_limit_fill_up_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_for_its_daemon_is_no_second_guest, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
