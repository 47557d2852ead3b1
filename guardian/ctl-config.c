/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-daemon.h"
#include "ctl-state.h"
#include "ctl.h"

#include "config.h"
#include "message.h"
#include "report-build.h"
#include "report-owner.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

/* guardianctl config show [VM]    what is in force, for the host or one VM, and from where
 *             config check [DIR]  reads everything as the daemon does; needs no daemon, no root
 *             config sample       prints guardian.conf with every default
 *             config reload       the daemon reads its configuration anew, or keeps the old one
 *
 * Which VM a name stands for the daemon knows, with its source, its tags and its owner's words.
 * Without it, or of a VM that does not run, `show VM` takes the word for name, id and uuid alike;
 * a file that matches on anything else applies to nobody then. */

#define USAGE "usage: guardianctl config show [VM] | check [DIR] | sample | reload"

/* A configuration as one VM, or the host, sees it. */
typedef struct {
    const Config *config;
    const char *vm;    /* printable; NULL = the host */
    JsonObject *known; /* as the daemon sees it; NULL: it was not asked, or does not know it */
    const ConfigSubject *subject;
    Limits limits;
} View;

/* The words of a list one by one: the whole may be longer than one printable text. */
static char *
printable_words(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    for (guint i = 0; words[i] != NULL; i++) {
        char *word = units_printable(words[i], -1);

        g_free(words[i]);
        words[i] = word;
    }
    return g_strjoinv(" ", words);
}

/* Printable, a new string; NULL when unset. */
static char *
view_text(const View *view, const Setting *setting)
{
    g_autofree char *text = setting_format(setting, &view->limits);

    return text != NULL ? printable_words(text) : NULL;
}

/* The limits of a disk that are any, as fields in the order of throttle.h. */
static void
print_disks(const View *view)
{
    g_autoptr(GPtrArray) disks = config_disks(view->config, view->subject);

    for (guint i = 0; i < disks->len; i++) {
        const ConfigDisk *disk = disks->pdata[i];
        g_autofree char *name = units_printable(disk->name, -1);
        g_auto(GStrv) pairs = throttle_print(THROTTLE_POLICY, disk->limits, NULL);

        printf("[disk %s]  %s\n", name, disk->origin);
        for (guint j = 0; pairs[j] != NULL; j += 2) {
            g_autofree char *value = units_printable(pairs[j + 1], -1);

            printf("%-25s = %s\n", pairs[j], value);
        }
    }
}

/* What the VM's owner wants and does not get. */
static void
print_refused(const View *view)
{
    for (guint i = 0; view->known != NULL && i < view->subject->owner->len; i++) {
        const OwnerWord *word = view->subject->owner->pdata[i];
        g_autofree char *problem = config_owner_problem(view->config, word);

        if (problem != NULL)
            printf("# refused: %s = %s (%s): %s\n", word->name, word->value, word->origin, problem);
    }
}

static void
print_text(const View *view)
{
    g_auto(GStrv) files = config_matching_files(view->config, view->subject);

    if (view->vm != NULL)
        printf("# %s, %s; files in vm.d that match it: %u\n", view->vm,
               view->known != NULL ? report_text_of(view->known, "source", "?")
                                   : "taken as name, id or uuid",
               g_strv_length(files));
    for (guint i = 0; i < n_settings; i++) {
        g_autofree char *name = g_strdup_printf("%s.%s", settings[i].section, settings[i].key);
        g_autofree char *text = view_text(view, &settings[i]);
        g_autofree char *origin = config_origin(view->config, view->subject, &settings[i]);

        /* As wide as the longest name and the usual values: a long list shifts its line only. */
        printf("%-25s = %-8s  %s\n", name, text != NULL ? text : "(unset)", origin);
    }
    print_disks(view);
    print_refused(view);
}

static void
add_strings(JsonBuilder *builder, char **strings)
{
    json_builder_begin_array(builder);
    for (guint i = 0; strings[i] != NULL; i++)
        json_builder_add_string_value(builder, strings[i]);
    json_builder_end_array(builder);
}

static void
add_list(JsonBuilder *builder, const char *text)
{
    g_auto(GStrv) words = NULL;

    if (text == NULL) {
        json_builder_add_null_value(builder);
        return;
    }
    words = g_strsplit(text, " ", -1);
    add_strings(builder, words);
}

