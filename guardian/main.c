/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-guardiand: options, one look or the daemon; no logic. */

#include "daemon.h"
#include "report.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

/* About 15 descriptors a VM: its /proc files, cgroup chain, monitor. The default 1024 ends at 60
 * VMs. */
#define DESCRIPTORS_WANTED 65536

typedef struct {
    char *roots[HOST_N_ROOTS];
    gboolean is_once, is_json, is_version;
} Options;

static void
prepare_process(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = MAX(limit.rlim_cur, MIN(limit.rlim_max, DESCRIPTORS_WANTED));
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    /* one arena: a worker's thread must not cost a heap of its own */
    mallopt(M_ARENA_MAX, 1);
}

static int
run_once(Guardian *guardian, const Options *options)
{
    g_autoptr(JsonNode) state = NULL;
    g_autofree char *text = NULL;
    JsonObject *object;

    guardian_look_twice(guardian, GUARDIAN_LOOK_APART_US);
    state = report_state(guardian, false);
    object = json_node_get_object(state);
    text = options->is_json ? json_to_string(state, TRUE) : report_status_text(object, false);
    printf("%s%s", text, options->is_json ? "\n" : "");
    return report_exit_status(object);
}

static bool
parse_options(int argc, char **argv, Options *options, GError **error)
{
    const GOptionEntry entries[] = {
        {"once", 0, 0, G_OPTION_ARG_NONE, &options->is_once, "Print one tick and exit", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options->is_json, "With --once: as JSON", NULL},
        {"config-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_CONFIG],
         "Read guardian.conf there (default /etc/vm-guardian)", "DIR"},
        {"proc-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_PROC], "Instead of /proc",
         "DIR"},
        {"sys-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_SYS], "Instead of /sys",
         "DIR"},
        {"run-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_RUN], "Instead of /run",
         "DIR"},
        {"etc-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_ETC], "Instead of /etc",
         "DIR"},
        {"var-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_VAR], "Instead of /var/lib",
         "DIR"},
        {"dev-root", 0, 0, G_OPTION_ARG_FILENAME, &options->roots[HOST_DEV], "Instead of /dev",
         "DIR"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->is_version, "Print the version and exit",
         NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- watch the VMs of this host");

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_summary(
        context, "Detects frozen disk paths and memory trouble of QEMU/KVM VMs from outside.\n"
                 "By default it observes: nothing is written to a VM.");
    g_option_context_set_description(
        context, "Exit status of --once: 0 all well, 1 something is open, 2 could not look.\n"
                 "Without --once it runs until SIGTERM; SIGHUP reloads the configuration.");
    if (!g_option_context_parse(context, &argc, &argv, error))
        return false;
    if (argc > 1) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unexpected argument \"%s\"",
                    argv[1]);
        return false;
    }
    if (options->is_json && !options->is_once) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "--json goes with --once");
        return false;
    }
    return true;
}

static int
fail(const GError *error)
{
    fprintf(stderr, "vm-guardiand: %s\n", error->message);
    return 2;
}

int
main(int argc, char **argv)
{
    Options options = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = NULL;
    Config *config;
    Host *host;
    int status = 0;

    if (!parse_options(argc, argv, &options, &error))
        return fail(error);
    if (options.is_version) {
        printf("vm-guardiand %s\n", VERSION);
        return 0;
    }
    prepare_process();
    host = host_new((const char *const *)options.roots, &error);
    config = host ? config_load(host, &error) : NULL;
    if (config) {
        guardian = guardian_new(host, context, config);
        if (options.is_once)
            status = run_once(guardian, &options);
        else if (!daemon_run(host, context, guardian, &error))
            status = fail(error);
    } else {
        status = fail(error);
    }
    g_clear_pointer(&guardian, guardian_free);
    host_free(host);
    for (guint i = 0; i < HOST_N_ROOTS; i++)
        g_free(options.roots[i]);
    return status;
}
