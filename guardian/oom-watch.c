/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-watch.h"

#include "oom-subjects.h"
#include "oomline.h"

/* A report's lines come at once, and the kills of one event mostly, too: after this much quiet
 * behind a kill it is told; who is killed later joins the story (oom-telling.h). */
#define QUIET_US (2 * (gint64)G_USEC_PER_SEC)
/* A report whose kill never comes (the log was overwritten) is told as far as it goes. */
#define CUT_US (10 * (gint64)G_USEC_PER_SEC)
/* A global report of a host with 16,000 tasks. */
#define LOG_BYTES_MAX (2 * 1024 * 1024)
/* The log is read so long after the start: by then the VMs that run are known. Nothing is lost, it
 * begins with the oldest message. */
#define BEGIN_US (10 * (gint64)G_USEC_PER_SEC)
/* All that was in the log then has been read after this; what comes later was just written. */
#define OLD_US (10 * (gint64)G_USEC_PER_SEC)

struct OomWatch {
    const Host *host;
    Kmsg *kmsg; /* NULL: not read yet, or not to be had */
    int log_fd; /* until then; -1 */
    GMainContext *context;
    gint64 started_us;
    OomSubjects *subjects;
    GString *log; /* of the event that goes on; empty: none does */
    bool has_kill;
    gint64 begun_us;       /* the log is read since */
    gint64 first_us;       /* the first line of it was taken */
    gint64 first_stamp_us; /* the log's own stamp of that line; -1 without */
    gint64 last_us;        /* a line of it was taken */
    gint64 line_us;        /* the log's own stamp of that line; -1 without */
    gint64 told_us;        /* all up to this stamp was told before; -1 nothing was */
    OomTelling *telling;
    OomWatchWarnFunc warn;
    gpointer data;
};

OomWatch *
oom_watch_new(const Host *host)
{
    OomWatch *watch = g_new0(OomWatch, 1);
    const GPtrArray *stories;

    watch->host = host;
    watch->subjects = oom_subjects_new();
    watch->log = g_string_new(NULL);
    watch->telling = oom_telling_new(host);
    oom_subjects_load(watch->subjects, host);
    watch->log_fd = watch->line_us = watch->told_us = -1;
    stories = oom_watch_stories(watch);
    for (guint i = 0; i < stories->len; i++)
        watch->told_us = MAX(watch->told_us, ((const OomStory *)stories->pdata[i])->log_us);
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
    oom_telling_free(watch->telling);
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
    return oom_telling_stories(watch->telling);
}

static const GPtrArray *
log_read(const OomWatch *watch, OomReader *reader, OomSize guest)
{
    oomreader_feed(reader, watch->log->str, watch->log->len);
    return oomreader_finish(reader, guest);
}

/* The clock of the log goes by itself, and is minutes off after months; what was just written tells
 * by how much. */
static gint64
said_us(const OomWatch *watch, const OomReport *report)
{
    bool is_live = watch->first_us - watch->begun_us > OLD_US && watch->first_stamp_us >= 0;
    gint64 off_us = is_live ? watch->first_us - watch->first_stamp_us : 0;
    gint64 stamp_us = report->time.clock == OOM_CLOCK_BOOT ? report->time.us : watch->line_us;

    return stamp_us >= 0 ? stamp_us + off_us : -1;
}

/* The size of its guest tells more of a report, and the report tells whose guest. */
static void
report_tell(OomWatch *watch, guint index, const OomReport *report)
{
    OomHeard heard = {.said_us = said_us(watch, report), .log_us = watch->line_us};
    /* that clock stands still while the host sleeps */
    gint64 asleep_us = host_boottime_us(watch->host) - host_monotonic_us(watch->host);
    const OomKnown *known = oom_subjects_find(
        watch->subjects, report, heard.said_us >= 0 ? heard.said_us + asleep_us : G_MAXINT64);
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports = log_read(watch, reader, known ? known->guest : (OomSize){0});

    if (index >= reports->len)
        return;
    heard.report = reports->pdata[index];
    heard.reader = g_steal_pointer(&reader);
    oom_telling_take(watch->telling, &heard, known);
}

static void
event_end(OomWatch *watch)
{
    g_autoptr(OomReader) reader = oomreader_new();
    const GPtrArray *reports = log_read(watch, reader, (OomSize){0});

    for (guint i = 0; i < reports->len; i++)
        report_tell(watch, i, reports->pdata[i]);
    if (reports->len > 0)
        oom_telling_save(watch->telling);
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
    if (watch->log->len == 0) {
        watch->first_us = host_monotonic_us(watch->host);
        watch->first_stamp_us = stamp_us;
    }
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
oom_watch_start(OomWatch *watch, GMainContext *context, OomToldFunc told, OomWatchWarnFunc warn,
                gpointer data)
{
    g_autoptr(GError) error = NULL;

    watch->log_fd = kmsg_open(watch->host, &error);
    watch->context = context;
    watch->started_us = host_monotonic_us(watch->host);
    watch->warn = warn;
    watch->data = data;
    oom_telling_start(watch->telling, told, data);
    if (watch->log_fd < 0) {
        g_autofree char *line = g_strdup_printf("OOM kills are not followed: %s", error->message);

        warn(line, data);
    }
}

static void
log_begin(OomWatch *watch)
{
    const KmsgFuncs funcs = {.line = on_line, .lost = on_lost, .ended = on_ended, .data = watch};

    watch->begun_us = host_monotonic_us(watch->host);
    watch->kmsg = kmsg_new(watch->log_fd, watch->context, &funcs);
    watch->log_fd = -1; /* kmsg's now */
}

void
oom_watch_follow(OomWatch *watch)
{
    gint64 now_us = host_monotonic_us(watch->host);

    if (watch->log_fd >= 0 && now_us - watch->started_us >= BEGIN_US)
        log_begin(watch);
    if (watch->log->len > 0 && now_us - watch->last_us >= quiet_us(watch))
        event_end(watch);
    oom_telling_follow(watch->telling);
    oom_subjects_forget(watch->subjects, now_us);
    if (watch->started_us > 0) /* the tool's own look is none of the daemon's */
        oom_subjects_save(watch->subjects, watch->host);
}