/* The value in the type that a program wants it in, after its text. */
static void
add_value(JsonBuilder *builder, const View *view, const Setting *setting)
{
    g_autofree char *text = view_text(view, setting);

    build_text(builder, "text", text);
    json_builder_set_member_name(builder, "value");
    switch (setting->type) {
    case SETTING_BOOL:
        json_builder_add_boolean_value(
            builder, G_STRUCT_MEMBER(gint64, &view->limits, setting->offset) != 0);
        return;
    case SETTING_DURATION:
    case SETTING_SIZE:
    case SETTING_INTEGER:
    case SETTING_RATIO:
        json_builder_add_int_value(builder,
                                   G_STRUCT_MEMBER(gint64, &view->limits, setting->offset));
        return;
    case SETTING_VERSION:
    case SETTING_SCORE:
    case SETTING_CHOICE:
        json_builder_add_string_value(builder, text);
        return;
    case SETTING_LIST:
        add_list(builder, text);
        return;
    case SETTING_PATH:
        if (text)
            json_builder_add_string_value(builder, text);
        else
            json_builder_add_null_value(builder);
        return;
    }
}

static void
add_setting(JsonBuilder *builder, const View *view, const Setting *setting)
{
    static const char *const units[] = {
        [SETTING_DURATION] = "us", [SETTING_SIZE] = "bytes", [SETTING_RATIO] = "thousandths",
        [SETTING_LIST] = NULL,     [SETTING_PATH] = NULL,
    };
    g_autofree char *origin = config_origin(view->config, view->subject, setting);

    json_builder_begin_object(builder);
    build_text(builder, "section", setting->section);
    build_text(builder, "key", setting->key);
    add_value(builder, view, setting);
    build_text(builder, "unit", units[setting->type]);
    build_text(builder, "origin", origin);
    json_builder_set_member_name(builder, "is_default");
    json_builder_add_boolean_value(builder, strcmp(origin, CONFIG_ORIGIN_DEFAULT) == 0);
    json_builder_end_object(builder);
}

static void
add_disks(JsonBuilder *builder, const View *view)
{
    g_autoptr(GPtrArray) disks = config_disks(view->config, view->subject);

    json_builder_set_member_name(builder, "disks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < disks->len; i++) {
        const ConfigDisk *disk = disks->pdata[i];
        g_autofree char *name = units_printable(disk->name, -1);
        g_auto(GStrv) pairs = throttle_print(THROTTLE_POLICY, disk->limits, NULL);

        json_builder_begin_object(builder);
        build_text(builder, "name", name);
        build_text(builder, "origin", disk->origin);
        json_builder_set_member_name(builder, "lines");
        json_builder_begin_object(builder);
        for (guint j = 0; pairs[j] != NULL; j += 2) {
            g_autofree char *value = units_printable(pairs[j + 1], -1);

            build_text(builder, pairs[j], value);
        }
        json_builder_end_object(builder);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void
add_refused(JsonBuilder *builder, const View *view, const OwnerWord *word)
{
    g_autofree char *problem = config_owner_problem(view->config, word);

    if (problem == NULL)
        return;
    json_builder_begin_object(builder);
    build_text(builder, "setting", word->name);
    build_text(builder, "value", word->value);
    build_text(builder, "origin", word->origin);
    build_text(builder, "problem", problem);
    json_builder_end_object(builder);
}

static void
print_json(const View *view)
{
    g_autoptr(JsonBuilder) builder = ctl_begin_json();
    g_auto(GStrv) files = config_matching_files(view->config, view->subject);

    build_text(builder, "vm", view->vm);
    json_builder_set_member_name(builder, "refused");
    json_builder_begin_array(builder);
    for (guint i = 0; view->known != NULL && i < view->subject->owner->len; i++)
        add_refused(builder, view, view->subject->owner->pdata[i]);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "vm_files");
    add_strings(builder, files);
    json_builder_set_member_name(builder, "settings");
    json_builder_begin_array(builder);
    for (guint i = 0; i < n_settings; i++)
        add_setting(builder, view, &settings[i]);
    json_builder_end_array(builder);
    add_disks(builder, view);
    ctl_end_json(builder);
}

/* The errors of a configuration are lines of their own, each with its file: editors jump there. */
static int
fail_to_load(const GError *error)
{
    if (!g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_CONFIG))
        return ctl_fail("%s", error->message);
    fprintf(stderr, "%s\n", error->message);
    return 2;
}

static Config *
load(const char *const roots[HOST_N_ROOTS], GError **error)
{
    g_autoptr(Host) host = host_new(roots, error);

    return host != NULL ? config_load(host, error) : NULL;
}

