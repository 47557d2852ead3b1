/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#include "config.h"
#include "replay.h"
#include "units.h"

/* A day of a busy VM with eight disks, recorded every 2 s, is about 15 MiB. */
#define FILE_BYTES_MAX (16 * 1024 * 1024)

/* Reads at most FILE_BYTES_MAX, also of what has no size or no end. */
static char *
file_read(const char *path, gsize *ret_length, GError **error)
{
    g_autoptr(GFile) file = g_file_new_for_commandline_arg(path);
    g_autoptr(GFileInputStream) stream = g_file_read(file, NULL, error);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 buffer[65536];
    gssize n;

    if (!stream)
        return NULL;
    while ((n = g_input_stream_read(G_INPUT_STREAM(stream), buffer, sizeof buffer, NULL, error)) >
           0) {
        g_byte_array_append(bytes, buffer, (guint)n);
        if (bytes->len > FILE_BYTES_MAX) {
            g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED,
                                "larger than 16 MiB");
            return NULL;
        }
    }
    if (n < 0)
        return NULL;
    *ret_length = bytes->len;
    return (char *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
}

/* NULL and *ret_error when the file cannot be read, or not as a scenario. */
static Replay *
file_replay(const char *path, const Limits *limits, char **ret_error)
{
    g_autoptr(GError) error = NULL;
    gsize length;
    g_autofree char *text = file_read(path, &length, &error);

    if (text)
        return replay_text(text, length, limits, ret_error);
    *ret_error = error ? units_printable(error->message, -1) : g_strdup("is empty");
    return NULL;
}

static void
verdicts_print(const Replay *replay)
{
    for (guint i = 0; i < replay->verdicts->len; i++) {
        const ReplayVerdict *verdict = &g_array_index(replay->verdicts, ReplayVerdict, i);
        g_autofree char *at = replay_format_time(verdict->at_us);
        bool has_layer = verdict->layer != LAYER_NONE;

        printf("  %12s  %-12s  %s%s%s%s%s\n", at, verdict->disk ? verdict->disk : "vm",
               state_name(verdict->state), has_layer ? "  " : "",
               has_layer ? layer_name(verdict->layer) : "", *verdict->cause ? "  " : "",
               verdict->cause);
    }
}

static void
expectations_print(const Replay *replay)
{
    for (guint i = 0; i < replay->expectations->len; i++) {
        const ReplayExpectation *expectation =
            &g_array_index(replay->expectations, ReplayExpectation, i);

        printf("  %s line %u: %s%s%s\n", expectation->wrong ? "FAIL" : "PASS", expectation->line,
               expectation->text, expectation->wrong ? ": " : "",
               expectation->wrong ? expectation->wrong : "");
    }
}

static void
string_set(JsonObject *object, const char *name, const char *text)
{
    if (text)
        json_object_set_string_member(object, name, text);
    else
        json_object_set_null_member(object, name);
}

/* t_s is rounded down: numbers in JSON are integers. */
static JsonArray *
verdicts_to_json(const Replay *replay)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < replay->verdicts->len; i++) {
        const ReplayVerdict *verdict = &g_array_index(replay->verdicts, ReplayVerdict, i);
        JsonObject *object = json_object_new();

        json_object_set_int_member(object, "t_s", verdict->at_us / G_USEC_PER_SEC);
        string_set(object, "disk", verdict->disk);
        json_object_set_string_member(object, "state", state_name(verdict->state));
        json_object_set_string_member(object, "layer", layer_name(verdict->layer));
        string_set(object, "cause", *verdict->cause ? verdict->cause : NULL);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonArray *
expectations_to_json(const Replay *replay)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < replay->expectations->len; i++) {
        const ReplayExpectation *expectation =
            &g_array_index(replay->expectations, ReplayExpectation, i);
        JsonObject *object = json_object_new();

        json_object_set_int_member(object, "line", expectation->line);
        json_object_set_boolean_member(object, "passed", expectation->wrong == NULL);
        json_object_set_string_member(object, "text", expectation->text);
        string_set(object, "wrong", expectation->wrong);
        json_array_add_object_element(array, object);
    }
    return array;
}

