/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* guardianctl drift        what is known of every VM; asks QEMU nothing that could hang it
 *             drift VM     looks at one VM again, and asks QEMU all that nothing speaks against */

#include "ctl-daemon.h"
#include "ctl.h"

#include "drift-report.h"
#include "message.h"
#include "report-read.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A look is over within a sample or two. */
#define POLL_US (100 * G_GINT64_CONSTANT(1000))
#define POLLS_MAX 200
/* The child that looks at the media ends within this, and the next sample asks. */
#define ASK_APART_US (500 * G_GINT64_CONSTANT(1000))

static char *
command_text(const char *vm, bool is_wanted)
{
    JsonBuilder *command = ctl_command_begin(is_wanted ? "drift-ask" : "drift");

    if (vm)
        ctl_command_text(command, "vm", vm);
    return ctl_command_end(command);
}

static bool
is_asking(JsonNode *answer)
{
    g_autoptr(GPtrArray) vms = report_objects_of(json_node_get_object(answer), "vms");
    bool any = false, one = false;

    for (guint i = 0; i < vms->len; i++)
        any = any || (message_get_bool(vms->pdata[i], "is_asking", &one) && one);
    return any;
}

/* Takes fd; only root may make the daemon ask: others see what it knows. */
static JsonNode *
ask_daemon(const Host *host, int fd, const char *vm, GError **error)
{
    bool may_ask = vm && geteuid() == 0;
    g_autofree char *begin = command_text(vm, may_ask);
    g_autofree char *again = command_text(vm, false);
    JsonNode *answer = ctl_ask(fd, begin, error);

    for (guint i = 0; may_ask && answer && is_asking(answer) && i < POLLS_MAX; i++) {
        g_usleep(POLL_US);
        json_node_unref(answer);
        answer = ctl_ask_again(host, again, error);
    }
    return answer;
}

static JsonNode *
look_ourselves(const Host *host, const char *vm, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Guardian) guardian = NULL;
    Config *config = config_load(host, error);

    if (!config)
        return NULL;
    guardian = guardian_new(host, context, config);
    if (vm)
        guardian_set_only(guardian, vm);
    guardian_look_twice(guardian, GUARDIAN_LOOK_APART_US);
    if (vm) {
        if (!drift_want(guardian, vm, error))
            return NULL;
        guardian_look_twice(guardian, ASK_APART_US);
    }
    return drift_report(guardian, vm, error);
}

static JsonNode *
drift_find(const CtlOptions *options, const char *vm, GError **error)
{
    Host *host = host_new(options->roots, error);
    JsonNode *answer = NULL;
    int fd;

    if (host && ctl_connect(host, &fd, error))
        answer = fd >= 0 ? ask_daemon(host, fd, vm, error) : look_ourselves(host, vm, error);
    host_free(host);
    return answer;
}

/* "-" where that side says nothing or is not known; a new string. */
static char *
value_of(JsonObject *difference, const char *side)
{
    const char *text = message_get_string(difference, side);
    gint64 number;

    if (text)
        return g_strdup(text);
    return report_number_of(difference, side, &number)
               ? g_strdup_printf("%" G_GINT64_FORMAT, number)
               : g_strdup("-");
}

static void
print_strings(JsonObject *object, const char *member, const char *before)
{
    JsonArray *texts = message_get_array(object, member);

    for (guint i = 0; texts && i < json_array_get_length(texts); i++) {
        JsonNode *node = json_array_get_element(texts, i);

        if (json_node_get_value_type(node) == G_TYPE_STRING)
            printf("%s%s\n", before, json_node_get_string(node));
    }
}

static void
print_disk(JsonObject *disk)
{
    g_autoptr(GPtrArray) differences = report_objects_of(disk, "differences");
    const char *name = report_text_of(disk, "name", "?");
    const char *source = report_text_of(disk, "live_source", "not known");

    if (differences->len == 0)
        printf("  %s: nothing differs (live: %s)\n", name, source);
    else
        printf("  %-22s %16s %16s %16s\n", name, "policy", "configuration", "live");
    for (guint i = 0; i < differences->len; i++) {
        JsonObject *difference = differences->pdata[i];
        g_autofree char *policy = value_of(difference, "policy");
        g_autofree char *configuration = value_of(difference, "configuration");
        g_autofree char *live = value_of(difference, "live");

        printf("    %-20s %16s %16s %16s\n", report_text_of(difference, "field", "?"), policy,
               configuration, live);
        print_strings(difference, "why", "      ");
    }
    if (differences->len > 0)
        printf("    live: %s%s%s\n", source, message_get_string(disk, "live_utc") ? ", " : "",
               report_text_of(disk, "live_utc", ""));
    print_strings(disk, "notes", "    ");
    if (message_get_string(disk, "outcome"))
        printf("    %s\n", message_get_string(disk, "outcome"));
}