/* The daemon's state; NULL where none may be asked. */
static JsonNode *
ask_daemon(const CtlOptions *options)
{
    g_autoptr(Host) host = host_new(options->roots, NULL);
    JsonNode *state = NULL;
    int fd = -1;

    if (host != NULL && ctl_connect(host, &fd, NULL) && fd >= 0)
        state = ctl_ask(fd, "{\"execute\":\"status\"}", NULL);
    return state;
}

/* The texts are known's. */
static ConfigSubject
subject_of(JsonObject *known, const GPtrArray *owner)
{
    return (ConfigSubject){.name = report_text_of(known, "name", NULL),
                           .id = report_text_of(known, "id", NULL),
                           .uuid = report_text_of(known, "uuid", NULL),
                           .source = report_text_of(known, "source", NULL),
                           .space = report_text_of(known, "namespace", NULL),
                           .tags = report_text_of(known, "tags", NULL),
                           .owner = owner};
}

static int
config_show(const CtlOptions *options, const char *vm)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = load(options->roots, &error);
    g_autofree char *printable = vm != NULL ? units_printable(vm, -1) : NULL;
    g_autoptr(JsonNode) state = vm != NULL && config != NULL ? ask_daemon(options) : NULL;
    JsonObject *known =
        state != NULL ? ctl_state_find_vm(json_node_get_object(state), vm, NULL) : NULL;
    g_autoptr(GPtrArray) owner = report_owner_words(known);
    ConfigSubject subject = known != NULL ? subject_of(known, owner)
                                          : (ConfigSubject){.name = vm, .id = vm, .uuid = vm};
    View view = {
        .config = config, .vm = printable, .known = known, .subject = vm != NULL ? &subject : NULL};

    if (config == NULL)
        return fail_to_load(error);
    config_limits(config, view.subject, &view.limits);
    if (options->is_json)
        print_json(&view);
    else
        print_text(&view);
    limits_clear(&view.limits);
    return 0;
}

static void
print_check_json(const Config *config, const GError *error)
{
    g_autoptr(JsonBuilder) builder = ctl_begin_json();
    ConfigCount count = config != NULL ? config_count(config) : (ConfigCount){0};
    g_auto(GStrv) errors = g_strsplit(error != NULL ? error->message : "", "\n", -1);

    json_builder_set_member_name(builder, "is_good");
    json_builder_add_boolean_value(builder, config != NULL);
    if (config != NULL) {
        json_builder_set_member_name(builder, "files");
        json_builder_add_int_value(builder, count.files);
        json_builder_set_member_name(builder, "settings");
        json_builder_add_int_value(builder, count.settings);
        json_builder_set_member_name(builder, "overrides");
        json_builder_add_int_value(builder, count.overrides);
    }
    json_builder_set_member_name(builder, "errors");
    add_strings(builder, errors);
    ctl_end_json(builder);
}

static int
config_check(const CtlOptions *options, const char *directory)
{
    const char *roots[HOST_N_ROOTS];
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = NULL;
    ConfigCount count;

    memcpy(roots, options->roots, sizeof roots);
    if (directory != NULL)
        roots[HOST_CONFIG] = directory;
    config = load(roots, &error);
    if (options->is_json) {
        print_check_json(config, error);
        return config != NULL ? 0 : 2;
    }
    if (config == NULL)
        return fail_to_load(error);
    count = config_count(config);
    printf("configuration is good: %u files, %u settings, %u VM overrides\n", count.files,
           count.settings, count.overrides);
    return 0;
}

static int
config_sample(void)
{
    g_autofree char *sample = settings_print_sample();

    fputs(sample, stdout);
    return 0;
}

static int
config_reload(const CtlOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Host) host = host_new(options->roots, &error);
    g_autoptr(JsonNode) answer = NULL;
    int fd = -1;

    if (!host || !ctl_connect(host, &fd, &error))
        return ctl_fail("%s", error->message);
    if (fd < 0)
        return ctl_fail("no daemon is running; it reads its configuration when it starts");
    answer = ctl_ask(fd, "{\"execute\":\"reload\"}", &error);
    if (!answer)
        return ctl_fail("%s", error->message);
    return 0;
}

int
ctl_config(const CtlOptions *options, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    const char *argument = argc > 2 ? argv[2] : NULL;

    if (argc > 3 || (argument != NULL && *argument == '-'))
        return ctl_fail(USAGE);
    if (strcmp(verb, "show") == 0)
        return config_show(options, argument);
    if (strcmp(verb, "check") == 0)
        return config_check(options, argument);
    if (strcmp(verb, "sample") == 0 && argument == NULL)
        return config_sample();
    if (strcmp(verb, "reload") == 0 && argument == NULL)
        return config_reload(options);
    return ctl_fail(USAGE);
}
