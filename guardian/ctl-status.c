/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status, list, explain: three views of one state. */

#include "ctl-state.h"
#include "ctl.h"

#include "message.h"
#include "report-oom.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

/* Prints the text, frees it. */
static void
print_text(char *text)
{
    fputs(text, stdout);
    g_free(text);
}

int
ctl_status(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    JsonNode *state;
    int status;

    if (argc > 1)
        return ctl_fail_argument(argv);
    state = ctl_state(options, &error);
    if (!state)
        return ctl_fail("%s", error->message);
    status = report_exit_status(json_node_get_object(state));
    if (options->is_json) {
        ctl_print_json(state);
        return status;
    }
    print_text(report_status_text(json_node_get_object(state), options->is_coloured));
    json_node_unref(state);
    return status;
}

int
ctl_list(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    JsonNode *state;

    if (argc > 1)
        return ctl_fail_argument(argv);
    state = ctl_state(options, &error);
    if (!state)
        return ctl_fail("%s", error->message);
    if (options->is_json) {
        ctl_print_json(state);
        return 0;
    }
    print_text(report_list_text(json_node_get_object(state)));
    json_node_unref(state);
    return 0;
}

/* {"schema": 1, "vm": {...}, "oom": {...}}; NULL is null. */
static JsonNode *
wrap_vm(JsonObject *vm, JsonObject *kill)
{
    JsonNode *root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "schema", 1);
    if (vm)
        json_object_set_object_member(object, "vm", json_object_ref(vm));
    else
        json_object_set_null_member(object, "vm");
    if (kill)
        json_object_set_object_member(object, "oom", json_object_ref(kill));
    else
        json_object_set_null_member(object, "oom");
    json_node_take_object(root, object);
    return root;
}

static char *
explain_text(JsonObject *vm, JsonObject *kill, const CtlOptions *options)
{
    g_autofree char *known = vm ? report_explain_text(vm, options->is_coloured) : NULL;
    GString *text = g_string_new(known ? known : "This VM is not here any more.\n");

    report_append_oom(text, kill, false);
    return g_string_free(text, FALSE);
}

int
ctl_explain(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) state = NULL;
    JsonObject *vm, *kill;

    if (argc == 2 && *argv[1] == '-')
        return ctl_fail_argument(argv);
    if (argc != 2)
        return ctl_fail("explain takes one VM; see guardianctl list");
    state = ctl_state(options, &error);
    vm = state ? ctl_state_find_vm(json_node_get_object(state), argv[1], &error) : NULL;
    /* it may have died of it */
    kill = state && (vm || g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE))
               ? report_find_oom(json_node_get_object(state), argv[1])
               : NULL;
    if (!vm && !kill)
        return ctl_fail("%s", error->message);
    if (options->is_json)
        ctl_print_json(wrap_vm(vm, kill));
    else
        print_text(explain_text(vm, kill, options));
    return vm ? report_vm_exit_status(vm) : 1;
}
