/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-watch.h"

#include "oom-subjects.h"
#include "oom-text.h"
#include "oomline.h"
#include "oomreader.h"
#include "oomstory.h"
#include "units.h"

/* A report's lines come at once, and the kills of one event within seconds: after this much quiet
 * behind a kill all is told. */
#define QUIET_US (2 * (gint64)G_USEC_PER_SEC)
/* A report whose kill never comes (the log was overwritten) is told as far as it goes. */
#define CUT_US (10 * (gint64)G_USEC_PER_SEC)
/* A global report of a host with 16,000 tasks. */
#define LOG_BYTES_MAX (2 * 1024 * 1024)
/* The log is read so long after the start: by then the VMs that run are known. Nothing is lost, it
 * begins with the oldest message. */
#define BEGIN_US (10 * (gint64)G_USEC_PER_SEC)
/* So long a kill is open as an alert, and counts for a loop. */
#define NEWS_US (3600 * (gint64)G_USEC_PER_SEC)
/* Of each report; all were looked at before. */
#define TASKS_KEPT 64

struct OomWatch {
    const Host *host;
    Kmsg *kmsg; /* NULL: not read yet, or not to be had */
    int log_fd; /* until then; -1 */
    GMainContext *context;
    gint64 started_us;
    OomSubjects *subjects;
    GString *log; /* of the event that goes on; empty: none does */
    bool has_kill;
    gint64 last_us;     /* a line of it was taken */
    gint64 line_us;     /* the log's own stamp of that line; -1 without */
    gint64 told_us;     /* all up to this stamp was told before; -1 nothing was */
    GPtrArray *stories; /* of OomStory */
    OomWatchFunc told;
    OomWatchWarnFunc warn;
    gpointer data;
};

OomWatch *
oom_watch_new(const Host *host)
{
    OomWatch *watch = g_new0(OomWatch, 1);

    watch->host = host;
    watch->subjects = oom_subjects_new();
    watch->log = g_string_new(NULL);
    watch->stories = g_ptr_array_new_with_free_func(oom_story_free);
    oom_store_load(host, watch->stories);
    oom_subjects_load(watch->subjects, host);
    watch->log_fd = watch->line_us = watch->told_us = -1;
    for (guint i = 0; i < watch->stories->len; i++)
        watch->told_us = MAX(watch->told_us, ((const OomStory *)watch->stories->pdata[i])->log_us);
    return watch;
}

void
oom_watch_free(OomWatch *watch)
{
    if (!watch)
        return;
    kmsg_free(watch->kmsg);
    fd_clear(&watch->log_fd);
    oom_subjects_free(watch->subjects);
    g_string_free(watch->log, TRUE);
    g_ptr_array_unref(watch->stories);
    g_free(watch);
}

void
oom_watch_note(OomWatch *watch, const Vm *vm)
{
    oom_subjects_note(watch->subjects, vm, host_monotonic_us(watch->host));
}

const GPtrArray *
oom_watch_stories(const OomWatch *watch)
{
    return watch->stories;
}

/* What is kept. */

