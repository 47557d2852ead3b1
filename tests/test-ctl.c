/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "control.h"
#include "ctl-state.h"
#include "fake-host.h"
#include "run-ctl.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES_MAX 24
#define COLUMNS_MAX 80
#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 0, \"minor\": 1, \"micro\": 0}, "              \
    "\"package\": \"\"}, \"capabilities\": []}}\n"
#define NEGOTIATED GREETING "{\"return\": {}}\n"

/* Help: one screen, and exactly what was agreed upon. UPDATE_GOLDEN=1 writes the files anew. */

static const char *const helped_verbs[] = {"ack",      "alerts",  "silence", "alert",  "capture",
                                           "status",   "explain", "list",    "check",  "overhead",
                                           "throttle", "oom",     "replay",  "config", "hook",
                                           "limits",   "version", "audit",   "drift"};

static void
assert_one_screen(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint n = g_strv_length(lines) - 1; /* it ends with a newline */

    assert_true(g_str_has_suffix(text, "\n"));
    if (n > LINES_MAX)
        fail_msg("%u lines:\n%s", n, text);
    for (guint i = 0; lines[i]; i++)
        if (g_utf8_strlen(lines[i], -1) > COLUMNS_MAX)
            fail_msg("wider than a screen: %s", lines[i]);
}

static void
assert_golden(const char *name, const char *text)
{
    g_autofree char *path = g_strdup_printf("%s/help/%s.txt", g_getenv("TEST_DATA"), name);
    g_autofree char *expected = NULL;

    if (g_strcmp0(g_getenv("UPDATE_GOLDEN"), "1") == 0)
        assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_true(g_file_get_contents(path, &expected, NULL, NULL));
    assert_string_equal(text, expected);
}

static void
help_is_one_screen(void **state)
{
    g_auto(Run) run = run_ctl((const char *const[]){"--help", NULL});
    g_auto(Run) same = run_ctl((const char *const[]){"help", NULL});

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_string_equal(run.out, same.out);
    assert_one_screen(run.out);
    assert_golden("guardianctl", run.out);
}

static void
help_of_a_verb_is_one_screen(void **state)
{
    const char *verb = *state;
    g_auto(Run) run = run_ctl((const char *const[]){verb, "--help", NULL});
    g_auto(Run) brief = run_ctl((const char *const[]){verb, "-h", NULL});

    assert_int_equal(run.status, 0);
    assert_int_equal(brief.status, 0);
    assert_string_equal(run.err, "");
    assert_string_equal(run.out, brief.out);
    assert_one_screen(run.out);
    assert_golden(verb, run.out);
}

/* Usage: what is refused, and with which words, at once and without looking. */

typedef struct {
    const char *name;
    const char *words;
    const char *error;
} UsageRow;

static const UsageRow usage_rows[] = {
    {"an unknown verb is named", "statsu", "there is no command \"statsu\""},
    {"an unknown option is named", "--jsno status", "there is no option --jsno"},
    {"status refuses an option", "status --all", "status does not know the option --all"},
    {"status refuses a VM and says where it goes", "status web", "did you mean explain web?"},
    {"list refuses an option", "list -x", "list does not know the option -x"},
    {"list refuses an argument", "list web", "list takes no argument"},
    {"explain refuses an option", "explain --all", "explain does not know the option --all"},
    {"explain wants a VM", "explain", "explain takes one VM"},
    {"explain wants one VM only", "explain web db", "explain takes one VM"},
    {"check refuses an option", "check web --fro 60s", "check does not know the option --fro"},
    {"check wants a VM", "check", "check takes one VM"},
    {"check wants one VM only", "check web db", "check takes one VM"},
    {"check wants a time after --for", "check web --for", "--for needs a time"},
    {"check refuses an empty time", "check web --for=", "--for \"\" "},
    {"check refuses a time that is none", "check web --for abc", "--for \"abc\" "},
    {"check refuses a negative time", "check web --for=-5s", "--for \"-5s\" "},
    {"check refuses a second", "check web --for 1s", "is not between 2s and 1h"},
    {"check refuses a day", "check web --for 1d", "is not between 2s and 1h"},
    {"overhead refuses an option", "overhead --modle table", "--modle"},
    {"replay refuses an option", "replay --all", "--all"},
    {"replay wants a file", "replay", "no FILE"},
    {"config refuses an option", "config --all", "config show"},
    {"throttle refuses an option", "throttle --all", "throttle"},
    {"oom refuses an option", "oom --all", "--all"},
    {"capture wants a VM", "capture", "capture takes one VM, --list or --show NAME"},
    {"capture wants one thing", "capture web --list", "capture takes one VM, --list or"},
    {"capture refuses an option", "capture --all", "does not know the option --all"},
    {"a bundle's name is no path", "capture --show ../../etc", "no capture's name"},
    {"silence wants a subject", "silence --for 2h --why x", "silence takes a VM or a cause"},
    {"silence wants an end", "silence web --why x", "silence needs --for TIME"},
    {"silence wants a reason", "silence web --for 2h", "silence needs --for TIME"},
    {"silence refuses a time that is none", "silence web --for never --why x", "--for \"never\" "},
    {"silence refuses a year", "silence web --for 365d --why x", "between 1s and 30d"},
    {"silence takes its reason as one word", "silence web --for 2h --why a b", "into quotes"},
    {"the end of a silence has no time", "silence web --end --for 2h", "--end takes no --for"},
    {"ack wants a VM", "ack", "ack takes one VM"},
    {"ack refuses an option", "ack --all", "ack does not know the option --all"},
    {"alerts refuses an option", "alerts --all", "alerts does not know the option --all"},
    {"alert wants the word test", "alert web", "alert takes the word test"},
    {"version refuses an option", "version --all", "version does not know the option --all"},
    {"a root wants a directory", "status --run-root", "--run-root needs a directory"},
    {"a root that does not exist is named", "status --run-root /nonexistent", "/nonexistent"},
};

