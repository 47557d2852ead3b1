/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "fake-host.h"
#include "message.h"
#include "textfile.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENT_US (30 * (gint64)G_USEC_PER_SEC)
#define BEAT_US (1700000000 * (gint64)G_USEC_PER_SEC + 999999)

/* A name as a VM may have it, made printable: quotes and UTF-8 are in it still. */
static const char state_json[] =
    "{\"stuck_workers\":1,\"vms\":["
    "{\"name\":\"we\\\"b\\\\x0a\",\"id\":\"101\",\"pid\":7,\"state\":\"frozen\",\"since_s\":42,"
    "\"sample_age_ms\":1250,\"drift_fields\":2,\"foreign_writes_day\":24,"
    "\"foreign_equal_writes_day\":23,\"memory\":{\"headroom_bytes\":-4096,\"limit_bytes\":"
    "1073741824,"
    "\"guest_ram_bytes\":536870912,\"overhead_high_bytes\":77,"
    "\"forecast\":{\"level\":\"doomed\",\"missing_high_bytes\":124}},"
    "\"disks\":[{\"label\":\"virtio0\",\"state\":\"frozen\",\"since_s\":42},"
    "{\"label\":\"virtio1\",\"state\":\"ok\",\"since_s\":null},"
    "{\"label\":\"virtio1\",\"state\":\"suspect\"}]},"
    "{\"name\":\"größe\",\"id\":null,\"pid\":8,\"state\":\"ok\",\"since_s\":1,"
    "\"sample_age_ms\":null,\"memory\":{\"headroom_bytes\":null,"
    "\"forecast\":{\"level\":\"unknown\"}},\"disks\":null},"
    "{\"name\":\"calm\",\"id\":\"1\",\"pid\":6,\"state\":\"ok\",\"memory\":"
    "{\"forecast\":{\"level\":\"ok\",\"missing_high_bytes\":0}}},"
    "{\"name\":\"größe\",\"id\":null,\"pid\":9,\"state\":\"bogus\",\"disks\":7},"
    "null,[]]}";
static const char alerts_json[] =
    "{\"alerts\":[{\"paged\":true},{\"paged\":false},{},null],\"silences\":[{}],"
    "\"hooks\":{\"run\":5,\"failed\":2,\"dropped\":0}}";

/* Its labels. */
#define WEB "{vm=\"we\\\"b\\\\x0a\",id=\"101\",pid=\"7\""

static char *
text_of(const char *state, const char *alerts)
{
    g_autoptr(JsonNode) a = json_from_string(state, NULL);
    g_autoptr(JsonNode) b = json_from_string(alerts, NULL);

    return textfile_text(json_node_get_object(a), json_node_get_object(b), BEAT_US);
}

