/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-watch.h"

#include "group.h"
#include "memory-watch.h"
#include "oom-text.h"
#include "oomline.h"
#include "oomparts.h"
#include "oomreader.h"
#include "oomstory.h"
#include "units.h"

#include <string.h>

/* A report's lines come at once, and the kills of one event within seconds: after this much quiet
 * behind a kill all is told. */
#define QUIET_US (2 * (gint64)G_USEC_PER_SEC)
/* A report whose kill never comes (the log was overwritten) is told as far as it goes. */
#define CUT_US (10 * (gint64)G_USEC_PER_SEC)
/* A global report of a host with 16,000 tasks. */
#define LOG_BYTES_MAX (2 * 1024 * 1024)
/* The log of a VM's death may be read after its end, not much later. */
#define FORGET_US (600 * (gint64)G_USEC_PER_SEC)
/* So long a kill is open as an alert, and counts for a loop. */
#define NEWS_US (3600 * (gint64)G_USEC_PER_SEC)
/* Of each report; all were looked at before. */
#define TASKS_KEPT 64

typedef struct {
    OomSubject subject;
    char *own, *name, *uuid, *id, *forecast;
    char pod_uid[sizeof((GroupPlace *)NULL)->pod_uid];
    OomSize guest;
    gint64 seen_us;
} Subject;

struct OomWatch {
    const Host *host;
    Kmsg *kmsg;
    GHashTable *subjects; /* "pid:start" -> Subject */
    GString *log;         /* of the event that goes on; empty: none does */
    bool has_kill;
    gint64 last_us;     /* a line of it was taken */
    GPtrArray *stories; /* of OomStory */
    OomWatchFunc told;
    OomWatchWarnFunc warn;
    gpointer data;
};

static void
subject_free(gpointer data)
{
    Subject *subject = data;

    g_free(subject->own);
    g_free(subject->name);
    g_free(subject->uuid);
    g_free(subject->id);
    g_free(subject->forecast);
    g_free(subject);
}

OomWatch *
oom_watch_new(const Host *host)
{
    OomWatch *watch = g_new0(OomWatch, 1);

    watch->host = host;
    watch->subjects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, subject_free);
    watch->log = g_string_new(NULL);
    watch->stories = g_ptr_array_new_with_free_func(oom_story_free);
    oom_store_load(host, watch->stories);
    return watch;
}

void
oom_watch_free(OomWatch *watch)
{
    if (!watch)
        return;
    kmsg_free(watch->kmsg);
    g_hash_table_unref(watch->subjects);
    g_string_free(watch->log, TRUE);
    g_ptr_array_unref(watch->stories);
    g_free(watch);
}

const GPtrArray *
oom_watch_stories(const OomWatch *watch)
{
    return watch->stories;
}

/* Who is watched. */

/* The topmost group that is the VM's alone, raw; NULL: it has none. */
static char *
own_group(const Vm *vm)
{
    const CgroupPath *path = vm->cgroup ? cgroup_path(vm->cgroup) : NULL;
    const GroupPlace *place = path ? cgroup_group_place(vm->cgroup) : NULL;
    const char *own = path && !path->is_root && vm->memory.group_is_own ? path->path : NULL;
    char *cut = place && place->own_length > 0 ? g_strndup(path->path, place->own_length) : NULL;

    for (guint i = 0; vm->group_limits && own && !cut && i < vm->group_limits->len; i++) {
        const CgroupLimit *limit = &g_array_index(vm->group_limits, CgroupLimit, i);

        if (limit->is_own && group_holds(limit->path, own))
            own = limit->path;
    }
    return cut ? cut : g_strdup(own);
}

static char *
forecast_of(const Vm *vm)
{
    const PressureVerdict *verdict = &vm->memory_watch->pressure.verdict;
    g_autofree char *age = NULL;

    if (verdict->level < PRESSURE_WATCH)
        return NULL;
    age = units_format_age(MAX(vm->sample.now_us - verdict->since_us, 0));
    return g_strdup_printf("%s for %s", pressure_level_name(verdict->level), age);
}

/* As its monitor says, or its command line as long as that has not answered. */
static OomSize
guest_of(const Vm *vm)
{
    if (vm->memory.has_guest_ram)
        return (OomSize){true, vm->memory.guest_ram_bytes};
    return (OomSize){vm->argv->has_memory, vm->argv->memory_bytes};
}