static void
usage_is_refused(void **state)
{
    const UsageRow *row = *state;
    g_auto(GStrv) words = g_strsplit(row->words, " ", -1);
    g_auto(Run) run = run_ctl((const char *const *)words);

    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_true(g_str_has_prefix(run.err, "guardianctl: "));
    if (!strstr(run.err, row->error))
        fail_msg("%s is not in: %s", row->error, run.err);
    assert_ptr_equal(strchr(run.err, '\n'), run.err + strlen(run.err) - 1); /* one line */
}

/* A host of its own for everything that looks. */

typedef struct {
    Tree *tree;
    const char *proc, *sys, *run, *config;
    int listener;
    pid_t server;
} Fixture;

static int
fixture_set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    *state = fixture;
    fixture->listener = -1;
    fixture->tree = tree_new();
    host_free(fake_host_new(fixture->tree));
    fixture->proc = tree_path(fixture->tree, "proc");
    fixture->sys = tree_path(fixture->tree, "sys");
    fixture->run = tree_path(fixture->tree, "run");
    fixture->config = tree_path(fixture->tree, "config");
    return 0;
}

static int
fixture_tear_down(void **state)
{
    Fixture *fixture = *state;

    if (fixture->server > 0) {
        kill(fixture->server, SIGKILL);
        waitpid(fixture->server, NULL, 0);
    }
    if (fixture->listener >= 0)
        close(fixture->listener);
    tree_free(fixture->tree);
    g_free(fixture);
    return 0;
}

/* guardianctl on that host; the roots stand last, or they would hide a missing value. */
static Run
run_here(const Fixture *fixture, const char *words)
{
    g_autofree char *line =
        g_strdup_printf("%s --proc-root %s --sys-root=%s --run-root %s --config-root %s", words,
                        fixture->proc, fixture->sys, fixture->run, fixture->config);
    g_auto(GStrv) split = g_strsplit(line, " ", -1);

    return run_ctl((const char *const *)split);
}

/* A test that fails must not leave a server behind that holds its output. */
static void
die_with_the_test(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Something answers on the daemon's socket; for each client: these bytes, and silence. */
static void
serve(Fixture *fixture, const char *bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    tree_directory(fixture->tree, "run/vm-guardian");
    g_strlcpy(address.sun_path, tree_path(fixture->tree, "run/" CONTROL_SOCKET),
              sizeof address.sun_path);
    fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fixture->listener, 8), 0);
    fixture->server = fork();
    if (fixture->server != 0)
        return;
    die_with_the_test();
    for (;;) {
        int fd = accept(fixture->listener, NULL, NULL);

        (void)!write(fd, bytes, strlen(bytes));
    }
}

static void
without_vms_status_says_so_and_all_is_well(void **state)
{
    Fixture *fixture = *state;
    g_auto(Run) run = run_here(fixture, "status");

    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
    assert_true(g_str_has_prefix(run.out, "No VM found"));
}