static void
every_known_fact_is_written_and_no_other(void **state)
{
    g_autofree char *text = text_of(state_json, alerts_json);
    static const struct {
        const char *name, *rest;
    } lines[] = {
        {"heartbeat_timestamp_seconds", " 1700000000"},
        {"stuck_workers", " 1"},
        {"vms", "{state=\"frozen\"} 1"},
        {"vms", "{state=\"suspect\"} 0"},
        {"vm_state", WEB "} 3"},
        {"vm_state", "{vm=\"größe\",id=\"\",pid=\"8\"} 0"},
        {"vm_state_age_seconds", WEB "} 42"},
        {"vm_sample_age_seconds", WEB "} 1.250"},
        {"vm_memory_headroom_bytes", WEB "} -4096"},
        {"vm_memory_limit_bytes", WEB "} 1073741824"},
        {"vm_memory_forecast", WEB "} 2"},
        {"vm_memory_forecast", "{vm=\"calm\",id=\"1\",pid=\"6\"} 0"},
        {"vm_memory_missing_bytes", WEB "} 124"},
        {"vm_memory_guest_ram_bytes", WEB "} 536870912"},
        {"vm_memory_overhead_bytes", WEB "} 77"},
        {"vm_drift_fields", WEB "} 2"},
        {"vm_foreign_writes", WEB "} 24"},
        {"vm_foreign_equal_writes", WEB "} 23"},
        {"disk_state", WEB ",disk=\"virtio0\"} 3"},
        {"disk_state", WEB ",disk=\"virtio1\"} 0"},
        {"disk_state_age_seconds", WEB ",disk=\"virtio0\"} 42"},
        {"alerts_open", "{paged=\"yes\"} 1"},
        {"alerts_open", "{paged=\"no\"} 3"},
        {"silences", " 1"},
        {"alert_hook_failures_total", " 2"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *line =
            g_strdup_printf("\nvm_guardian_%s%s\n", lines[i].name, lines[i].rest);

        if (!strstr(text, line))
            fail_msg("no %s in:\n%s", line, text);
    }
    /* unknown is no number */
    assert_null(strstr(text, "vm_guardian_vm_memory_headroom_bytes{vm=\"größe\""));
    assert_null(strstr(text, "vm_guardian_vm_memory_forecast{vm=\"größe\""));
    assert_null(strstr(text, "vm_guardian_vm_sample_age_seconds{vm=\"größe\""));
    assert_null(strstr(text, "pid=\"9\""));
    assert_null(strstr(text, "null"));
    assert_null(strstr(text, " inf"));
}

/* What promtool checks: the head before the samples, every family in one piece, no series twice,
 * counters called so. */
static void
the_text_is_well_formed(void **state)
{
    g_autofree char *text = text_of(state_json, alerts_json);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GRegex) sample =
        g_regex_new("^([a-z_]+)(\\{[a-z]+=\"([^\"\\\\\\n]|\\\\[\\\\\"n])*\""
                    "(,[a-z]+=\"([^\"\\\\\\n]|\\\\[\\\\\"n])*\")*\\})? -?[0-9]+(\\.[0-9]+)?$",
                    0, 0, NULL);
    g_autoptr(GHashTable) series = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) families = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *family = NULL;
    guint n = 0;

    assert_true(g_str_has_suffix(text, "\n"));
    for (guint i = 0; lines[i + 1]; i++) {
        g_autoptr(GMatchInfo) match = NULL;
        g_autofree char *name = NULL;

        if (g_str_has_prefix(lines[i], "# HELP ")) {
            g_auto(GStrv) words = g_strsplit(lines[i], " ", 4);
            g_autofree char *counter = g_strdup_printf("# TYPE %s counter", words[2]);
            g_autofree char *gauge = g_strdup_printf("# TYPE %s gauge", words[2]);

            g_free(family);
            family = g_strdup(words[2]);
            assert_true(g_hash_table_add(families, g_strdup(family)));
            assert_string_equal(lines[++i], g_str_has_suffix(family, "_total") ? counter : gauge);
            continue;
        }
        if (!g_regex_match(sample, lines[i], 0, &match))
            fail_msg("malformed: %s", lines[i]);
        name = g_match_info_fetch(match, 1);
        assert_string_equal(name, family);
        *strrchr(lines[i], ' ') = '\0';
        if (!g_hash_table_add(series, lines[i]))
            fail_msg("twice: %s", lines[i]);
        n++;
    }
    assert_true(n > 20);
}

static void
nothing_is_known_of_an_empty_state(void **state)
{
    g_autofree char *text = text_of("{}", "{}");

    assert_non_null(strstr(text, "vm_guardian_vms{state=\"ok\"} 0\n"));
    assert_non_null(strstr(text, "vm_guardian_alerts_open{paged=\"yes\"} 0\n"));
    assert_null(strstr(text, "vm_guardian_stuck_workers "));
}

/* The file. */

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    Alerting *alerting;
    Textfile *textfile;
    GString *told;
    guint n_told;
} Fixture;

static void
on_news(const AlertingNews *news, gpointer data)
{
}