void
oom_watch_note(OomWatch *watch, const Vm *vm)
{
    g_autofree char *key = g_strdup_printf("%d:%" G_GUINT64_FORMAT, (int)proc_pid(vm->proc),
                                           proc_start_ticks(vm->proc));
    Subject *subject = g_new0(Subject, 1);

    subject->name = g_strdup(vm->name);
    subject->uuid = g_strdup(vm->uuid);
    subject->id = g_strdup(vm->id);
    subject->own = own_group(vm);
    subject->forecast = forecast_of(vm);
    if (vm->cgroup)
        memcpy(subject->pod_uid, cgroup_group_place(vm->cgroup)->pod_uid, sizeof subject->pod_uid);
    subject->guest = guest_of(vm);
    subject->seen_us = host_monotonic_us(watch->host);
    subject->subject =
        (OomSubject){.pid = proc_pid(vm->proc), .own = subject->own, .pod_uid = subject->pod_uid};
    g_hash_table_replace(watch->subjects, g_steal_pointer(&key), subject);
}

static gint
compare_seen(gconstpointer a, gconstpointer b)
{
    const Subject *left = *(const Subject *const *)a, *right = *(const Subject *const *)b;

    return left->seen_us < right->seen_us ? 1 : left->seen_us > right->seen_us ? -1 : 0;
}

/* A process id, and a name, may be a newer VM's by now: the newest come first. */
static GPtrArray *
subjects_of(const OomWatch *watch)
{
    GPtrArray *subjects = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, watch->subjects);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        g_ptr_array_add(subjects, value);
    g_ptr_array_sort(subjects, compare_seen);
    return subjects;
}

static const Subject *
subject_find(const OomWatch *watch, const OomReport *report)
{
    g_autoptr(GPtrArray) subjects = subjects_of(watch);
    g_autofree OomSubject *list = g_new0(OomSubject, subjects->len + 1);
    int found;

    for (guint i = 0; i < subjects->len; i++)
        list[i] = ((const Subject *)subjects->pdata[i])->subject;
    found = oomstory_find(report, list, subjects->len);
    return found < 0 ? NULL : subjects->pdata[found];
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

static void
story_add(OomWatch *watch, OomReport *report, const Subject *subject)
{
    OomStory *story = oom_story_new();

    story->seen_us = host_monotonic_us(watch->host);
    story->seen_realtime_us = host_realtime_us(watch->host);
    if (subject) {
        story->vm = g_strdup(subject->name);
        story->uuid = g_strdup(subject->uuid);
        story->id = g_strdup(subject->id);
        story->pid = subject->subject.pid;
        story->forecast = g_strdup(subject->forecast);
        story->is_death = oomstory_is_death(report, &subject->subject);
        story->is_open = true;
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
    if (subject && watch->told)
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
    const Subject *subject = subject_find(watch, report);
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports = log_read(watch, reader, subject ? subject->guest : (OomSize){0});

    if (index < reports->len)
        story_add(watch, reports->pdata[index], subject);
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
}

/* The log. */

void
oom_watch_take(OomWatch *watch, const char *line, gsize length)
{
    g_autofree char *text = g_strndup(line, length);
    OomLineKind kind = oomline_parse(text).kind;

    if (watch->log->len == 0 && (kind == OOM_LINE_OTHER || kind == OOM_LINE_CUT))
        return;
    if (watch->log->len + length > LOG_BYTES_MAX)
        event_end(watch);
    g_string_append_len(watch->log, line, (gssize)length);
    watch->has_kill = watch->has_kill || kind == OOM_LINE_KILLED;
    if (kind != OOM_LINE_OTHER)
        watch->last_us = host_monotonic_us(watch->host);
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
    const KmsgFuncs funcs = {.line = on_line, .lost = on_lost, .ended = on_ended, .data = watch};
    g_autoptr(GError) error = NULL;
    int fd = kmsg_open(watch->host, &error);

    watch->told = told;
    watch->warn = warn;
    watch->data = data;
    for (guint i = 0; i < watch->stories->len; i++)
        if (((const OomStory *)watch->stories->pdata[i])->is_open)
            told(watch->stories->pdata[i], true, data);
    if (fd >= 0) {
        watch->kmsg = kmsg_new(fd, context, &funcs);
    } else {
        g_autofree char *line = g_strdup_printf("OOM kills are not followed: %s", error->message);

        warn(line, data);
    }
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

static gboolean
is_forgotten(gpointer key, gpointer value, gpointer now_us)
{
    return ((const Subject *)value)->seen_us + FORGET_US < *(const gint64 *)now_us;
}

void
oom_watch_follow(OomWatch *watch)
{
    gint64 now_us = host_monotonic_us(watch->host);

    if (watch->log->len > 0 && now_us - watch->last_us >= (watch->has_kill ? QUIET_US : CUT_US))
        event_end(watch);
    close_old(watch, now_us);
    g_hash_table_foreach_remove(watch->subjects, is_forgotten, &now_us);
}