static void
json_may_stand_anywhere(void **state)
{
    Fixture *fixture = *state;
    g_auto(Run) before = run_here(fixture, "--json");
    g_auto(Run) after = run_here(fixture, "status --json");
    g_auto(Run) version = run_ctl((const char *const[]){"--json", "version", NULL});
    g_autoptr(JsonNode) first = json_from_string(before.out, NULL);
    g_autoptr(JsonNode) second = json_from_string(after.out, NULL);
    g_autoptr(JsonNode) third = json_from_string(version.out, NULL);

    assert_int_equal(before.status + after.status + version.status, 0);
    assert_int_equal(json_object_get_int_member(json_node_get_object(first), "schema"), 1);
    assert_int_equal(json_object_get_int_member(json_node_get_object(second), "schema"), 1);
    assert_int_equal(json_object_get_int_member(json_node_get_object(third), "schema"), 1);
    assert_false(json_object_get_boolean_member(json_node_get_object(first), "daemon"));
    assert_string_equal(json_object_get_string_member(json_node_get_object(first), "mode"),
                        "observe");
}

static void
a_vm_that_is_not_there_is_said_at_once(void **state)
{
    Fixture *fixture = *state;
    gint64 from_us = g_get_monotonic_time();
    g_auto(Run) check = run_here(fixture, "check nosuch --for 60s");

    assert_true(g_get_monotonic_time() - from_us < 30 * G_USEC_PER_SEC);
    assert_int_equal(check.status, 2);
    assert_non_null(strstr(check.err, "no VM is called \"nosuch\""));
    assert_string_equal(check.out, "");
}

static void
a_name_that_two_vms_have_needs_the_process_id(void **state)
{
    Fixture *fixture = *state;

    fake_host_qemu(fixture->tree, 42, "twin", NULL);
    fake_host_qemu(fixture->tree, 43, "twin", NULL);
    g_auto(Run) status = run_here(fixture, "status");
    g_auto(Run) explain = run_here(fixture, "explain twin");
    g_auto(Run) by_pid = run_here(fixture, "explain 43");
    g_auto(Run) check = run_here(fixture, "check twin --for 2s");
    const char *first = strstr(status.out, "\ntwin");

    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\ntwin"));
    assert_int_equal(explain.status, 2);
    assert_non_null(strstr(explain.err, "use its process id"));
    assert_int_equal(by_pid.status, 0);
    assert_non_null(strstr(by_pid.out, "pid 43"));
    assert_int_equal(check.status, 2);
    assert_non_null(strstr(check.err, "use its process id"));
}

static void
a_check_watches_and_explains(void **state)
{
    Fixture *fixture = *state;

    fake_host_qemu(fixture->tree, 42, "web", NULL);
    fake_host_qemu(fixture->tree, 43, "db", NULL);
    g_auto(Run) run = run_here(fixture, "check web --for 2s");

    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "\nweb  unknown"));
    assert_null(strstr(run.out, "db"));
}

static void
a_bad_configuration_is_named_and_nothing_is_looked_at(void **state)
{
    Fixture *fixture = *state;

    tree_file(fixture->tree, "config/guardian.conf", "[freeze]\n\npatiance = 20s\n");
    g_auto(Run) run = run_here(fixture, "status");

    assert_int_equal(run.status, 2);
    assert_non_null(strstr(run.err, "guardian.conf:3:"));
    assert_non_null(strstr(run.err, "patiance"));
    assert_string_equal(run.out, "");
}

static void
a_stopped_vm_is_suspect_for_the_exit_status(void **state)
{
    Fixture *fixture = *state;

    fake_host_qemu(fixture->tree, 42, "web", NULL);
    fake_host_set_state(fixture->tree, 42, 1042, "qemu-system-x86", 'T');
    g_auto(Run) status = run_here(fixture, "status");
    g_auto(Run) list = run_here(fixture, "list");

    assert_int_equal(status.status, 1);
    assert_non_null(strstr(status.out, "FROZEN"));
    assert_non_null(strstr(status.out, "-> guardianctl explain web\n"));
    assert_int_equal(list.status, 0);
}

typedef struct {
    const char *name, *bytes, *error;
} DaemonRow;

static const DaemonRow daemon_rows[] = {
    {"a daemon that hangs up in the middle is said", NULL, "hung up"},
    {"a daemon of garbage is said", "HTTP/1.1 200 OK\n", ""},
    {"a state that is no object is refused", NEGOTIATED "{\"return\": [1]}\n", "not readable"},
    {"a state without VMs is refused", NEGOTIATED "{\"return\": {}}\n", "not a state"},
    {"a state with an escape in it is refused",
     NEGOTIATED "{\"return\": {\"vms\": [{\"name\": \"\\u001b[2J\"}]}}\n", "not readable"},
    {"a state with a line break in it is refused",
     NEGOTIATED "{\"return\": {\"vms\": [{\"disks\": [{\"label\": \"a\\nb\"}]}]}}\n",
     "not readable"},
    {"a daemon that refuses is quoted, without escapes",
     NEGOTIATED "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u001b[2J\"}}\n",
     "refuses: no\\x1b[2J"},
};

