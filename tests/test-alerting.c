/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "alerting.h"
#include "fake-host.h"
#include "message.h"

#include <string.h>
#include <unistd.h>

#define SECOND_US ((gint64)G_USEC_PER_SEC)
#define BEGIN_US (1000 * SECOND_US)
#define DAY_0_US (1000000000 * SECOND_US) /* realtime at BEGIN_US */

/* A host with a clock, two VMs of it, and who listens. */
typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Alerting *alerting;
    GPtrArray *vms;
    GString *told; /* "raised web; paged web; " */
} Fixture;

static void
on_news(const AlertingNews *news, gpointer data)
{
    Fixture *fixture = data;

    g_string_append_printf(fixture->told, "%s %s; ", news->step, news->vm);
}

static void
start(Fixture *fixture)
{
    const AlertingFuncs funcs = {.speak = on_news, .data = fixture};

    g_clear_pointer(&fixture->alerting, alerting_free);
    fixture->alerting = alerting_new(fixture->host, fixture->context, &funcs);
}

static Vm *
add_vm(Fixture *fixture, pid_t pid, const char *name)
{
    const char *const words[] = {"qemu-system-x86_64", "-name", name, NULL};
    Vm *vm;

    fake_host_process(fixture->tree, pid, 77, "qemu-system-x86", words);
    vm = vm_new(proc_open(fixture->host, pid, NULL), argv_parse(words), "bare");
    g_ptr_array_add(fixture->vms, vm);
    return vm;
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    tree_directory(fixture->tree, "run/vm-guardian");
    tree_file(fixture->tree, "proc/sys/kernel/random/boot_id", "b00t\n");
    host_set_clock(fixture->host, BEGIN_US, BEGIN_US, DAY_0_US);
    fixture->context = g_main_context_new();
    fixture->vms = g_ptr_array_new_with_free_func((GDestroyNotify)vm_free);
    fixture->told = g_string_new(NULL);
    (void)add_vm(fixture, 1000001, "web");
    (void)add_vm(fixture, 1000002, "db");
    start(fixture);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    alerting_free(fixture->alerting);
    g_ptr_array_unref(fixture->vms);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_free(fixture);
    return 0;
}

/* At that many seconds: both VMs are sampled, and frozen or not. */
static void
at(Fixture *fixture, gint64 second, bool is_frozen)
{
    gint64 now = BEGIN_US + second * SECOND_US;

    host_set_clock(fixture->host, now, now, DAY_0_US + second * SECOND_US);
    for (guint i = 0; i < fixture->vms->len; i++) {
        GuardianChange change = {.vm = fixture->vms->pdata[i]};

        change.after = (Verdict){.state = is_frozen ? STATE_FROZEN : STATE_OK,
                                 .layer = is_frozen ? LAYER_MAIN_LOOP_BLOCKED : LAYER_NONE,
                                 .cause = is_frozen ? "no-answer" : "",
                                 .since_us = BEGIN_US,
                                 .has_alert = is_frozen,
                                 .is_paged = is_frozen};
        alerting_follow(fixture->alerting, &change);
    }
}

#define assert_told(fixture, expected)                                                             \
    do {                                                                                           \
        assert_string_equal((fixture)->told->str, expected);                                       \
        g_string_truncate((fixture)->told, 0);                                                     \
    } while (0)

static bool
silence(Fixture *fixture, const char *subject, gint64 for_s, GError **error)
{
    const AlertingSilence wanted = {
        .subject = subject, .why = "moved", .for_us = for_s * SECOND_US};

    return alerting_silence(fixture->alerting, fixture->vms, &wanted, error);
}

static JsonObject *
open_alert(JsonNode *report, const char *vm)
{
    JsonArray *list = message_get_array(json_node_get_object(report), "alerts");

    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *alert = json_array_get_object_element(list, i);

        if (g_strcmp0(message_get_string(alert, "vm"), vm) == 0)
            return alert;
    }
    return NULL;
}

static void
a_silenced_vm_is_told_of_when_it_is_over_the_other_at_once(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(JsonNode) report = NULL;

    assert_true(silence(fixture, "web", 3600, NULL));
    at(fixture, 0, true);
    at(fixture, 10, true);
    assert_told(fixture, "raised db; paged db; ");
    report = alerting_report(fixture->alerting);
    assert_non_null(message_get_string(open_alert(report, "web"), "silenced_until_utc"));
    assert_null(message_get_string(open_alert(report, "db"), "silenced_until_utc"));
    at(fixture, 3601, true);
    assert_told(fixture, "raised web; paged web; reminded db; ");
}

static void
a_silence_of_a_cause_is_for_all_vms_and_ends_by_hand(void **state)
{
    Fixture *fixture = *state;

    assert_true(silence(fixture, "main-loop-blocked", 3600, NULL));
    at(fixture, 0, true);
    at(fixture, 10, true);
    assert_told(fixture, "");
    assert_true(alerting_end_silence(fixture->alerting, fixture->vms, "main-loop-blocked", NULL));
    assert_told(fixture, "raised web; raised db; paged web; paged db; ");
    assert_false(alerting_end_silence(fixture->alerting, fixture->vms, "main-loop-blocked", NULL));
}

