/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-telling.h"

#include "oom-before.h"
#include "oom-text.h"
#include "oomevent.h"
#include "units.h"

#include <string.h>

/* So long a kill is open as an alert, and counts for a loop. */
#define NEWS_US (3600 * (gint64)G_USEC_PER_SEC)
/* Of each report; all were looked at before. */
#define TASKS_KEPT 64
/* A further kill of an event comes within 10 s of the one before (oomevent.h), and is read within
 * another 10 s. */
#define RECENT_US (30 * (gint64)G_USEC_PER_SEC)
/* Some MiB each on a host of thousands of tasks. */
#define RECENT_MAX 16

/* A report that further kills may still belong to. */
typedef struct {
    OomReader *reader; /* holds it */
    OomReport *report;
    OomStory *story; /* of its event and VM; borrowed */
    bool is_told;    /* the story is that of this report */
    guint event;
    gint64 at_us; /* the newest of its event was taken */
} Recent;

struct OomTelling {
    const Host *host;
    GPtrArray *stories; /* of OomStory */
    GPtrArray *recent;  /* of Recent; of each event those that are told, and the newest */
    guint n_events;
    OomToldFunc told;
    gpointer data;
};

static void
recent_free(gpointer data)
{
    Recent *recent = data;

    oomreader_free(recent->reader);
    g_free(recent);
}

OomTelling *
oom_telling_new(const Host *host)
{
    OomTelling *telling = g_new0(OomTelling, 1);

    telling->host = host;
    telling->stories = g_ptr_array_new_with_free_func(oom_story_free);
    telling->recent = g_ptr_array_new_with_free_func(recent_free);
    oom_store_load(host, telling->stories);
    return telling;
}

void
oom_telling_free(OomTelling *telling)
{
    g_ptr_array_unref(telling->recent);
    g_ptr_array_unref(telling->stories);
    g_free(telling);
}

void
oom_telling_start(OomTelling *telling, OomToldFunc told, gpointer data)
{
    telling->told = told;
    telling->data = data;
    for (guint i = 0; i < telling->stories->len; i++)
        if (((const OomStory *)telling->stories->pdata[i])->is_open)
            told(telling->stories->pdata[i], true, data);
}

const GPtrArray *
oom_telling_stories(const OomTelling *telling)
{
    return telling->stories;
}

void
oom_telling_save(const OomTelling *telling)
{
    oom_store_save(telling->host, telling->stories);
}

static guint
count_kills(const OomTelling *telling, const char *vm, gint64 now_us)
{
    guint n = 1;

    for (guint i = 0; vm && i < telling->stories->len; i++) {
        const OomStory *story = telling->stories->pdata[i];

        n += g_strcmp0(story->vm, vm) == 0 && now_us - story->seen_us < NEWS_US;
    }
    return n;
}

static gint
compare_charged(gconstpointer a, gconstpointer b)
{
    guint64 left = oomtask_charged_bytes(a), right = oomtask_charged_bytes(b);

    return left < right ? 1 : left > right ? -1 : 0;
}

/* The report for programs, with its largest tasks. */
static JsonObject *
json_of(const OomReport *report)
{
    g_autoptr(GArray) largest = g_array_copy(report->tasks);
    OomReport shown = *report;

    g_array_sort(largest, compare_charged);
    g_array_set_size(largest, MIN(largest->len, TASKS_KEPT));
    shown.tasks = largest;
    return oom_json(&shown);
}

/* The sentence, with what only we know. */
static char *
story_line(const OomStory *story, const OomReport *report)
{
    g_autofree char *line = oomstory_line(report, story->is_death);
    GString *text = g_string_new(line);

    if (story->vm && story->n_kills > 1)
        g_string_append_printf(text, "; kill %u of this VM within an hour: a loop", story->n_kills);
    if (story->vm && story->forecast)
        g_string_append_printf(text, "; forecast before: %s", story->forecast);
    return g_string_free(text, FALSE);
}

/* NULL where all was well. */
static char *
forecast_of(const OomKnown *known)
{
    g_autofree char *age = NULL;

    if (known->level < PRESSURE_WATCH)
        return NULL;
    age = units_format_age(known->level_age_us);
    return g_strdup_printf("%s for %s", pressure_level_name(known->level), age);
}

/* What further victims change. */
static void
story_fill(OomStory *story, const OomReport *report)
{
    const OomSubject subject = {.pid = story->pid};
    g_autoptr(JsonObject) old = story->report;

    g_free(story->line);
    g_free(story->text);
    story->is_death = story->vm && oomstory_is_death(report, &subject);
    story->line = story_line(story, report);
    story->text = oom_text(report);
    story->report = json_of(report);
    if (old)
        json_object_set_member(story->report, "before", json_object_dup_member(old, "before"));
}

static OomStory *
story_new(const OomTelling *telling, const OomHeard *heard, const OomKnown *known)
{
    OomStory *story = oom_story_new();
    gint64 now_us = host_monotonic_us(telling->host);

    story->seen_us = heard->said_us >= 0 ? MIN(heard->said_us, now_us) : now_us;
    story->seen_realtime_us = host_realtime_us(telling->host) - (now_us - story->seen_us);
    if (known) {
        story->vm = g_strdup(known->name);
        story->uuid = g_strdup(known->uuid);
        story->id = g_strdup(known->id);
        story->pid = known->subject.pid;
        story->forecast = forecast_of(known);
        story->is_open = now_us - story->seen_us < NEWS_US;
    }
    story->n_kills = count_kills(telling, story->vm, story->seen_us);
    story_fill(story, heard->report);
    if (known)
        json_object_set_array_member(story->report, "before",
                                     oom_before_json(&known->trail, story->seen_us));
    return story;
}