static void
on_told(const char *line, gpointer data)
{
    Fixture *fixture = data;

    g_string_append_printf(fixture->told, "%s\n", line);
    fixture->n_told++;
}

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    g_autofree char *conf = NULL;

    *state = fixture;
    fixture->tree = tree_new();
    fixture->host = fake_host_new(fixture->tree);
    fixture->context = g_main_context_new();
    fixture->told = g_string_new(NULL);
    tree_directory(fixture->tree, "metrics");
    conf =
        g_strdup_printf("[report]\ntextfile = %s\n", tree_path(fixture->tree, "metrics/vm.prom"));
    tree_file(fixture->tree, "config/guardian.conf", conf);
    fixture->guardian =
        guardian_new(fixture->host, fixture->context, config_load(fixture->host, NULL));
    fixture->alerting =
        alerting_new(fixture->host, fixture->context, &(AlertingFuncs){.speak = on_news});
    fixture->textfile =
        textfile_new(fixture->guardian, fixture->alerting, fixture->context, on_told, fixture);
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    textfile_free(fixture->textfile);
    alerting_free(fixture->alerting);
    guardian_free(fixture->guardian);
    g_main_context_unref(fixture->context);
    host_free(fixture->host);
    tree_free(fixture->tree);
    g_string_free(fixture->told, TRUE);
    g_free(fixture);
    return 0;
}

/* Writes, and waits until the file is there or something was told. */
static bool
write_now(Fixture *fixture)
{
    const char *path = tree_path(fixture->tree, "metrics/vm.prom");
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    guint n_told = fixture->n_told;

    textfile_write(fixture->textfile);
    while (access(path, F_OK) != 0 && fixture->n_told == n_told && g_get_monotonic_time() < end_us)
        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
    /* the child's end is heard, too */
    for (guint i = 0; i < 200; i++)
        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
    return access(path, F_OK) == 0;
}

static void
the_file_is_whole_and_readable_for_the_collector(void **state)
{
    Fixture *fixture = *state;
    struct stat status;
    g_autofree char *text = NULL;

    textfile_write(fixture->textfile); /* before the first tick there is nothing to say */
    guardian_look_twice(fixture->guardian, 0);
    assert_true(write_now(fixture));
    assert_int_equal(stat(tree_path(fixture->tree, "metrics/vm.prom"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_true(
        g_file_get_contents(tree_path(fixture->tree, "metrics/vm.prom"), &text, NULL, NULL));
    assert_non_null(strstr(text, "vm_guardian_heartbeat_timestamp_seconds 1"));
    assert_int_not_equal(access(tree_path(fixture->tree, "metrics/vm.prom.new"), F_OK), 0);
    assert_int_equal(fixture->n_told, 0);
}

static void
a_link_of_others_leads_nowhere(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;

    tree_file(fixture->tree, "shadow", "secret\n");
    tree_link(fixture->tree, "metrics/vm.prom.new", "../shadow");
    guardian_look_twice(fixture->guardian, 0);
    assert_true(write_now(fixture));
    assert_true(g_file_get_contents(tree_path(fixture->tree, "shadow"), &text, NULL, NULL));
    assert_string_equal(text, "secret\n");
}

static void
what_cannot_be_written_is_told_once_and_so_is_its_end(void **state)
{
    Fixture *fixture = *state;

    tree_remove(fixture->tree, "metrics");
    guardian_look_twice(fixture->guardian, 0);
    assert_false(write_now(fixture));
    assert_int_equal(fixture->n_told, 1);
    assert_non_null(strstr(fixture->told->str, "cannot be written: No such file or directory"));
    textfile_write(fixture->textfile);
    for (guint i = 0; i < 200; i++)
        if (!g_main_context_iteration(fixture->context, FALSE))
            g_usleep(1000);
    assert_int_equal(fixture->n_told, 1);
    tree_directory(fixture->tree, "metrics");
    assert_true(write_now(fixture));
    assert_non_null(strstr(fixture->told->str, "is written again"));
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_fact_is_written_and_no_other),
        cmocka_unit_test(the_text_is_well_formed),
        cmocka_unit_test(nothing_is_known_of_an_empty_state),
        row(the_file_is_whole_and_readable_for_the_collector),
        row(a_link_of_others_leads_nowhere),
        row(what_cannot_be_written_is_told_once_and_so_is_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
