/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-bundles.h"

#include "capture-child.h"
#include "capture-store.h"
#include "child.h"
#include "message.h"
#include "units.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A living disk answers in milliseconds. */
#define LOOK_DEADLINE_US (3 * G_USEC_PER_SEC)

/* Where bundles may be, in the order of looking: memory never hangs. */
static const HostRoot roots[] = {HOST_RUN, HOST_VAR};

typedef struct {
    int root_fd;
    const char *name; /* of the bundle whose manifest is wanted; NULL: all names */
    char *answer;     /* NULL: it hung */
    bool is_over;
} Look;

static void
name_tell(const char *name, gpointer data)
{
    CaptureOut *out = data;

    if (!capture_name_is_valid(name))
        return;
    out_text(out, name);
    out_text(out, "\n");
}

static void
look_run(int answer_fd, gconstpointer data)
{
    const Look *look = data;
    CaptureOut out = {.fd = answer_fd, .left = CHILD_ANSWER_MAX};
    int fd = host_open_beneath(look->root_fd, CAPTURE_DIRECTORY, O_RDONLY | O_DIRECTORY);
    char path[512], buffer[4096];
    ssize_t n = 1;

    if (fd >= 0 && !look->name)
        (void)each_entry(fd, G_MAXUINT, name_tell, &out);
    if (fd < 0 || !look->name)
        return;
    g_snprintf(path, sizeof path, "%s/" CAPTURE_MANIFEST, look->name);
    fd = host_open_beneath(fd, path, O_RDONLY | O_NONBLOCK);
    while (fd >= 0 && n > 0) {
        n = read(fd, buffer, sizeof buffer);
        out_bytes(&out, buffer, n > 0 ? (gsize)n : 0);
    }
}

static void
look_done(const char *answer, gsize length, gpointer data)
{
    Look *look = data;

    look->answer = answer ? g_strndup(answer, length) : NULL;
    look->is_over = true;
}

/* "" when nothing is there; NULL when it hung. */
static char *
look_at(const Host *host, HostRoot root, const char *name)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(Children) children = children_new(context);
    Look look = {.root_fd = host_root_fd(host, root), .name = name};
    const ChildCall call = {.run = look_run,
                            .done = look_done,
                            .data = &look,
                            .keep_fds = {look.root_fd},
                            .deadline_us = LOOK_DEADLINE_US};

    if (!children_run(children, &call))
        return NULL;
    while (!look.is_over)
        g_main_context_iteration(context, TRUE);
    return look.answer;
}

/* By their time, the newest first. */
static int
compare_names(gconstpointer a, gconstpointer b)
{
    const char *left = strrchr(*(const char *const *)a, '-');
    const char *right = strrchr(*(const char *const *)b, '-');

    return strcmp(right, left);
}

static void
add_bundles(JsonArray *list, const char *directory, const char *answer)
{
    g_auto(GStrv) names = g_strsplit(answer, "\n", -1);
    guint n = g_strv_length(names);

    n -= n > 0 && !*names[n - 1];
    qsort(names, n, sizeof *names, compare_names);
    for (guint i = 0; i < n; i++) {
        JsonObject *bundle = json_object_new();
        g_autofree char *path = g_build_filename(directory, CAPTURE_DIRECTORY, names[i], NULL);

        json_object_set_string_member(bundle, "name", names[i]);
        json_object_set_string_member(bundle, "directory", path);
        json_array_add_object_element(list, bundle);
    }
}

static JsonNode *
find_bundles(const Host *host)
{
    JsonObject *object = json_object_new();
    JsonArray *list = json_array_new();
    JsonNode *root = json_node_new(JSON_NODE_OBJECT);

    json_object_set_int_member(object, "schema", 1);
    json_object_set_array_member(object, "captures", list);
    json_object_set_null_member(object, "problem");
    for (guint i = 0; i < G_N_ELEMENTS(roots); i++) {
        const char *directory = host_root_path(host, roots[i]);
        g_autofree char *answer = look_at(host, roots[i], NULL);
        g_autofree char *problem = g_strdup_printf("%s does not answer", directory);

        if (answer)
            add_bundles(list, directory, answer);
        else
            json_object_set_string_member(object, "problem", problem);
    }
    json_node_take_object(root, object);
    return root;
}

