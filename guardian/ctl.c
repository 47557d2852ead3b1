/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"

#include "ctl-help.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name;
    CtlVerbFunc run;
    const char *arguments, *summary;
} Verb;

static const Verb verbs[] = {
    {"status", ctl_status, "", "every VM on one line, the worst first (the default)"},
    {"explain", ctl_explain, "VM", "facts, rule, since when, what to do"},
    {"list", ctl_list, "", "what is watched, and how it is asked"},
    {"check", ctl_check, "VM [--for 60s]", "watch one VM now, without the daemon, and judge"},
    {"capture", ctl_capture, "VM [--stacks]", "save the evidence of one VM; also --list, --show"},
    {"audit", ctl_audit, "[VM]", "risks of what runs and of what is configured"},
    {"drift", ctl_drift, "[VM]", "disk limits: policy, configuration, live"},
    {"alerts", ctl_alerts, "", "what was told; also: silence, ack, alert test"},
    {"overhead", ctl_overhead, "...", "memory a VM needs beside its guest's RAM (offline)"},
    {"limits", ctl_limits, "plan|apply|undo VM", "raise its memory limits to what suffices"},
    {"throttle", ctl_throttle, "normalize|diff", "disk limits in their four forms (offline)"},
    {"oom", ctl_oom, "[FILE|-]", "explain the OOM kills seen, or those in a log"},
    {"replay", ctl_replay, "FILE...", "what the judge says of recorded samples (offline)"},
    {"config", ctl_config, "...", "settings, their origin, their errors; reload"},
    /* without a summary, after all that have one: told of elsewhere */
    {"version", ctl_version, NULL, NULL},
    {"hook", NULL, NULL, NULL},
    {"alert", ctl_alert, NULL, NULL},
    {"silence", ctl_silence, NULL, NULL},
    {"ack", ctl_ack, NULL, NULL},
};

static void
print_help(void)
{
    printf("Usage: guardianctl [OPTION...] [COMMAND] [ARGUMENT...]\n"
           "Ask the watcher of this host's VMs; without a daemon it looks itself.\n\n");
    for (guint i = 0; i < G_N_ELEMENTS(verbs) && verbs[i].summary; i++) {
        g_autofree char *call = g_strdup_printf("%s %s", verbs[i].name, verbs[i].arguments);

        printf("  %-26s %s\n", call, verbs[i].summary);
    }
    printf("\n"
           "  --json                     machine-readable: {\"schema\": 1, ...}\n"
           "  --config-root DIR          read guardian.conf there, not in /etc/vm-guardian\n"
           "  --proc-root, --sys-root, --run-root, --etc-root, --var-root DIR  not /proc ...\n"
           "  COMMAND --help             more about one command\n\n"
           "VM: name, id, uuid or pid. Exit: 0 all well, 1 open or differs, 2 cannot look.\n");
}

/* "--json" and the roots may stand anywhere. Returns how many arguments were used, 0: not one of
 * ours, -1: its value is missing. */
static int
take_option(CtlOptions *options, const char *word, const char *next)
{
    static const struct {
        const char *name;
        HostRoot root;
    } roots[] = {{"--config-root", HOST_CONFIG}, {"--proc-root", HOST_PROC},
                 {"--sys-root", HOST_SYS},       {"--run-root", HOST_RUN},
                 {"--etc-root", HOST_ETC},       {"--var-root", HOST_VAR}};

    if (strcmp(word, "--json") == 0) {
        options->is_json = true;
        return 1;
    }
    for (guint i = 0; i < G_N_ELEMENTS(roots); i++) {
        gsize length = strlen(roots[i].name);

        if (strncmp(word, roots[i].name, length) != 0)
            continue;
        if (word[length] == '=') {
            options->roots[roots[i].root] = word + length + 1;
            return 1;
        }
        if (word[length] == '\0') {
            options->roots[roots[i].root] = next;
            return next ? 2 : -1;
        }
    }
    return 0;
}

static bool
is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int
run_verb(const Verb *verb, const CtlOptions *options, int argc, char **argv)
{
    const char *help = ctl_help_of(verb->name);
    char *ask[] = {argv[0], (char *)"--help", NULL};
    bool wants_help = false;

    for (int i = 1; i < argc; i++)
        wants_help = wants_help || is_help(argv[i]);
    if (!wants_help && verb->run)
        return verb->run(options, argc, argv);
    if (!help && verb->run)
        return verb->run(options, 2, ask);
    fputs(help, stdout);
    return 0;
}

static const Verb *
find_verb(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

int
ctl_main(int argc, char **argv)
{
    CtlOptions options = {.is_coloured = isatty(STDOUT_FILENO) && !g_getenv("NO_COLOR")};
    g_autofree char **rest = g_new0(char *, (gsize)argc + 2);
    const Verb *verb;
    int n = 0;

    /* its words are not ours to read: a VM may be called --json */
    if (argc > 1 && strcmp(argv[1], "hook") == 0 && !(argc > 2 && is_help(argv[2])))
        return ctl_hook(argc - 1, argv + 1);
    for (int i = 1; i < argc;) {
        int used = take_option(&options, argv[i], argv[i + 1]);

        if (used < 0)
            return ctl_fail("%s needs a directory", argv[i]);
        if (used == 0)
            rest[n++] = argv[i++];
        i += used;
    }
    if (n == 0)
        rest[n++] = (char *)"status";
    if (is_help(rest[0]) || strcmp(rest[0], "help") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(rest[0], "--version") == 0)
        rest[0] = (char *)"version";
    verb = find_verb(rest[0]);
    if (!verb && *rest[0] == '-')
        return ctl_fail("there is no option %s; see guardianctl --help", rest[0]);
    if (!verb)
        return ctl_fail("there is no command \"%s\"; see guardianctl --help", rest[0]);
    return run_verb(verb, &options, n, rest);
}

int
ctl_version(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(JsonBuilder) builder = NULL;

    if (argc > 1)
        return ctl_fail_argument(argv);
    if (!options->is_json) {
        printf("guardianctl %s\n", VERSION);
        return 0;
    }
    builder = ctl_begin_json();
    json_builder_set_member_name(builder, "version");
    json_builder_add_string_value(builder, VERSION);
    ctl_end_json(builder);
    return 0;
}
