/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

#include "alert-hooks.h"
#include "drift-report.h"
#include "hook.h"
#include "message.h"
#include "report-build.h"
#include "report-oom.h"
#include "report.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_DIRECTORY "vm-guardian"
#define CONTROL_NAME "control.sock"
#define CONTROL_GROUP "vm-guardian"
/* Hooks and tools that connect while the loop is in one tick. */
#define CONTROL_BACKLOG 64

struct Control {
    Guardian *guardian;
    Alerting *alerting; /* set before the loop runs */
    Server *server;
    int dir_fd;
    ControlReloadFunc reload;
    gpointer data;
};

static JsonNode *
empty_object(void)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, json_object_new());
    return node;
}

static bool
peer_may_write(const ServerPeer *peer, const char *command, GError **error)
{
    if (peer->has_peer && (peer->uid == 0 || peer->uid == geteuid()))
        return true;
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED, "%s is for root; you are user %u",
                command, peer->has_peer ? (guint)peer->uid : G_MAXUINT);
    return false;
}

/* "" when it is missing. */
static const char *
text_argument(JsonObject *arguments, const char *member)
{
    const char *text = message_get_string(arguments, member);

    return text ? text : "";
}

/* Answers with the bundle's name; the capture goes on. */
static JsonNode *
control_capture(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    Captures *captures = guardian_captures(control->guardian);
    CaptureOptions options = {.is_sampled = true};
    const char *vm = text_argument(arguments, "vm");
    g_autofree char *name = NULL;

    (void)message_get_bool(arguments, "stacks", &options.wants_stacks);
    if (!captures_begin_named(captures, guardian_vms(control->guardian), vm, &options, &name,
                              error))
        return NULL;
    return captures_status(captures, name, error);
}

static JsonNode *
control_capture_status(Control *control, JsonObject *arguments, const ServerPeer *peer,
                       GError **error)
{
    return captures_status(guardian_captures(control->guardian), text_argument(arguments, "name"),
                           error);
}

static JsonNode *
control_status(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    JsonNode *state = report_state(control->guardian, true);

    json_object_set_member(json_node_get_object(state), "silences",
                           alerting_silences_json(control->alerting));
    return state;
}

static JsonNode *
control_reload(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    return control->reload(control->data, error) ? empty_object() : NULL;
}

/* The words of "words", borrowed; ends with NULL. */
static GPtrArray *
word_arguments(JsonObject *arguments)
{
    JsonArray *list = message_get_array(arguments, "words");
    GPtrArray *words = g_ptr_array_new();

    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);

        if (json_node_get_value_type(node) == G_TYPE_STRING)
            g_ptr_array_add(words, (gpointer)json_node_get_string(node));
    }
    g_ptr_array_add(words, NULL);
    return words;
}

static JsonNode *
control_hook(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    g_autoptr(GPtrArray) words = word_arguments(arguments);
    HookEvent event;
    guint64 at_us = 0;

    (void)message_get_u64(arguments, "at_us", &at_us);
    if (!hook_parse(text_argument(arguments, "kind"), (const char *const *)words->pdata,
                    words->len - 1, &event)) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                    "this is no call of a hook that is known");
        return NULL;
    }
    guardian_hear_hook(control->guardian, &event, (gint64)at_us);
    return empty_object();
}

static JsonNode *
control_alert_test(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    alert_hooks_test(alerting_hooks(control->alerting));
    return empty_object();
}

static JsonNode *
control_alert_test_status(Control *control, JsonObject *arguments, const ServerPeer *peer,
                          GError **error)
{
    return alert_hooks_test_results(alerting_hooks(control->alerting));
}

static JsonNode *
control_drift(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    return drift_report(control->guardian, message_get_string(arguments, "vm"), error);
}

static JsonNode *
control_drift_ask(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    if (!drift_want(control->guardian, text_argument(arguments, "vm"), error))
        return NULL;
    return control_drift(control, arguments, peer, error);
}

static JsonNode *
control_alerts(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    return alerting_report(control->alerting);
}

static JsonNode *
control_silence(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    const GPtrArray *vms = guardian_vms(control->guardian);
    guint64 for_s = 0;
    AlertingSilence wanted = {.subject = text_argument(arguments, "subject"),
                              .why = text_argument(arguments, "why")};

    (void)message_get_u64(arguments, "for_s", &for_s);
    wanted.for_us = (gint64)MIN(for_s, G_MAXINT32) * G_USEC_PER_SEC;
    return alerting_silence(control->alerting, vms, &wanted, error)
               ? alerting_report(control->alerting)
               : NULL;
}

static JsonNode *
control_end_silence(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    return alerting_end_silence(control->alerting, guardian_vms(control->guardian),
                                text_argument(arguments, "subject"), error)
               ? alerting_report(control->alerting)
               : NULL;
}

static JsonNode *
control_acknowledge(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    return alerting_acknowledge(control->alerting, guardian_vms(control->guardian),
                                text_argument(arguments, "vm"), error)
               ? alerting_report(control->alerting)
               : NULL;
}

static JsonNode *
control_oom(Control *control, JsonObject *arguments, const ServerPeer *peer, GError **error)
{
    return report_oom(control->guardian);
}

typedef struct {
    const char *name;
    bool is_for_root;
    JsonNode *(*run)(Control *control, JsonObject *arguments, const ServerPeer *peer,
                     GError **error);
} Command;