/* Nothing more can be added to what is no longer kept. */
static void
story_drop_oldest(OomTelling *telling)
{
    const OomStory *oldest = telling->stories->pdata[0];

    for (guint i = telling->recent->len; i-- > 0;)
        if (((const Recent *)telling->recent->pdata[i])->story == oldest)
            g_ptr_array_remove_index(telling->recent, i);
    g_ptr_array_remove_index(telling->stories, 0);
}

static OomStory *
story_begin(OomTelling *telling, const OomHeard *heard, const OomKnown *known)
{
    OomStory *story = story_new(telling, heard, known);

    if (telling->stories->len == OOM_STORIES_MAX)
        story_drop_oldest(telling);
    g_ptr_array_add(telling->stories, story);
    return story;
}

/* The last report that ran into the same limit; NULL. */
static Recent *
last_beside(const OomTelling *telling, const OomReport *report)
{
    for (guint i = telling->recent->len; i-- > 0;) {
        Recent *recent = telling->recent->pdata[i];

        if (oomevent_is_beside(report, recent->report))
            return recent;
    }
    return NULL;
}

/* The story of this event that is about the same VM, or about none; NULL. */
static OomStory *
story_of_event(const OomTelling *telling, guint event, const OomKnown *known)
{
    for (guint i = 0; i < telling->recent->len; i++) {
        const Recent *recent = telling->recent->pdata[i];

        if (recent->event == event && recent->story->pid == (known ? known->subject.pid : 0))
            return recent->story;
    }
    return NULL;
}

/* Everybody who is told of this event hears of all its victims. */
static void
event_tell(const OomTelling *telling, guint event, gint64 log_us)
{
    for (guint i = 0; i < telling->recent->len; i++) {
        const Recent *recent = telling->recent->pdata[i];
        OomStory *story = recent->story;
        g_autofree char *before = g_strdup(story->line);

        if (recent->event != event || !recent->is_told)
            continue;
        story_fill(story, recent->report);
        story->log_us = log_us >= 0 ? log_us : host_monotonic_us(telling->host);
        if (story->is_open && telling->told && strcmp(story->line, before) != 0)
            telling->told(story, true, telling->data);
    }
}

/* A newer report of the event comes: the one before it is kept only if it is told. */
static void
event_touch(OomTelling *telling, guint event, gint64 now_us)
{
    for (guint i = telling->recent->len; i-- > 0;) {
        Recent *recent = telling->recent->pdata[i];

        if (recent->event != event)
            continue;
        recent->at_us = now_us;
        if (!recent->is_told)
            g_ptr_array_remove_index(telling->recent, i);
    }
}

void
oom_telling_take(OomTelling *telling, const OomHeard *heard, const OomKnown *known)
{
    OomReport *report = heard->report;
    Recent *recent = g_new0(Recent, 1), *before = last_beside(telling, report);
    bool is_new;

    recent->reader = heard->reader;
    recent->report = report;
    recent->at_us = host_monotonic_us(telling->host);
    if (before && oomevent_continues(report, before->report)) {
        oomevent_join(report, before->report);
        recent->event = before->event;
    } else {
        recent->event = ++telling->n_events;
    }
    recent->story = story_of_event(telling, recent->event, known);
    event_touch(telling, recent->event, recent->at_us);
    is_new = recent->story == NULL;
    if (is_new)
        recent->story = story_begin(telling, heard, known);
    recent->is_told = is_new;
    if (telling->recent->len == RECENT_MAX)
        g_ptr_array_remove_index(telling->recent, 0);
    g_ptr_array_add(telling->recent, recent);
    event_tell(telling, recent->event, heard->log_us);
    if (is_new && recent->story->is_open && telling->told)
        telling->told(recent->story, true, telling->data);
}

static bool
is_newest_of_vm(const OomTelling *telling, const OomStory *story)
{
    for (guint i = telling->stories->len; i-- > 0;) {
        const OomStory *other = telling->stories->pdata[i];

        if (g_strcmp0(other->vm, story->vm) == 0)
            return other == story;
    }
    return false;
}

static void
close_old(OomTelling *telling, gint64 now_us)
{
    bool has_changed = false;

    for (guint i = 0; i < telling->stories->len; i++) {
        OomStory *story = telling->stories->pdata[i];

        if (!story->is_open || now_us - story->seen_us < NEWS_US)
            continue;
        story->is_open = false;
        has_changed = true;
        if (telling->told && is_newest_of_vm(telling, story))
            telling->told(story, false, telling->data);
    }
    if (has_changed)
        oom_telling_save(telling);
}

void
oom_telling_follow(OomTelling *telling)
{
    gint64 now_us = host_monotonic_us(telling->host);

    for (guint i = telling->recent->len; i-- > 0;)
        if (now_us - ((const Recent *)telling->recent->pdata[i])->at_us > RECENT_US)
            g_ptr_array_remove_index(telling->recent, i);
    close_old(telling, now_us);
}
