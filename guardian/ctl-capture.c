/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* capture: the evidence of one VM, by the daemon where there is one (it has the minutes before, and
 * the connection to the monitor), else by a look of our own. */

#include "ctl-bundles.h"
#include "ctl-daemon.h"
#include "ctl.h"

#include "capture.h"
#include "guardian.h"
#include "message.h"
#include "report-build.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

/* How often the daemon is asked whether it is done. */
#define POLL_US (300 * 1000)

typedef struct {
    const char *vm;
    const char *show;
    bool wants_list, wants_stacks;
} Request;

static char *
begin_text(const Request *request)
{
    JsonBuilder *command = ctl_command_begin("capture");

    ctl_command_text(command, "vm", request->vm);
    if (request->wants_stacks)
        build_bool(command, "stacks", true);
    return ctl_command_end(command);
}

static char *
poll_text(const char *name)
{
    JsonBuilder *command = ctl_command_begin("capture-status");

    ctl_command_text(command, "name", name);
    return ctl_command_end(command);
}

/* Takes fd. The summary once it is over; NULL with error set. */
static JsonNode *
capture_by_daemon(const Host *host, int fd, const Request *request, GError **error)
{
    g_autofree char *begin = begin_text(request);
    JsonNode *summary = ctl_ask(fd, begin, error);
    const char *name = summary ? message_get_string(json_node_get_object(summary), "name") : NULL;
    g_autofree char *poll = name ? poll_text(name) : NULL;

    while (summary && poll && !ctl_is_complete(summary)) {
        g_usleep(POLL_US);
        json_node_unref(summary);
        summary = ctl_ask_again(host, poll, error);
    }
    if (!summary && poll)
        g_prefix_error(error, "see guardianctl capture --list: ");
    return summary;
}

static JsonNode *
capture_ourselves(const Host *host, const Request *request, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = NULL;
    const CaptureOptions options = {.wants_stacks = request->wants_stacks};
    g_autofree char *name = NULL;
    Captures *captures;
    Config *config = config_load(host, error);

    if (!config)
        return NULL;
    guardian = guardian_new(host, context, config);
    guardian_set_only(guardian, request->vm);
    guardian_look_twice(guardian, GUARDIAN_LOOK_APART_US);
    captures = guardian_captures(guardian);
    if (!captures_begin_named(captures, guardian_vms(guardian), request->vm, &options, &name,
                              error))
        return NULL;
    captures_wait(captures);
    return captures_status(captures, name, error);
}

static void
print_summary(JsonObject *summary)
{
    guint64 done = 0, ended = 0, bytes = 0;
    const char *directory = message_get_string(summary, "directory");
    const char *problem = message_get_string(summary, "problem");
    g_autofree char *size = NULL;

    (void)message_get_u64(summary, "steps_done", &done);
    (void)message_get_u64(summary, "steps_ended", &ended);
    (void)message_get_u64(summary, "bytes", &bytes);
    size = units_format_size_short(bytes);
    printf("%s\n", directory ? directory : "?");
    printf("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
           " steps done, %s; guardianctl capture --show %s\n",
           done, ended, size, message_get_string(summary, "name"));
    if (problem)
        printf("The bundle %s\n", problem);
}

static int
capture(const CtlOptions *options, const Request *request)
{
    g_autoptr(GError) error = NULL;
    Host *host = host_new(options->roots, &error);
    JsonNode *summary = NULL;
    int fd, status;

    if (!host)
        return ctl_fail("%s", error->message);
    if (ctl_connect(host, &fd, &error))
        summary = fd >= 0 ? capture_by_daemon(host, fd, request, &error)
                          : capture_ourselves(host, request, &error);
    host_free(host);
    if (!summary)
        return ctl_fail("%s", error->message);
    status = message_get_string(json_node_get_object(summary), "problem") ? 1 : 0;
    if (options->is_json) {
        ctl_print_json(summary);
        return status;
    }
    print_summary(json_node_get_object(summary));
    json_node_unref(summary);
    return status;
}

/* NULL, or what is wrong (new string). */
static char *
parse_arguments(int argc, char **argv, Request *request)
{
    for (int i = 1; i < argc; i++) {
        g_autofree char *printable = units_printable(argv[i], -1);

        if (strcmp(argv[i], "--stacks") == 0)
            request->wants_stacks = true;
        else if (strcmp(argv[i], "--list") == 0)
            request->wants_list = true;
        else if (strcmp(argv[i], "--show") == 0 && i + 1 < argc)
            request->show = argv[++i];
        else if (*argv[i] == '-')
            return g_strdup_printf("capture does not know the option %s, or it needs a value",
                                   printable);
        else if (request->vm)
            return g_strdup("capture takes one VM");
        else
            request->vm = argv[i];
    }
    if ((request->vm != NULL) + (request->show != NULL) + (request->wants_list ? 1 : 0) != 1)
        return g_strdup("capture takes one VM, --list or --show NAME");
    return NULL;
}

int
ctl_capture(const CtlOptions *options, int argc, char **argv)
{
    Request request = {0};
    g_autofree char *problem = parse_arguments(argc, argv, &request);

    if (problem)
        return ctl_fail("%s", problem);
    if (request.wants_list)
        return ctl_bundles_list(options);
    return request.show ? ctl_bundles_show(options, request.show) : capture(options, &request);
}