/* "-": not known; a new string. */
static char *
limit_of(JsonObject *memory, const char *side)
{
    JsonObject *limit = message_get_object(memory, side);
    gint64 bytes;

    if (!limit)
        return g_strdup("-");
    return report_number_of(limit, "memory_bytes", &bytes)
               ? g_strdup_printf("%" G_GINT64_FORMAT, bytes)
               : g_strdup("unlimited");
}

/* Without a word where nothing differs: a VM has several groups. */
static void
print_memory(JsonObject *memory)
{
    g_autofree char *configuration = limit_of(memory, "configuration");
    g_autofree char *told = limit_of(memory, "told");
    g_autofree char *live = limit_of(memory, "live");
    const char *name = report_text_of(memory, "owner", "?");

    if (message_get_string(memory, "problem"))
        printf("  memory of %s: %s\n", report_text_of(memory, "group", "?"),
               report_text_of(memory, "problem", "?"));
    if (!message_get_string(memory, "why"))
        return;
    printf("  %-22s %16s %16s %16s\n", "memory", "configuration", name, "live");
    printf("    %-20s %16s %16s %16s\n", "memory_bytes", configuration, told, live);
    printf("      %s\n      %s\n", report_text_of(memory, "why", "?"),
           report_text_of(memory, "group", "?"));
}

static void
print_vm(JsonObject *vm)
{
    g_autoptr(GPtrArray) disks = report_objects_of(vm, "disks");
    g_autoptr(GPtrArray) memories = report_objects_of(vm, "memory");
    JsonObject *configuration = message_get_object(vm, "configuration");
    const char *why_not = message_get_string(vm, "why_not_asked");

    printf("%s\n", report_text_of(vm, "name", "?"));
    if (configuration) {
        const char *problem = message_get_string(configuration, "problem");
        const char *lock = message_get_string(configuration, "lock");

        printf("  %s, written %s\n", report_text_of(configuration, "path", "?"),
               report_text_of(configuration, "written_utc", "-"));
        if (problem)
            printf("  cannot be read: %s\n", problem);
        if (lock)
            printf("  locked: %s is in progress\n", lock);
        print_strings(configuration, "problems", "  ");
    }
    for (guint i = 0; i < disks->len; i++)
        print_disk(disks->pdata[i]);
    for (guint i = 0; i < memories->len; i++)
        print_memory(memories->pdata[i]);
    if (why_not)
        printf("  not asked: %s\n", why_not);
}

static bool
any_differs(JsonObject *vm, const char *member)
{
    g_autoptr(GPtrArray) objects = report_objects_of(vm, member);
    bool is_equal = true;

    for (guint i = 0; i < objects->len; i++)
        if (message_get_bool(objects->pdata[i], "is_equal", &is_equal) && !is_equal)
            return true;
    return false;
}

int
ctl_drift(const CtlOptions *options, int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) vms = NULL;
    JsonNode *answer;
    int status = 0;

    if (argc > 1 && *argv[1] == '-')
        return ctl_fail_argument(argv);
    if (argc > 2)
        return ctl_fail("drift takes at most one VM; see guardianctl list");
    answer = drift_find(options, argc > 1 ? argv[1] : NULL, &error);
    if (!answer)
        return ctl_fail("%s", error->message);
    vms = report_objects_of(json_node_get_object(answer), "vms");
    for (guint i = 0; i < vms->len; i++) {
        if (any_differs(vms->pdata[i], "disks") || any_differs(vms->pdata[i], "memory"))
            status = 1;
        if (!options->is_json)
            print_vm(vms->pdata[i]);
    }
    if (options->is_json)
        ctl_print_json(answer);
    else
        json_node_unref(answer);
    return status;
}
