/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert-hooks.h"

#include "alert-message.h"
#include "alert-results.h"
#include "alert-run.h"
#include "child.h"
#include "ready-source.h"
#include "units.h"

#include <string.h>
#include <unistd.h>

/* news -> waiting for the directory -> one job for each executable -> queue -> child */

#define DEADLINE_DEFAULT_US (30 * (gint64)G_USEC_PER_SEC)
/* Looking through a directory on a disk that lives takes microseconds. */
#define LIST_DEADLINE_US (10 * (gint64)G_USEC_PER_SEC)
/* The supervisor keeps the deadline itself; this is for a supervisor that hangs. */
#define GRACE_US (10 * (gint64)G_USEC_PER_SEC)
/* systemd-run waits by it for the end of what it started. */
#define BUS_SOCKET "/run/dbus/system_bus_socket"
/* Things told once; past that they may be told again. */
#define TOLD_MAX 256

typedef struct {
    AlertHooks *hooks;
    AlertMessage *message;
    char *name, *path, **argv;
    bool is_test;
    AlertRun run; /* of the child */
} Job;

struct AlertHooks {
    const Host *host;
    GMainContext *context;
    AlertHooksTellFunc tell;
    gpointer data;
    Children *children, *listers;
    char *directory;
    AlertDir dir;      /* of the child that lists */
    GQueue unlisted;   /* of AlertMessage: for these the directory is looked through next */
    GPtrArray *listed; /* of AlertMessage: for these it is being looked through */
    GQueue jobs;       /* of Job, waiting */
    GHashTable *told;  /* name -> what was told of it */
    GSource *pump;
    gint64 deadline_us;
    AlertHooksCount count;
    AlertMessage *test; /* NULL none so far */
    guint test_jobs;
    bool is_test_listed, is_ending, leaves_sandbox;
    GPtrArray *results; /* of the test */
};

static void
job_free(gpointer data)
{
    Job *job = data;

    alert_message_unref(job->message);
    g_free(job->name);
    g_free(job->path);
    g_strfreev(job->argv);
    g_free(job);
}

/* NULL: it is well again. */
static void
tell_once(AlertHooks *hooks, const char *name, const char *what)
{
    g_autofree char *line = NULL;

    if (g_strcmp0(g_hash_table_lookup(hooks->told, name), what) == 0)
        return;
    if (g_hash_table_size(hooks->told) >= TOLD_MAX)
        g_hash_table_remove_all(hooks->told);
    if (what)
        g_hash_table_replace(hooks->told, g_strdup(name), g_strdup(what));
    else
        g_hash_table_remove(hooks->told, name);
    line = g_strdup_printf("alert hook %s/%s: %s", hooks->directory, name,
                           what ? what : "works again");
    if (hooks->tell)
        hooks->tell(line, hooks->data);
}

static void
pump(AlertHooks *hooks)
{
    g_source_set_ready_time(hooks->pump, 0);
}

/* What became of it, new string; *ret_result untouched without a result. */
static char *
describe(const char *answer, gsize length, AlertRunResult *ret_result)
{
    AlertRunResult result;

    if (!answer || length < sizeof result)
        return g_strdup("its process hung or died, and was left");
    memcpy(&result, answer, sizeof result);
    *ret_result = result;
    switch (result.end) {
    case ALERT_RUN_EXITED:
        return result.number == 0 ? g_strdup("ok")
                                  : g_strdup_printf("exit status %d", result.number);
    case ALERT_RUN_KILLED:
        return g_strdup_printf("killed by signal %d", result.number);
    case ALERT_RUN_LATE:
        return g_strdup("not done in time: killed with all that it had started");
    case ALERT_RUN_FLOODED:
        return g_strdup("printed more than 1 MiB: killed with all that it had started");
    case ALERT_RUN_UNSTARTED:
        break;
    }
    return g_strdup_printf("cannot be started: %s", g_strerror(result.number));
}

/* The first line alone: for the journal. */
static char *
first_line(const char *text)
{
    return g_strndup(text, strcspn(text, "\n"));
}

