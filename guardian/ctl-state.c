/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-state.h"
#include "ctl-daemon.h"

#include "message.h"
#include "report.h"
#include "units.h"

#include <string.h>

static JsonNode *
look_ourselves(Host *host, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = NULL;
    Config *config = config_load(host, error);

    if (!config)
        return NULL;
    guardian = guardian_new(host, context, config);
    guardian_look_twice(guardian, GUARDIAN_LOOK_APART_US);
    return report_state(guardian, false);
}

/* The state that the daemon behind fd tells; takes fd. */
static JsonNode *
ask_state(int fd, GError **error)
{
    JsonNode *state = ctl_ask(fd, "{\"execute\":\"status\"}", error);

    if (state && !message_get_array(json_node_get_object(state), "vms")) {
        g_clear_pointer(&state, json_node_unref);
        g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                            "the daemon's answer is not a state");
    }
    return state;
}

/* Where nobody listens we look ourselves. */
static JsonNode *
ask_or_look(Host *host, GError **error)
{
    int fd;

    if (!ctl_connect(host, &fd, error))
        return NULL;
    return fd < 0 ? look_ourselves(host, error) : ask_state(fd, error);
}

JsonNode *
ctl_daemon_state(const Host *host)
{
    int fd;

    return ctl_connect(host, &fd, NULL) && fd >= 0 ? ask_state(fd, NULL) : NULL;
}

JsonNode *
ctl_state(const CtlOptions *options, GError **error)
{
    Host *host = host_new(options->roots, error);
    JsonNode *state = host ? ask_or_look(host, error) : NULL;

    host_free(host);
    return state;
}

static bool
is_called(JsonObject *vm, const char *word)
{
    const char *uuid = message_get_string(vm, "uuid");
    guint64 pid = 0;
    g_autofree char *pid_text = NULL;

    (void)message_get_u64(vm, "pid", &pid);
    pid_text = g_strdup_printf("%" G_GUINT64_FORMAT, pid);
    return g_strcmp0(message_get_string(vm, "name"), word) == 0 ||
           g_strcmp0(message_get_string(vm, "id"), word) == 0 ||
           (uuid && g_ascii_strcasecmp(uuid, word) == 0) || strcmp(pid_text, word) == 0;
}

JsonObject *
ctl_state_find_vm(JsonObject *state, const char *word, GError **error)
{
    g_autoptr(GPtrArray) vms = report_vms_sorted(state);
    g_autofree char *printable = units_printable(word, -1);
    JsonObject *found = NULL;

    for (guint i = 0; i < vms->len; i++) {
        if (!is_called(vms->pdata[i], word))
            continue;
        if (found) {
            g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_FAILED,
                        "more than one VM is called \"%s\"; use its process id (guardianctl list)",
                        printable);
            return NULL;
        }
        found = vms->pdata[i];
    }
    if (!found)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "no VM is called \"%s\"; see guardianctl list", printable);
    return found;
}
