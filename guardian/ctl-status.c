/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* status, list, explain: three views of one state. */

#include "ctl-state.h"
#include "ctl.h"

#include "message.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static bool
wants_help(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

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

    if (wants_help(argc, argv)) {
        printf("Usage: guardianctl status [--json]\n"
               "Every VM on one line, the worst first. RESV is the memory the policy's model "
               "reserves\n"
               "beside the guest, HEAD what is left below the limit; OVERHEAD is measured.\n"
               "Exit status: 0 all well, 1 a VM is suspect or frozen, 2 could not look.\n");
        return 0;
    }
    if (argc > 1)
        return ctl_fail("status takes no argument; did you mean explain %s?", argv[1]);
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

    if (wants_help(argc, argv)) {
        printf(
            "Usage: guardianctl list [--json]\n"
            "What is watched: name, id, source, process, how its monitor is used, its cgroup.\n");
        return 0;
    }
    if (argc > 1)
        return ctl_fail("list takes no argument");
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

/* {"schema": 1, "vm": {...}} */
static JsonNode *
wrap_vm(JsonObject *vm)
{
    JsonNode *root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "schema", 1);
    json_object_set_object_member(object, "vm", json_object_ref(vm));
    json_node_take_object(root, object);
    return root;
}

int
ctl_explain(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) state = NULL;
    JsonObject *vm;

    if (wants_help(argc, argv)) {
        printf("Usage: guardianctl explain VM [--json]\n"
               "Why the VM's verdict is what it is, and what to do. VM is a name, id, uuid or "
               "process\n"
               "id. Exit status: 0 the VM is fine, 1 it is suspect or frozen, 2 could not look.\n");
        return 0;
    }
    if (argc != 2)
        return ctl_fail("explain takes one VM; see guardianctl list");
    state = ctl_state(options, &error);
    vm = state ? ctl_state_find_vm(json_node_get_object(state), argv[1], &error) : NULL;
    if (!vm)
        return ctl_fail("%s", error->message);
    if (options->is_json)
        ctl_print_json(wrap_vm(vm));
    else
        print_text(report_explain_text(vm, options->is_coloured));
    return report_vm_exit_status(vm);
}
