/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* alerts, silence, ack: what the daemon has told and what people agreed upon. Only it knows. */

#include "ctl-daemon.h"
#include "ctl.h"

#include "message.h"
#include "report-read.h"
#include "silence.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

/* The daemon's answer to one command; NULL after a message on stderr. */
static JsonNode *
ask_daemon(const CtlOptions *options, const char *command)
{
    g_autoptr(GError) error = NULL;
    Host *host = host_new(options->roots, &error);
    JsonNode *answer = NULL;
    int fd = -1;

    if (host && ctl_connect(host, &fd, &error) && fd < 0)
        g_set_error_literal(&error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                            "there is no daemon, and only it knows of alerts; see guardianctl "
                            "status");
    if (fd >= 0)
        answer = ctl_ask(fd, command, &error);
    host_free(host);
    if (!answer)
        (void)ctl_fail("%s", error->message);
    return answer;
}

/* "web virtio0: storage/device-stuck" */
static void
print_what(JsonObject *alert)
{
    const char *disk = message_get_string(alert, "disk");
    const char *cause = message_get_string(alert, "cause");

    printf("%s%s%s: %s%s%s", report_text_of(alert, "vm", "-"), disk ? " " : "", disk ? disk : "",
           report_text_of(alert, "layer", "-"), cause && *cause ? "/" : "", cause ? cause : "");
}

static void
print_open(JsonObject *alert)
{
    bool is_paged = false, is_acked = false;
    const char *until = message_get_string(alert, "silenced_until_utc");
    guint64 since_s = 0;
    g_autofree char *age = NULL;

    (void)message_get_bool(alert, "paged", &is_paged);
    (void)message_get_bool(alert, "acknowledged", &is_acked);
    (void)message_get_u64(alert, "since_s", &since_s);
    age = units_format_age((gint64)MIN(since_s, G_MAXINT32) * G_USEC_PER_SEC);
    print_what(alert);
    printf(", since %s (%s)%s%s", report_text_of(alert, "since_utc", "-"), age,
           is_paged ? ", paged" : "", is_acked ? ", acknowledged" : "");
    printf("%s%s\n", until ? ", silenced until " : "", until ? until : "");
}

static void
print_silences(JsonArray *silences)
{
    for (guint i = 0; silences && i < json_array_get_length(silences); i++) {
        JsonObject *silence = message_object_at(silences, i);

        printf("%s%s %s until %s: %s\n", i == 0 ? "\nSILENCED\n" : "",
               report_text_of(silence, "kind", "-"), report_text_of(silence, "subject", "-"),
               report_text_of(silence, "until_utc", "-"), report_text_of(silence, "why", "-"));
    }
}

static void
print_alerts(JsonObject *answer)
{
    JsonArray *open = message_get_array(answer, "alerts");
    JsonArray *recent = message_get_array(answer, "recent");
    JsonObject *hooks = message_get_object(answer, "hooks");
    guint64 failed = 0, dropped = 0;

    if (!open || json_array_get_length(open) == 0)
        printf("No alert is open.\n");
    for (guint i = 0; open && i < json_array_get_length(open); i++)
        print_open(message_object_at(open, i));
    print_silences(message_get_array(answer, "silences"));
    for (guint i = 0; recent && i < json_array_get_length(recent); i++) {
        printf("%s", i == 0 ? "\nOVER\n" : "");
        print_what(message_object_at(recent, i));
        printf(", %s to %s\n", report_text_of(message_object_at(recent, i), "since_utc", "-"),
               report_text_of(message_object_at(recent, i), "ended_utc", "-"));
    }
    (void)message_get_u64(hooks, "failed", &failed);
    (void)message_get_u64(hooks, "dropped", &dropped);
    if (failed + dropped > 0)
        printf("\nalert.d: %" G_GUINT64_FORMAT " runs failed, %" G_GUINT64_FORMAT
               " dropped; see guardianctl alert test\n",
               failed, dropped);
}

/* Takes the answer. */
static int
show(const CtlOptions *options, JsonNode *answer)
{
    if (options->is_json) {
        ctl_print_json(answer);
        return 0;
    }
    print_alerts(json_node_get_object(answer));
    json_node_unref(answer);
    return 0;
}

int
ctl_alerts(const CtlOptions *options, int argc, char **argv)
{
    JsonNode *answer;
    JsonArray *open;
    int status;

    if (argc > 1)
        return ctl_fail_argument(argv);
    answer = ask_daemon(options, "{\"execute\":\"alerts\"}");
    if (!answer)
        return 2;
    open = message_get_array(json_node_get_object(answer), "alerts");
    status = open && json_array_get_length(open) > 0 ? 1 : 0;
    (void)show(options, answer);
    return status;
}

typedef struct {
    const char *subject, *why;
    gint64 for_us;
    bool is_end;
} Request;

static char *
request_text(const char *command, const char *member, const Request *request)
{
    JsonBuilder *builder = ctl_command_begin(command);

    ctl_command_text(builder, member, request->subject);
    ctl_command_text(builder, "why", request->why ? request->why : "");
    json_builder_set_member_name(builder, "for_s");
    json_builder_add_int_value(builder, request->for_us / G_USEC_PER_SEC);
    return ctl_command_end(builder);
}

static int
do_request(const CtlOptions *options, const char *command, const char *member,
           const Request *request)
{
    g_autofree char *text = request_text(command, member, request);
    JsonNode *answer = ask_daemon(options, text);

    return answer ? show(options, answer) : 2;
}

/* 0, or 2 after a message. */
static int
parse_silence(int argc, char **argv, Request *request)
{
    const char *duration = NULL;

    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;

        if (strcmp(argv[i], "--end") == 0)
            request->is_end = true;
        else if (strcmp(argv[i], "--for") == 0 && has_value)
            duration = argv[++i];
        else if (strncmp(argv[i], "--for=", 6) == 0)
            duration = argv[i] + 6;
        else if (strcmp(argv[i], "--why") == 0 && has_value)
            request->why = argv[++i];
        else if (strncmp(argv[i], "--why=", 6) == 0)
            request->why = argv[i] + 6;
        else if (*argv[i] == '-')
            return ctl_fail("silence does not know the option %s, or it needs a value", argv[i]);
        else if (request->subject)
            return ctl_fail("silence takes one VM or cause; put the reason into quotes");
        else
            request->subject = argv[i];
    }
    if (!request->subject)
        return ctl_fail("silence takes a VM or a cause");
    if (request->is_end)
        return duration || request->why ? ctl_fail("--end takes no --for and no --why") : 0;
    if (!duration || !request->why || !*request->why)
        return ctl_fail("silence needs --for TIME and --why TEXT: one without an end or a reason "
                        "is how an alarm dies");
    if (units_parse_duration(duration, &request->for_us) || request->for_us < G_USEC_PER_SEC ||
        request->for_us > SILENCE_MAX_US)
        return ctl_fail("--for \"%s\" is not a time between 1s and 30d", duration);
    return 0;
}

int
ctl_silence(const CtlOptions *options, int argc, char **argv)
{
    Request request = {0};

    if (parse_silence(argc, argv, &request) != 0)
        return 2;
    return do_request(options, request.is_end ? "end-silence" : "silence", "subject", &request);
}

int
ctl_ack(const CtlOptions *options, int argc, char **argv)
{
    Request request = {.subject = argc == 2 ? argv[1] : NULL};

    if (argc == 2 && *argv[1] == '-')
        return ctl_fail_argument(argv);
    if (!request.subject)
        return ctl_fail("ack takes one VM");
    return do_request(options, "acknowledge", "vm", &request);
}
