/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report-oom.h"

#include "message.h"
#include "oom-before.h"
#include "report-build.h"
#include "report-line.h"
#include "report-read.h"

#include <string.h>

static bool
is_newest(const GPtrArray *stories, guint index)
{
    const OomStory *story = stories->pdata[index];

    for (guint i = index + 1; i < stories->len; i++)
        if (g_strcmp0(((const OomStory *)stories->pdata[i])->vm, story->vm) == 0)
            return false;
    return true;
}

static void
add_story(JsonBuilder *builder, const OomStory *story, gint64 now_us)
{
    g_autofree char *seen = report_utc(story->seen_realtime_us);

    json_builder_begin_object(builder);
    build_text(builder, "name", story->vm);
    build_text(builder, "uuid", story->uuid);
    build_text(builder, "id", story->id);
    build_s64(builder, "pid", true, story->pid);
    build_text(builder, "seen_utc", seen);
    build_s64(builder, "since_s", true, (now_us - story->seen_us) / G_USEC_PER_SEC);
    build_bool(builder, "death", story->is_death);
    build_bool(builder, "open", story->is_open);
    build_s64(builder, "kills", true, story->n_kills);
    build_text(builder, "text", story->line);
    if (json_object_has_member(story->report, "before")) {
        json_builder_set_member_name(builder, "before");
        json_builder_add_value(builder, json_object_dup_member(story->report, "before"));
    }
    json_builder_end_object(builder);
}

void
report_add_oom(JsonBuilder *builder, const Guardian *guardian)
{
    const GPtrArray *stories = oom_watch_stories(guardian_host_watch(guardian)->oom);
    gint64 now_us = host_monotonic_us(guardian_host(guardian));

    json_builder_set_member_name(builder, "oom");
    json_builder_begin_array(builder);
    for (guint i = 0; i < stories->len; i++)
        if (((const OomStory *)stories->pdata[i])->vm && is_newest(stories, i))
            add_story(builder, stories->pdata[i], now_us);
    json_builder_end_array(builder);
}

static JsonObject *
report_of(const OomStory *story)
{
    g_autoptr(JsonObject) told = oom_story_json(story);
    JsonObject *object = json_object_new();
    g_autoptr(GList) members = json_object_get_members(story->report);
    static const char *const more[] = {"seen_utc", "death", "kills", "forecast", "line", "text"};

    for (const GList *member = members; member; member = member->next)
        json_object_set_member(object, member->data,
                               json_object_dup_member(story->report, member->data));
    json_object_set_member(object, "watched_vm", json_object_dup_member(told, "vm"));
    for (guint i = 0; i < G_N_ELEMENTS(more); i++)
        json_object_set_member(object, more[i], json_object_dup_member(told, more[i]));
    return object;
}

JsonNode *
report_oom(const Guardian *guardian)
{
    const GPtrArray *stories = oom_watch_stories(guardian_host_watch(guardian)->oom);
    JsonNode *root = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    JsonArray *array = json_array_new();

    for (guint i = 0; i < stories->len; i++)
        json_array_add_object_element(array, report_of(stories->pdata[i]));
    json_object_set_int_member(object, "schema", 1);
    json_object_set_array_member(object, "reports", array);
    json_node_take_object(root, object);
    return root;
}

static bool
is_called(JsonObject *kill, const char *word)
{
    gint64 pid = 0;
    g_autofree char *pid_text = NULL;

    (void)report_number_of(kill, "pid", &pid);
    pid_text = g_strdup_printf("%" G_GINT64_FORMAT, pid);
    return g_strcmp0(message_get_string(kill, "name"), word) == 0 ||
           g_strcmp0(message_get_string(kill, "id"), word) == 0 ||
           g_strcmp0(message_get_string(kill, "uuid"), word) == 0 || strcmp(pid_text, word) == 0;
}

JsonObject *
report_find_oom(JsonObject *state, const char *word)
{
    g_autoptr(GPtrArray) kills = report_objects_of(state, "oom");

    for (guint i = kills->len; i-- > 0;)
        if (is_called(kills->pdata[i], word))
            return kills->pdata[i];
    return NULL;
}

void
report_append_oom(GString *text, JsonObject *kill, bool has_name)
{
    g_autofree char *age = report_age_of(kill);
    Line line = line_begin("");

    if (!kill)
        return;
    if (has_name)
        line_say(&line, "%s ", report_text_of(kill, "name", "?"));
    line_say(&line, "at %s, %s ago: %s", report_text_of(kill, "seen_utc", "?"), age ? age : "?",
             report_text_of(kill, "text", "?"));
    line_end(&line, text, "oom");
    if (!has_name) /* of one VM there is room for more than a line */
        oom_before_append(text, kill, 2);
}

static bool
is_open(JsonObject *kill)
{
    bool is_news = false;

    (void)message_get_bool(kill, "open", &is_news);
    return is_news;
}

void
report_append_open_ooms(GString *text, JsonObject *state)
{
    g_autoptr(GPtrArray) kills = report_objects_of(state, "oom");

    for (guint i = 0; i < kills->len; i++)
        if (is_open(kills->pdata[i]))
            report_append_oom(text, kills->pdata[i], true);
}

int
report_oom_exit_status(JsonObject *state)
{
    g_autoptr(GPtrArray) kills = report_objects_of(state, "oom");

    for (guint i = 0; i < kills->len; i++)
        if (is_open(kills->pdata[i]))
            return 1;
    return 0;
}
