/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* check: installed in the middle of an incident. Watches one VM from now, looking into every queue
 * at every sample, tells what changes, and judges at the end. It needs no daemon and does not ask
 * one. */

#include "ctl-state.h"
#include "ctl.h"

#include "message.h"
#include "report.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

#define CHECK_FOR_DEFAULT "60s"
/* The patience alone is 20 s; an hour is no check any more, but a daemon. */
#define CHECK_FOR_MIN_US (2 * G_USEC_PER_SEC)
#define CHECK_FOR_MAX_US (3600 * (gint64)G_USEC_PER_SEC)

typedef struct {
    const CtlOptions *options;
    const char *word;
    const Host *host;
    GMainLoop *loop;
    bool has_ended; /* the VM */
} Check;

static void
check_changed(const GuardianChange *change, gpointer data)
{
    Check *check = data;
    const char *step;
    gint64 now = host_realtime_us(check->host);
    g_autofree char *line = NULL, *time = NULL;

    if (!change->disk && change->after.layer == LAYER_PROCESS_GONE) {
        check->has_ended = true;
        g_main_loop_quit(check->loop);
    }
    line = report_change_line(change, now, &step);
    if (!line)
        return;
    time = report_utc(now);
    fprintf(check->options->is_json ? stderr : stdout, "%s  %s\n", time, line);
    fflush(stdout);
}

static gboolean
end_loop(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_REMOVE;
}

static void
run_for(Check *check, GMainContext *context, gint64 for_us)
{
    GSource *timer = g_timeout_source_new((guint)(for_us / 1000));

    g_source_set_callback(timer, end_loop, check->loop, NULL);
    g_source_attach(timer, context);
    g_main_loop_run(check->loop);
    g_source_destroy(timer);
    g_source_unref(timer);
}

/* Watches and returns the state at the end; NULL with error set when there is nothing to watch. */
static JsonNode *
check_watch(Check *check, Config *config, gint64 for_us, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    g_autoptr(Guardian) guardian = guardian_new(check->host, context, config);
    g_autofree char *word = units_printable(check->word, -1);
    guint n;

    check->loop = loop;
    guardian_set_only(guardian, check->word);
    n = guardian_look_for_vms(guardian);
    if (n != 1) {
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    n == 0 ? "no VM is called \"%s\"; see guardianctl list"
                           : "more than one VM is called \"%s\"; use its process id "
                             "(guardianctl list)",
                    word);
        return NULL;
    }
    guardian_set_change_func(guardian, check_changed, check);
    guardian_want_all_evidence(guardian);
    guardian_start(guardian);
    run_for(check, context, for_us);
    guardian_set_change_func(guardian, NULL, NULL);
    if (!check->has_ended)
        return report_state(guardian, false);
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE, "%s has ended while it was watched",
                word);
    return NULL;
}

static int
check_report(const CtlOptions *options, JsonNode *state, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    JsonObject *vm = ctl_state_find_vm(json_node_get_object(state), word, &error);
    int status;

    if (!vm)
        return ctl_fail("%s", error->message);
    status = report_vm_exit_status(vm);
    if (options->is_json) {
        ctl_print_json(json_node_ref(state));
        return status;
    }
    text = report_explain_text(vm, options->is_coloured);
    printf("\n%s", text);
    return status;
}

/* argv after the verb: one VM and --for, in any order. NULL, or what is wrong (new string). */
static char *
parse_arguments(int argc, char **argv, const char **ret_word, gint64 *ret_for_us)
{
    const char *word = NULL, *length = CHECK_FOR_DEFAULT, *problem;
    gint64 for_us;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--for") == 0 && i + 1 == argc)
            return g_strdup("--for needs a time, such as 60s");
        if (strcmp(argv[i], "--for") == 0)
            length = argv[++i];
        else if (g_str_has_prefix(argv[i], "--for="))
            length = argv[i] + strlen("--for=");
        else if (*argv[i] == '-')
            return g_strdup_printf("check does not know the option %s", argv[i]);
        else if (word)
            return g_strdup("check takes one VM");
        else
            word = argv[i];
    }
    if (!word)
        return g_strdup("check takes one VM; see guardianctl list");
    problem = units_parse_duration(length, &for_us);
    if (problem)
        return g_strdup_printf("--for \"%s\" %s", length, problem);
    if (for_us < CHECK_FOR_MIN_US || for_us > CHECK_FOR_MAX_US)
        return g_strdup_printf("--for \"%s\" is not between 2s and 1h", length);
    *ret_word = word;
    *ret_for_us = for_us;
    return NULL;
}

int
ctl_check(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) state = NULL;
    g_autofree char *problem = NULL;
    Check check = {.options = options};
    gint64 for_us = 0;
    Config *config;
    Host *host;
    int status;

    problem = parse_arguments(argc, argv, &check.word, &for_us);
    if (problem)
        return ctl_fail("%s", problem);
    host = host_new(options->roots, &error);
    if (!host)
        return ctl_fail("%s", error->message);
    check.host = host;
    config = config_load(host, &error);
    if (config)
        state = check_watch(&check, config, for_us, &error);
    status = state ? check_report(options, state, check.word) : ctl_fail("%s", error->message);
    host_free(host);
    return status;
}