static void
daemon_is_not_trusted(void **state)
{
    const DaemonRow *row = *state;
    void *inner = NULL;
    Fixture *fixture;

    assert_int_equal(fixture_set_up(&inner), 0);
    fixture = inner;
    serve(fixture, row->bytes ? row->bytes : GREETING);
    if (!row->bytes) {
        kill(fixture->server, SIGKILL);
        waitpid(fixture->server, NULL, 0);
        fixture->server = fork();
        if (fixture->server == 0)
            die_with_the_test();
        while (fixture->server == 0)
            close(accept(fixture->listener, NULL, NULL));
    }
    g_auto(Run) run = run_here(fixture, "status");

    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    if (!strstr(run.err, row->error))
        fail_msg("%s is not in: %s", row->error, run.err);
    assert_null(strchr(run.err, '\033'));
    fixture_tear_down(&inner);
}

static void
a_daemon_is_believed(void **state)
{
    Fixture *fixture = *state;

    serve(fixture, NEGOTIATED
          "{\"event\": \"ALERT\", \"data\": {}, \"timestamp\": {}}\n"
          "{\"return\": {\"schema\": 1, \"daemon\": true, \"vms\": [{\"name\": \"a\\\\x0ab\", "
          "\"pid\": 42, \"state\": \"frozen\", \"layer\": \"block-path\", \"since_s\": 60}]}}\n");
    g_auto(Run) status = run_here(fixture, "status");
    g_auto(Run) explain = run_here(fixture, "explain 42");

    assert_int_equal(status.status, 1);
    assert_non_null(strstr(status.out, "a\\x0ab         FROZEN"));
    assert_non_null(strstr(status.out, "explain 42\n"));
    assert_null(strstr(status.out, "No daemon"));
    assert_int_equal(explain.status, 1);
}

static void
a_daemon_that_may_not_be_asked_is_not_a_missing_one(void **state)
{
    Fixture *fixture = *state;
    int status = -1;
    pid_t child;

    t_skip_unless(geteuid() == 0, "only root can ask as somebody else");
    serve(fixture, NEGOTIATED);
    assert_int_equal(chmod(tree_root(fixture->tree), 0755), 0);
    assert_int_equal(chmod(tree_path(fixture->tree, "run/" CONTROL_SOCKET), 0600), 0);
    child = fork();
    if (child == 0) {
        CtlOptions options = {.roots = {[HOST_PROC] = fixture->proc, [HOST_RUN] = fixture->run}};
        g_autoptr(GError) error = NULL;

        if (setuid(65534) != 0)
            _exit(3);
        _exit(ctl_state(&options, &error)                                     ? 4
              : g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED) ? 0
                                                                              : 5);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define row(test) cmocka_unit_test_setup_teardown(test, fixture_set_up, fixture_tear_down)

int
main(void)
{
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test(help_is_one_screen),
        row(without_vms_status_says_so_and_all_is_well),
        row(json_may_stand_anywhere),
        row(a_vm_that_is_not_there_is_said_at_once),
        row(a_name_that_two_vms_have_needs_the_process_id),
        row(a_check_watches_and_explains),
        row(a_bad_configuration_is_named_and_nothing_is_looked_at),
        row(a_stopped_vm_is_suspect_for_the_exit_status),
        row(a_daemon_is_believed),
        row(a_daemon_that_may_not_be_asked_is_not_a_missing_one),
    };
    struct CMUnitTest tests[G_N_ELEMENTS(fixed) + G_N_ELEMENTS(helped_verbs) +
                            G_N_ELEMENTS(usage_rows) + G_N_ELEMENTS(daemon_rows)];
    guint n = G_N_ELEMENTS(fixed);

    memcpy(tests, fixed, sizeof fixed);
    for (guint i = 0; i < G_N_ELEMENTS(helped_verbs); i++)
        tests[n++] = t_row(helped_verbs[i], help_of_a_verb_is_one_screen, helped_verbs[i]);
    for (guint i = 0; i < G_N_ELEMENTS(usage_rows); i++)
        tests[n++] = t_row(usage_rows[i].name, usage_is_refused, &usage_rows[i]);
    for (guint i = 0; i < G_N_ELEMENTS(daemon_rows); i++)
        tests[n++] = t_row(daemon_rows[i].name, daemon_is_not_trusted, &daemon_rows[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