static guint
count_kills(const OomWatch *watch, const char *vm, gint64 now_us)
{
    guint n = 1;

    for (guint i = 0; vm && i < watch->stories->len; i++) {
        const OomStory *story = watch->stories->pdata[i];

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

static void
story_add(OomWatch *watch, OomReport *report, const OomKnown *known)
{
    OomStory *story = oom_story_new();
    gint64 now_us = host_monotonic_us(watch->host);

    story->seen_us = watch->line_us >= 0 ? MIN(watch->line_us, now_us) : now_us;
    story->seen_realtime_us = host_realtime_us(watch->host) - (now_us - story->seen_us);
    story->log_us = watch->line_us >= 0 ? watch->line_us : now_us;
    if (known) {
        story->vm = g_strdup(known->name);
        story->uuid = g_strdup(known->uuid);
        story->id = g_strdup(known->id);
        story->pid = known->subject.pid;
        story->forecast = forecast_of(known);
        story->is_death = oomstory_is_death(report, &known->subject);
        story->is_open = now_us - story->seen_us < NEWS_US;
    }
    story->n_kills = count_kills(watch, story->vm, story->seen_us);
    story->line = story_line(story, report);
    story->text = oom_text(report);
    g_array_sort(report->tasks, compare_charged);
    if (report->tasks->len > TASKS_KEPT)
        g_array_set_size(report->tasks, TASKS_KEPT);
    story->report = oom_json(report);
    if (watch->stories->len == OOM_STORIES_MAX)
        g_ptr_array_remove_index(watch->stories, 0);
    g_ptr_array_add(watch->stories, story);
    if (story->is_open && watch->told)
        watch->told(story, true, watch->data);
}

static const GPtrArray *
log_read(const OomWatch *watch, OomReader *reader, OomSize guest)
{
    oomreader_feed(reader, watch->log->str, watch->log->len);
    return oomreader_finish(reader, guest);
}

/* The size of its guest tells more of a report, and the report tells whose guest. */
static void
report_tell(OomWatch *watch, guint index, const OomReport *report)
{
    /* the log's clock stands still while the host sleeps */
    gint64 asleep_us = host_boottime_us(watch->host) - host_monotonic_us(watch->host);
    gint64 at_us = watch->line_us >= 0 ? watch->line_us + asleep_us : G_MAXINT64;
    const OomKnown *known = oom_subjects_find(watch->subjects, report, at_us);
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports = log_read(watch, reader, known ? known->guest : (OomSize){0});

    if (index < reports->len)
        story_add(watch, reports->pdata[index], known);
}

static void
event_end(OomWatch *watch)
{
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports = log_read(watch, reader, (OomSize){0});

    for (guint i = 0; i < reports->len; i++)
        report_tell(watch, i, reports->pdata[i]);
    if (reports->len > 0)
        oom_store_save(watch->host, watch->stories);
    g_string_truncate(watch->log, 0);
    watch->has_kill = false;
    watch->told_us = MAX(watch->told_us, watch->line_us);
    watch->line_us = -1;
}

/* The log. */

/* Of "[ 8758.123456] text", in us; -1 without. */
static gint64
stamp_of(const char *line)
{
    char *end = NULL;
    gint64 s, us;

    if (*line != '[')
        return -1;
    s = g_ascii_strtoll(line + 1, &end, 10);
    if (*end != '.' || s < 0 || s > G_MAXINT32)
        return -1;
    us = g_ascii_strtoll(end + 1, &end, 10);
    return *end == ']' && us >= 0 && us < G_USEC_PER_SEC ? s * G_USEC_PER_SEC + us : -1;
}

static gint64
quiet_us(const OomWatch *watch)
{
    return watch->has_kill ? QUIET_US : CUT_US;
}

void
oom_watch_take(OomWatch *watch, const char *line, gsize length)
{
    g_autofree char *text = g_strndup(line, length);
    OomLineKind kind = oomline_parse(text).kind;
    gint64 stamp_us = stamp_of(text);

    if (stamp_us >= 0 && stamp_us <= watch->told_us)
        return; /* by the daemon before us */
    /* of the past, all at once: the stamps tell where an event ended */
    if (watch->log->len > 0 && stamp_us >= 0 && watch->line_us >= 0 &&
        stamp_us - watch->line_us >= quiet_us(watch))
        event_end(watch);
    if (watch->log->len == 0 && (kind == OOM_LINE_OTHER || kind == OOM_LINE_CUT))
        return;
    if (watch->log->len + length > LOG_BYTES_MAX)
        event_end(watch);
    g_string_append_len(watch->log, line, (gssize)length);
    watch->has_kill = watch->has_kill || kind == OOM_LINE_KILLED || kind == OOM_LINE_NOBODY;
    if (kind == OOM_LINE_OTHER)
        return;
    watch->last_us = host_monotonic_us(watch->host);
    watch->line_us = stamp_us;
}

static void
on_line(const char *line, gsize length, gpointer data)
{
    oom_watch_take(data, line, length);
}

static void
on_lost(gpointer data)
{
    OomWatch *watch = data;

    if (watch->log->len > 0)
        g_string_append(watch->log, "<SNIP>\n");
}

static void
on_ended(const char *why, gpointer data)
{
    OomWatch *watch = data;
    g_autofree char *line =
        g_strdup_printf("OOM kills are not followed any more: kernel log: %s", why);

    watch->warn(line, watch->data);
}

void
oom_watch_start(OomWatch *watch, GMainContext *context, OomWatchFunc told, OomWatchWarnFunc warn,
                gpointer data)
{
    g_autoptr(GError) error = NULL;

    watch->log_fd = kmsg_open(watch->host, &error);
    watch->context = context;
    watch->started_us = host_monotonic_us(watch->host);
    watch->told = told;
    watch->warn = warn;
    watch->data = data;
    for (guint i = 0; i < watch->stories->len; i++)
        if (((const OomStory *)watch->stories->pdata[i])->is_open)
            told(watch->stories->pdata[i], true, data);
    if (watch->log_fd < 0) {
        g_autofree char *line = g_strdup_printf("OOM kills are not followed: %s", error->message);

        warn(line, data);
    }
}

static void
log_begin(OomWatch *watch)
{
    const KmsgFuncs funcs = {.line = on_line, .lost = on_lost, .ended = on_ended, .data = watch};

    watch->kmsg = kmsg_new(watch->log_fd, watch->context, &funcs);
    watch->log_fd = -1; /* kmsg's now */
}

static bool
is_newest_of_vm(const OomWatch *watch, const OomStory *story)
{
    for (guint i = watch->stories->len; i-- > 0;) {
        const OomStory *other = watch->stories->pdata[i];

        if (g_strcmp0(other->vm, story->vm) == 0)
            return other == story;
    }
    return false;
}

static void
close_old(OomWatch *watch, gint64 now_us)
{
    bool has_changed = false;

    for (guint i = 0; i < watch->stories->len; i++) {
        OomStory *story = watch->stories->pdata[i];

        if (!story->is_open || now_us - story->seen_us < NEWS_US)
            continue;
        story->is_open = false;
        has_changed = true;
        if (watch->told && is_newest_of_vm(watch, story))
            watch->told(story, false, watch->data);
    }
    if (has_changed)
        oom_store_save(watch->host, watch->stories);
}

void
oom_watch_follow(OomWatch *watch)
{
    gint64 now_us = host_monotonic_us(watch->host);

    if (watch->log_fd >= 0 && now_us - watch->started_us >= BEGIN_US)
        log_begin(watch);
    if (watch->log->len > 0 && now_us - watch->last_us >= quiet_us(watch))
        event_end(watch);
    close_old(watch, now_us);
    oom_subjects_forget(watch->subjects, now_us);
    if (watch->started_us > 0) /* the tool's own look is none of the daemon's */
        oom_subjects_save(watch->subjects, watch->host);
}
