/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* alert test: does anybody hear of an alert? Through the daemon where there is one: what is allowed
 * to it is not what is allowed to a shell. */

#include "ctl-daemon.h"
#include "ctl.h"

#include "alert-hooks.h"
#include "config.h"
#include "message.h"
#include "report-read.h"

#include <stdio.h>
#include <string.h>

/* How often the daemon is asked whether it is done. */
#define POLL_US (200 * 1000)

/* Takes fd. The results once all have ended; NULL with error set. */
static JsonNode *
test_by_daemon(const Host *host, int fd, GError **error)
{
    JsonNode *results = ctl_ask(fd, "{\"execute\":\"alert-test\"}", error);

    while (results && !ctl_is_complete(results)) {
        g_usleep(POLL_US);
        json_node_unref(results);
        results = ctl_ask_again(host, "{\"execute\":\"alert-test-status\"}", error);
    }
    return results;
}

static JsonNode *
test_ourselves(const Host *host, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(AlertHooks) hooks = NULL;
    g_autoptr(Config) config = config_load(host, error);
    g_auto(Limits) limits = {0};
    JsonNode *results;

    if (!config)
        return NULL;
    config_limits(config, NULL, &limits);
    hooks = alert_hooks_new(host, context, NULL, NULL);
    alert_hooks_set_deadline(hooks, limits.hook_deadline_us);
    alert_hooks_test(hooks);
    while (!ctl_is_complete(results = alert_hooks_test_results(hooks))) {
        json_node_unref(results);
        g_main_context_iteration(context, TRUE);
    }
    return results;
}

static int
exit_status(JsonArray *results)
{
    guint n = results ? json_array_get_length(results) : 0;

    for (guint i = 0; i < n; i++) {
        bool is_good = false;

        (void)message_get_bool(message_object_at(results, i), "good", &is_good);
        if (!is_good)
            return 1;
    }
    return n > 0 ? 0 : 1;
}

static void
print_results(JsonObject *answer)
{
    JsonArray *results = message_get_array(answer, "results");
    guint n = results ? json_array_get_length(results) : 0;

    if (n == 0)
        printf("Nobody is told: there is no executable in %s\n",
               report_text_of(answer, "directory", "?"));
    for (guint i = 0; i < n; i++) {
        JsonObject *result = message_object_at(results, i);
        const char *output = message_get_string(result, "output");
        guint64 took_ms = 0;
        bool has_run = message_get_u64(result, "took_ms", &took_ms);

        printf("%-16s %s", report_text_of(result, "name", "?"),
               report_text_of(result, "result", "?"));
        if (has_run)
            printf(" after %" G_GUINT64_FORMAT " ms", took_ms);
        printf("%s%s\n", output && *output ? ": " : "", output ? output : "");
    }
}

static int
alert_test(const CtlOptions *options)
{
    g_autoptr(GError) error = NULL;
    Host *host = host_new(options->roots, &error);
    JsonNode *answer = NULL;
    int fd, status;

    if (!host)
        return ctl_fail("%s", error->message);
    if (ctl_connect(host, &fd, &error))
        answer = fd >= 0 ? test_by_daemon(host, fd, &error) : test_ourselves(host, &error);
    host_free(host);
    if (!answer)
        return ctl_fail("%s", error->message);
    status = exit_status(message_get_array(json_node_get_object(answer), "results"));
    if (options->is_json) {
        ctl_print_json(answer);
        return status;
    }
    print_results(json_node_get_object(answer));
    json_node_unref(answer);
    return status;
}

int
ctl_alert(const CtlOptions *options, int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "test") != 0)
        return ctl_fail("alert takes the word test; see also guardianctl alerts");
    return alert_test(options);
}
