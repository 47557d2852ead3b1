/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-store.h"

#include "message.h"
#include "report.h"
#include "run-file.h"

#include <string.h>

#define STORE_NAME "oom.json"
/* 64 tasks of 200 bytes, twice in words, in each. */
#define STORE_BYTES_MAX (4 * 1024 * 1024)

OomStory *
oom_story_new(void)
{
    return g_new0(OomStory, 1);
}

void
oom_story_free(gpointer data)
{
    OomStory *story = data;

    g_free(story->vm);
    g_free(story->uuid);
    g_free(story->id);
    g_free(story->line);
    g_free(story->forecast);
    g_free(story->text);
    g_clear_pointer(&story->report, json_object_unref);
    g_free(story);
}

static void
set_text(JsonObject *object, const char *name, const char *text)
{
    if (text)
        json_object_set_string_member(object, name, text);
    else
        json_object_set_null_member(object, name);
}

/* One string a line: a newline is none that may stand in a text of the control socket. */
static JsonArray *
lines_of(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    JsonArray *array = json_array_new();

    for (guint i = 0; lines[i]; i++)
        if (*lines[i])
            json_array_add_string_element(array, lines[i]);
    return array;
}

static char *
text_of(JsonArray *lines)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(lines); i++) {
        JsonNode *node = json_array_get_element(lines, i);

        if (json_node_get_value_type(node) == G_TYPE_STRING)
            g_string_append_printf(text, "%s\n", json_node_get_string(node));
    }
    return g_string_free(text, FALSE);
}

JsonObject *
oom_story_json(const OomStory *story)
{
    JsonObject *object = json_object_new();
    g_autofree char *seen = report_utc(story->seen_realtime_us);

    set_text(object, "vm", story->vm);
    set_text(object, "uuid", story->uuid);
    set_text(object, "id", story->id);
    json_object_set_int_member(object, "pid", story->pid);
    set_text(object, "seen_utc", seen);
    json_object_set_int_member(object, "seen_us", story->seen_us);
    json_object_set_int_member(object, "seen_realtime_us", story->seen_realtime_us);
    json_object_set_int_member(object, "log_us", story->log_us);
    json_object_set_boolean_member(object, "death", story->is_death);
    json_object_set_boolean_member(object, "open", story->is_open);
    json_object_set_int_member(object, "kills", story->n_kills);
    set_text(object, "line", story->line);
    set_text(object, "forecast", story->forecast);
    json_object_set_array_member(object, "text", lines_of(story->text));
    json_object_set_object_member(object, "report", json_object_ref(story->report));
    return object;
}

void
oom_store_save(const Host *host, const GPtrArray *stories)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    JsonArray *array = json_array_new();
    g_autofree char *boot = run_file_boot_id(host);
    g_autofree char *text = NULL;

    for (guint i = 0; i < stories->len; i++)
        json_array_add_object_element(array, oom_story_json(stories->pdata[i]));
    json_object_set_int_member(object, "schema", 1);
    json_object_set_string_member(object, "boot_id", boot);
    json_object_set_array_member(object, "stories", array);
    json_node_take_object(root, object);
    text = json_to_string(root, FALSE);
    if (strlen(text) < STORE_BYTES_MAX)
        run_file_save(host, STORE_NAME, text);
}

static void
load_one(JsonObject *object, gpointer data)
{
    GPtrArray *stories = data;
    JsonObject *report = message_get_object(object, "report");
    const char *line = message_get_string(object, "line");
    JsonArray *text = message_get_array(object, "text");
    guint64 seen_us, seen_realtime_us, log_us, pid = 0, n_kills = 0;
    OomStory *story;

    if (!report || !line || !text || !message_get_u64(object, "seen_us", &seen_us) ||
        !message_get_u64(object, "seen_realtime_us", &seen_realtime_us))
        return;
    (void)message_get_u64(object, "pid", &pid);
    (void)message_get_u64(object, "kills", &n_kills);
    log_us = seen_us;
    (void)message_get_u64(object, "log_us", &log_us);
    story = oom_story_new();
    story->vm = g_strdup(message_get_string(object, "vm"));
    story->uuid = g_strdup(message_get_string(object, "uuid"));
    story->id = g_strdup(message_get_string(object, "id"));
    story->pid = (gint64)MIN(pid, G_MAXINT32);
    story->seen_us = (gint64)MIN(seen_us, G_MAXINT64);
    story->seen_realtime_us = (gint64)MIN(seen_realtime_us, G_MAXINT64);
    story->log_us = (gint64)MIN(log_us, G_MAXINT64);
    (void)message_get_bool(object, "death", &story->is_death);
    (void)message_get_bool(object, "open", &story->is_open);
    story->n_kills = (guint)MIN(n_kills, G_MAXUINT);
    story->line = g_strdup(line);
    story->forecast = g_strdup(message_get_string(object, "forecast"));
    story->text = text_of(text);
    story->report = json_object_ref(report);
    g_ptr_array_add(stories, story);
}

void
oom_store_load(const Host *host, GPtrArray *stories)
{
    g_autoptr(JsonNode) kept = run_file_load_json(host, STORE_NAME, STORE_BYTES_MAX);
    g_autofree char *boot = run_file_boot_id(host);

    run_file_each(kept, "stories", boot, OOM_STORIES_MAX, load_one, stories);
}