static void
print_bundles(JsonObject *object)
{
    JsonArray *list = message_get_array(object, "captures");
    guint n = json_array_get_length(list);

    for (guint i = 0; i < n; i++)
        printf("%s\n", message_get_string(json_array_get_object_element(list, i), "directory"));
    if (n == 0)
        printf("No captures.\n");
}

int
ctl_bundles_list(const CtlOptions *options)
{
    g_autoptr(GError) error = NULL;
    Host *host = host_new(options->roots, &error);
    g_autoptr(JsonNode) found = NULL;
    const char *problem;

    if (!host)
        return ctl_fail("%s", error->message);
    found = find_bundles(host);
    host_free(host);
    problem = message_get_string(json_node_get_object(found), "problem");
    if (options->is_json)
        ctl_print_json(json_node_ref(found));
    else
        print_bundles(json_node_get_object(found));
    return problem ? ctl_fail("%s", problem) : 0;
}

/* "12 ms"; new string. */
static char *
format_took(JsonObject *step)
{
    guint64 us = 0;

    if (!message_get_u64(step, "duration_us", &us))
        return g_strdup("-");
    return g_strdup_printf("%" G_GUINT64_FORMAT " ms", us / 1000);
}

static void
print_step(JsonObject *step)
{
    guint64 bytes = 0;
    const char *name = message_get_string(step, "name");
    const char *error = message_get_string(step, "error");
    const char *end = message_get_string(step, "end");
    g_autofree char *took = format_took(step), *size = NULL;

    (void)message_get_u64(step, "bytes", &bytes);
    size = bytes > 0 ? units_format_size_short(bytes) : g_strdup("-");
    printf("  %-15s %8s %6s  %s\n", name ? name : "?", took, size, error ? error : end ? end : "?");
}

static void
print_manifest(JsonObject *manifest)
{
    static const char *const members[] = {"vm", "started_utc", "trigger", "directory", "problem"};
    JsonArray *steps = message_get_array(manifest, "steps");
    bool is_complete = false;

    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        const char *text = message_get_string(manifest, members[i]);

        if (text)
            printf("%-12s %s\n", members[i], text);
    }
    (void)message_get_bool(manifest, "complete", &is_complete);
    printf("%-12s %s\n", "complete", is_complete ? "yes" : "no, it was interrupted or still runs");
    for (guint i = 0; steps && i < json_array_get_length(steps); i++) {
        JsonNode *step = json_array_get_element(steps, i);

        if (JSON_NODE_HOLDS_OBJECT(step))
            print_step(json_node_get_object(step));
    }
}

/* NULL with error set. */
static JsonNode *
read_manifest(const Host *host, const char *name, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(roots); i++) {
        g_autofree char *text = look_at(host, roots[i], name);

        if (!text) {
            g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_FAILED, "%s does not answer",
                        host_root_path(host, roots[i]));
            return NULL;
        }
        if (*text)
            return json_from_string(text, error);
    }
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                "there is no capture \"%s\"; see guardianctl capture --list", name);
    return NULL;
}

int
ctl_bundles_show(const CtlOptions *options, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) manifest = NULL;
    Host *host;

    if (!capture_name_is_valid(name))
        return ctl_fail("that is no capture's name; see guardianctl capture --list");
    host = host_new(options->roots, &error);
    if (!host)
        return ctl_fail("%s", error->message);
    manifest = read_manifest(host, name, &error);
    host_free(host);
    if (!manifest)
        return ctl_fail("%s", error->message);
    if (!JSON_NODE_HOLDS_OBJECT(manifest))
        return ctl_fail("the manifest of %s is not readable", name);
    if (options->is_json)
        ctl_print_json(json_node_ref(manifest));
    else
        print_manifest(json_node_get_object(manifest));
    return 0;
}