static void
job_done(const char *answer, gsize length, gpointer data)
{
    Job *job = data;
    AlertHooks *hooks = job->hooks;
    AlertRunResult result = {.end = ALERT_RUN_UNSTARTED};
    g_autofree char *what = describe(answer, length, &result);
    bool is_good = result.end == ALERT_RUN_EXITED && result.number == 0;
    g_autofree char *raw = answer && length > sizeof result
                               ? g_strndup(answer + sizeof result, length - sizeof result)
                               : g_strdup("");
    g_autofree char *line = first_line(raw);
    g_autofree char *output = units_printable(g_strchomp(line), -1);
    AlertResult told = {.name = job->name,
                        .result = what,
                        .output = output,
                        .is_good = is_good,
                        .has_run = true,
                        .took_us = result.took_us};

    if (job->run.stdin_fd >= 0)
        close(job->run.stdin_fd);
    hooks->count.run++;
    hooks->count.failed += !is_good;
    if (job->is_test) {
        alert_results_add(hooks->results, &told);
        hooks->test_jobs--;
    }
    if (!hooks->is_ending) {
        g_autofree char *failure = g_strdup_printf("%s%s%s", what, *output ? ": " : "", output);
        bool was_bad = g_hash_table_contains(hooks->told, job->name);

        if (!is_good || was_bad)
            tell_once(hooks, job->name, is_good ? NULL : failure);
        pump(hooks);
    }
    job_free(job);
}

/* In the child. */
static void
job_run(int answer_fd, gconstpointer data)
{
    alert_run(answer_fd, &((const Job *)data)->run);
}

static void
job_start(AlertHooks *hooks, Job *job)
{
    ChildCall call = {.run = job_run,
                      .done = job_done,
                      .data = job,
                      .deadline_us = hooks->deadline_us + GRACE_US};
    bool leaves_sandbox = hooks->leaves_sandbox && access(BUS_SOCKET, W_OK) == 0;

    job->argv = alert_message_argv(job->message, job->path, leaves_sandbox, hooks->deadline_us);
    job->run = (AlertRun){.argv = job->argv,
                          .environment = job->message->environment,
                          .stdin_fd = alert_message_open(job->message),
                          .deadline_us = hooks->deadline_us};
    call.keep_fds[0] = job->run.stdin_fd;
    if (job->run.stdin_fd >= 0 && children_run(hooks->children, &call))
        return;
    job_done(NULL, 0, job);
}

static void
add_job(AlertHooks *hooks, AlertMessage *message, const char *name)
{
    Job *job;

    if (g_queue_get_length(&hooks->jobs) >= ALERT_HOOKS_QUEUE_MAX) {
        hooks->count.dropped++;
        return;
    }
    job = g_new0(Job, 1);
    job->hooks = hooks;
    job->message = alert_message_ref(message);
    job->name = g_strdup(name);
    job->path = g_build_filename(hooks->directory, name, NULL);
    job->is_test = message == hooks->test;
    job->run.stdin_fd = -1;
    hooks->test_jobs += job->is_test;
    g_queue_push_tail(&hooks->jobs, job);
}

/* "bad <name>: <why>" */
static void
take_refusal(AlertHooks *hooks, const char *text)
{
    const char *colon = strstr(text, ": ");
    g_autofree char *raw_name = g_strndup(text, colon ? (gsize)(colon - text) : strlen(text));
    g_autofree char *name = units_printable(raw_name, -1);
    g_autofree char *what = g_strdup_printf("not run: %s", colon ? colon + 2 : "?");
    const AlertResult result = {.name = name, .result = what, .output = (char *)""};

    tell_once(hooks, name, what);
    if (hooks->test && !hooks->is_test_listed && g_ptr_array_find(hooks->listed, hooks->test, NULL))
        alert_results_add(hooks->results, &result);
}

static int
compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
list_done(const char *answer, gsize length, gpointer data)
{
    AlertHooks *hooks = data;
    g_auto(GStrv) lines =
        g_strsplit(answer ? answer : "bad .: it cannot be looked through", "\n", -1);

    if (hooks->is_ending)
        return;
    qsort(lines, g_strv_length(lines), sizeof *lines, compare_lines);
    for (guint i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "bad "))
            take_refusal(hooks, lines[i] + strlen("bad "));
        for (guint j = 0; j < hooks->listed->len && g_str_has_prefix(lines[i], "run "); j++)
            add_job(hooks, hooks->listed->pdata[j], lines[i] + strlen("run "));
    }
    if (hooks->test && g_ptr_array_find(hooks->listed, hooks->test, NULL))
        hooks->is_test_listed = true;
    g_ptr_array_set_size(hooks->listed, 0);
    pump(hooks);
}

/* In the child. */
static void
list_run(int answer_fd, gconstpointer data)
{
    alert_dir_list(answer_fd, &((const AlertHooks *)data)->dir);
}

static void
list_start(AlertHooks *hooks)
{
    const ChildCall call = {
        .run = list_run, .done = list_done, .data = hooks, .deadline_us = LIST_DEADLINE_US};

    while (!g_queue_is_empty(&hooks->unlisted))
        g_ptr_array_add(hooks->listed, g_queue_pop_head(&hooks->unlisted));
    if (!children_run(hooks->listers, &call))
        list_done(NULL, 0, hooks);
}