/* One element of "files"; a file that cannot be read has "error" in place of the rest. */
static JsonObject *
file_to_json(const char *name, const Replay *replay, const char *error)
{
    JsonObject *object = json_object_new();
    JsonObject *final;

    json_object_set_string_member(object, "file", name);
    if (!replay) {
        json_object_set_string_member(object, "error", error);
        return object;
    }
    final = json_object_new();
    json_object_set_string_member(final, "state", state_name(replay->final_state));
    json_object_set_string_member(final, "layer", layer_name(replay->final_layer));
    json_object_set_array_member(object, "verdicts", verdicts_to_json(replay));
    json_object_set_object_member(object, "final", final);
    json_object_set_array_member(object, "expectations", expectations_to_json(replay));
    return object;
}

/* Replays one file and shows it: in `files` when that is not NULL, else as text. */
static int
file_show(const char *path, const Limits *limits, JsonArray *files)
{
    g_autofree char *error = NULL;
    g_autofree char *name = units_printable(path, -1);
    g_autoptr(Replay) replay = file_replay(path, limits, &error);

    if (files) {
        json_array_add_object_element(files, file_to_json(name, replay, error));
    } else if (replay) {
        printf("%s\n", name);
        verdicts_print(replay);
        expectations_print(replay);
    }
    if (!replay)
        return ctl_fail("%s: %s", name, error);
    return replay->is_passed ? 0 : 1;
}

/* The policy of a file in the place of the built-in one; unreadable or wrong: says so, false. */
static bool
limits_read(const char *path, Limits *ret_limits)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = units_printable(path, -1);
    gsize length = 0;
    g_autofree char *text = file_read(path, &length, &error);
    g_autoptr(Config) config = text ? config_from_text(name, text, length, &error) : NULL;
    g_auto(GStrv) lines = NULL;

    if (config) {
        config_limits(config, NULL, ret_limits);
        return true;
    }
    if (!text && error) { /* the reader of files does not name them */
        g_autofree char *reason = units_printable(error->message, -1);

        ctl_fail("%s: %s", name, reason);
        return false;
    }
    lines = g_strsplit(error ? error->message : "", "\n", -1);
    for (guint i = 0; lines[i]; i++)
        ctl_fail("%s", lines[i]);
    return false;
}

/* What is asked: scenario files, and the file with the policy. */
typedef struct {
    GPtrArray *files; /* borrowed names */
    const char *config;
} Request;

/* 0, or the exit status of a complaint. */
static int
request_parse(int argc, char **argv, Request *request)
{
    for (int i = 1; i < argc; i++) {
        bool is_config = strcmp(argv[i], "--config") == 0;

        if (is_config && i + 1 == argc)
            return ctl_fail("replay: --config needs a FILE");
        if (is_config)
            request->config = argv[++i];
        else if (g_str_has_prefix(argv[i], "--config="))
            request->config = argv[i] + strlen("--config=");
        else if (argv[i][0] == '-')
            return ctl_fail("replay: unknown option %s; a FILE that begins with - is ./-", argv[i]);
        else
            g_ptr_array_add(request->files, argv[i]);
    }
    return request->files->len > 0 ? 0 : ctl_fail("replay: no FILE given");
}

static int
files_show(const CtlOptions *options, const GPtrArray *names, const Limits *limits)
{
    JsonArray *files = options->is_json ? json_array_new() : NULL;
    int worst = 0;

    for (guint i = 0; i < names->len; i++) {
        int status = file_show(names->pdata[i], limits, files);

        worst = MAX(worst, status);
    }
    if (files) {
        JsonNode *root = json_node_new(JSON_NODE_OBJECT);
        JsonObject *object = json_object_new();

        json_object_set_int_member(object, "schema", 1);
        json_object_set_array_member(object, "files", files);
        json_node_take_object(root, object);
        ctl_print_json(root);
    }
    return worst;
}

int
ctl_replay(const CtlOptions *options, int argc, char **argv)
{
    g_auto(Limits) limits = {0};
    g_autoptr(GPtrArray) files = g_ptr_array_new();
    Request request = {.files = files};
    int status = request_parse(argc, argv, &request);

    if (status != 0)
        return status;
    if (!request.config)
        limits_init_defaults(&limits);
    else if (!limits_read(request.config, &limits))
        return 2;
    return files_show(options, files, &limits);
}