static void
a_silence_is_found_by_process_id_and_lasts_over_a_restart(void **state)
{
    Fixture *fixture = *state;

    assert_true(silence(fixture, "1000001", 3600, NULL));
    start(fixture);
    at(fixture, 0, true);
    at(fixture, 10, true);
    assert_told(fixture, "raised db; paged db; ");
    start(fixture);
    at(fixture, 20, true);
    at(fixture, 30, true);
    assert_told(fixture, "");
    at(fixture, 3601, true);
    assert_non_null(strstr(fixture->told->str, "raised web; paged web; "));
}

static void
what_is_no_subject_no_time_or_no_reason_is_refused(void **state)
{
    Fixture *fixture = *state;
    const AlertingSilence without_reason = {.subject = "web", .why = "", .for_us = SECOND_US};
    static const char *const subjects[] = {"wbe", "", "unknown", "\033[2J"};

    for (guint i = 0; i < G_N_ELEMENTS(subjects); i++) {
        g_autoptr(GError) error = NULL;

        assert_false(silence(fixture, subjects[i], 60, &error));
        assert_non_null(strstr(error->message, "is no VM and no cause"));
        assert_null(strchr(error->message, '\033'));
    }
    assert_false(silence(fixture, "web", 0, NULL));
    assert_false(silence(fixture, "web", -5, NULL));
    assert_false(silence(fixture, "web", 31 * 24 * 3600, NULL));
    assert_false(alerting_silence(fixture->alerting, fixture->vms, &without_reason, NULL));
    at(fixture, 0, true);
    at(fixture, 10, true);
    assert_told(fixture, "raised web; raised db; paged web; paged db; ");
}

static void
an_acknowledged_alert_is_quiet_until_it_is_over_also_after_a_restart(void **state)
{
    Fixture *fixture = *state;

    assert_false(alerting_acknowledge(fixture->alerting, fixture->vms, "web", NULL));
    at(fixture, 0, true);
    at(fixture, 10, true);
    assert_told(fixture, "raised web; raised db; paged web; paged db; ");
    assert_true(alerting_acknowledge(fixture->alerting, fixture->vms, "web", NULL));
    assert_false(alerting_acknowledge(fixture->alerting, fixture->vms, "web", NULL));
    start(fixture);
    at(fixture, 20, true);
    at(fixture, 4000, true);
    assert_told(fixture, "reminded db; ");
    at(fixture, 4010, false);
    at(fixture, 4020, false);
    assert_told(fixture, "closed web; closed db; ");
}

static void
what_is_over_is_remembered(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(JsonNode) report = NULL;
    JsonArray *recent;
    JsonObject *past;

    at(fixture, 0, true);
    at(fixture, 10, true);
    at(fixture, 20, false);
    at(fixture, 30, false);
    start(fixture);
    report = alerting_report(fixture->alerting);
    assert_null(open_alert(report, "web"));
    recent = message_get_array(json_node_get_object(report), "recent");
    assert_int_equal(json_array_get_length(recent), 2);
    past = json_array_get_object_element(recent, 1);
    assert_string_equal(message_get_string(past, "vm"), "web");
    assert_string_equal(message_get_string(past, "cause"), "no-answer");
    assert_string_equal(message_get_string(past, "since_utc"), "2001-09-09T01:46:40Z");
    assert_string_equal(message_get_string(past, "ended_utc"), "2001-09-09T01:47:00Z");
}

static void
a_torn_or_forged_memory_is_no_memory(void **state)
{
    Fixture *fixture = *state;
    static const char future[] =
        "{\"boot_id\":\"b00t\",\"silences\":[{\"subject\":\"web\",\"why\":\"x\",\"of_cause\":false,"
        "\"from_us\":0,\"until_us\":9000000000000000000}]}";
    const char *const texts[] = {
        "", "{", "[]", "{\"boot_id\":\"b00t\",\"alerts\":7,\"silences\":[[],{}],\"past\":{}}",
        future};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        tree_file(fixture->tree, "run/vm-guardian/alerts.json", texts[i]);
        start(fixture);
        at(fixture, 100 * i, true);
        at(fixture, 100 * i + 10, true);
        assert_told(fixture, "raised web; raised db; paged web; paged db; ");
    }
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        row(a_silenced_vm_is_told_of_when_it_is_over_the_other_at_once),
        row(a_silence_of_a_cause_is_for_all_vms_and_ends_by_hand),
        row(a_silence_is_found_by_process_id_and_lasts_over_a_restart),
        row(what_is_no_subject_no_time_or_no_reason_is_refused),
        row(an_acknowledged_alert_is_quiet_until_it_is_over_also_after_a_restart),
        row(what_is_over_is_remembered),
        row(a_torn_or_forged_memory_is_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