/* One fork a turn: the loop has other things to do between. */
static gboolean
on_pump(gpointer data)
{
    AlertHooks *hooks = data;

    g_source_set_ready_time(hooks->pump, -1);
    if (hooks->listed->len == 0 && !g_queue_is_empty(&hooks->unlisted))
        list_start(hooks);
    if (g_queue_is_empty(&hooks->jobs) || children_running(hooks->children) >= ALERT_HOOKS_MAX)
        return G_SOURCE_CONTINUE;
    job_start(hooks, g_queue_pop_head(&hooks->jobs));
    pump(hooks);
    return G_SOURCE_CONTINUE;
}

AlertHooks *
alert_hooks_new(const Host *host, GMainContext *context, AlertHooksTellFunc tell, gpointer data)
{
    AlertHooks *hooks = g_new0(AlertHooks, 1);

    hooks->host = host;
    hooks->tell = tell;
    hooks->data = data;
    hooks->children = children_new(context);
    children_set_max(hooks->children, ALERT_HOOKS_MAX);
    hooks->listers = children_new(context);
    hooks->directory =
        g_build_filename(host_root_path(host, HOST_CONFIG), ALERT_HOOKS_DIRECTORY, NULL);
    hooks->dir = (AlertDir){.parent = host_root_path(host, HOST_CONFIG),
                            .name = ALERT_HOOKS_DIRECTORY,
                            .owner = geteuid()};
    hooks->listed = g_ptr_array_new_with_free_func((GDestroyNotify)alert_message_unref);
    hooks->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    hooks->results = alert_results_new();
    hooks->deadline_us = DEADLINE_DEFAULT_US;
    hooks->pump = ready_source_new(on_pump, hooks);
    g_source_attach(hooks->pump, context);
    return hooks;
}

void
alert_hooks_free(AlertHooks *hooks)
{
    if (!hooks)
        return;
    hooks->is_ending = true;
    children_free(hooks->children);
    children_free(hooks->listers);
    g_queue_clear_full(&hooks->jobs, job_free);
    g_queue_clear_full(&hooks->unlisted, (GDestroyNotify)alert_message_unref);
    g_ptr_array_unref(hooks->listed);
    g_ptr_array_unref(hooks->results);
    g_hash_table_unref(hooks->told);
    alert_message_unref(hooks->test);
    g_source_destroy(hooks->pump);
    g_source_unref(hooks->pump);
    g_free(hooks->directory);
    g_free(hooks);
}

void
alert_hooks_leave_sandbox(AlertHooks *hooks)
{
    hooks->leaves_sandbox = true;
}

void
alert_hooks_set_deadline(AlertHooks *hooks, gint64 deadline_us)
{
    hooks->deadline_us = deadline_us;
}

/* Takes the message. */
static void
hooks_take(AlertHooks *hooks, AlertMessage *message)
{
    if (g_queue_get_length(&hooks->unlisted) >= ALERT_HOOKS_QUEUE_MAX) {
        hooks->count.dropped++;
        alert_message_unref(message);
        return;
    }
    g_queue_push_tail(&hooks->unlisted, message);
    pump(hooks);
}

void
alert_hooks_run(AlertHooks *hooks, const AlertingNews *news)
{
    hooks_take(hooks, alert_message_new(news, host_realtime_us(hooks->host)));
}

void
alert_hooks_test(AlertHooks *hooks)
{
    const AlertingNews news = {.step = ALERT_STEP_TEST,
                               .line = "a test of vm-guardian's alert hooks: nothing is wrong",
                               .state = STATE_OK,
                               .layer = LAYER_NONE};

    alert_message_unref(hooks->test);
    hooks->test = alert_message_new(&news, host_realtime_us(hooks->host));
    hooks->test_jobs = 0;
    hooks->is_test_listed = false;
    g_ptr_array_set_size(hooks->results, 0);
    hooks_take(hooks, alert_message_ref(hooks->test));
}

JsonNode *
alert_hooks_test_results(const AlertHooks *hooks)
{
    g_autofree char *directory = units_printable(hooks->directory, -1);

    return alert_results_json(hooks->results, directory,
                              hooks->test && hooks->is_test_listed && hooks->test_jobs == 0);
}

AlertHooksCount
alert_hooks_count(const AlertHooks *hooks)
{
    AlertHooksCount count = hooks->count;

    count.running = children_open(hooks->children);
    count.waiting = g_queue_get_length((GQueue *)&hooks->jobs) +
                    g_queue_get_length((GQueue *)&hooks->unlisted) + hooks->listed->len;
    return count;
}