static const Command commands[] = {
    {"status", false, control_status},
    {"reload", true, control_reload},
    {"capture", true, control_capture},
    {"capture-status", false, control_capture_status},
    {"drift", false, control_drift},
    {"drift-ask", true, control_drift_ask},
    {"hook", true, control_hook},
    {"alerts", false, control_alerts},
    {"oom", false, control_oom},
    {"silence", true, control_silence},
    {"end-silence", true, control_end_silence},
    {"acknowledge", true, control_acknowledge},
    {"alert-test", true, control_alert_test},
    {"alert-test-status", false, control_alert_test_status},
};

static JsonNode *
control_execute(const char *name, JsonObject *arguments, const ServerPeer *peer, gpointer data,
                GError **error)
{
    Control *control = data;

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        const Command *command = &commands[i];

        if (!g_str_equal(command->name, name))
            continue;
        if (command->is_for_root && !peer_may_write(peer, name, error))
            return NULL;
        return command->run(control, arguments, peer, error);
    }
    g_set_error(error, QMP_ERROR, QMP_ERROR_COMMAND, "The command %s has not been found", name);
    return NULL;
}

static bool
fail_errno(GError **error, const char *what)
{
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_FAILED, "%s: %s", what, g_strerror(errno));
    return false;
}

/* One guardian a host. The lock is the living socket itself. It outlives its process only in a
 * child of a killed one that has not come to closing it yet; then who listened is dead. */
static bool
nobody_answers(const Control *control, const Host *host, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *who = NULL;
    pid_t peer = 0;
    int fd = host_connect_at(control->dir_fd, CONTROL_NAME, &peer, &problem);

    if (fd < 0 && !g_error_matches(problem, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY))
        return true;
    if (fd >= 0) {
        close(fd);
        if (kill(peer, 0) < 0 && errno == ESRCH)
            return true;
        who = g_strdup_printf("process %d, ", (int)peer);
    }
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY,
                "another vm-guardiand is running already (%ssocket %s/%s)", who ? who : "",
                host_root_path(host, HOST_RUN), CONTROL_SOCKET);
    return false;
}

static bool
open_directory(Control *control, const Host *host, GError **error)
{
    struct stat st;

    if (mkdirat(host_root_fd(host, HOST_RUN), CONTROL_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return fail_errno(error, "cannot make the run directory " CONTROL_DIRECTORY);
    control->dir_fd = host_open(host, HOST_RUN, CONTROL_DIRECTORY, O_RDONLY | O_DIRECTORY, error);
    if (control->dir_fd < 0)
        return false;
    if (fstat(control->dir_fd, &st) < 0)
        return fail_errno(error, "cannot look at the run directory");
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH))) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED,
                    "%s/%s belongs to somebody else, or others may write to it",
                    host_root_path(host, HOST_RUN), CONTROL_DIRECTORY);
        return false;
    }
    return true;
}

static int
open_socket(const Control *control, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct group *group = getgrnam(CONTROL_GROUP);
    mode_t old_mask;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_bound;

    if (fd < 0) {
        (void)fail_errno(error, "cannot make the control socket");
        return -1;
    }
    /* through the directory's descriptor: no path is too long, and none is raced */
    g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONTROL_NAME,
               control->dir_fd);
    unlinkat(control->dir_fd, CONTROL_NAME, 0);
    old_mask = umask(0117);
    is_bound = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
               listen(fd, CONTROL_BACKLOG) == 0;
    umask(old_mask);
    if (!is_bound) {
        (void)fail_errno(error, "cannot listen on the control socket");
        close(fd);
        return -1;
    }
    if (group)
        (void)!fchownat(control->dir_fd, CONTROL_NAME, (uid_t)-1, group->gr_gid, 0);
    return fd;
}

Control *
control_new(Guardian *guardian, GMainContext *context, ControlReloadFunc reload, gpointer data,
            GError **error)
{
    g_autoptr(Control) control = g_new0(Control, 1);
    const Host *host = guardian_host(guardian);
    int fd;

    control->guardian = guardian;
    control->reload = reload;
    control->data = data;
    control->dir_fd = -1;
    if (!open_directory(control, host, error) || !nobody_answers(control, host, error))
        return NULL;
    fd = open_socket(control, error);
    if (fd < 0)
        return NULL;
    control->server = server_new(fd, context, VERSION, control_execute, control);
    return g_steal_pointer(&control);
}

void
control_free(Control *control)
{
    if (!control)
        return;
    if (control->server) {
        server_free(control->server);
        unlinkat(control->dir_fd, CONTROL_NAME, 0);
    }
    if (control->dir_fd >= 0)
        close(control->dir_fd);
    g_free(control);
}

void
control_set_alerting(Control *control, Alerting *alerting)
{
    control->alerting = alerting;
}

void
control_send_alert(Control *control, const AlertingNews *news)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    build_text(builder, "vm", news->vm);
    build_text(builder, "disk", news->disk);
    build_text(builder, "step", news->step);
    build_text(builder, "state", state_name(news->state));
    build_text(builder, "layer", layer_name(news->layer));
    build_text(builder, "text", news->line);
    json_builder_end_object(builder);
    server_send_event(control->server, "ALERT", json_builder_get_root(builder));
}
