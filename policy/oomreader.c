/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomblame.h"
#include "oomparts.h"
#include "oomreader-private.h"

#include <string.h>

/* One host's kernel prints one report at a time: oom_lock. Lines of two reports mix where logs of
 * two hosts were merged, or where printk names its caller; both are told apart by the prefix, the
 * source. A line without any prefix continues the line before it.
 *
 * Within a source a line goes to the newest open report that has not shown such a line yet: one
 * that began before it was cut off, or is being continued. When a report shows twice what it has
 * once, and an older one lacks it, the two are mixed with nothing to tell them apart: they keep
 * what can be told by order and by pid (limits, victims), lose their tables and figures, and are
 * not complete. When none lacks it, the beginning of a report was cut off: a new one.
 *
 * A line that repeats the line before it byte by byte is a log's doubling and is dropped. */

void
oomreader_free(OomReader *reader)
{
    g_ptr_array_unref(reader->drafts);
    g_free(reader->source);
    g_free(reader);
}

guint64
oomreader_n_dropped(const OomReader *reader)
{
    return reader->n_dropped;
}

static void
reader_forget(OomReader *reader, guint i)
{
    reader->n_open--;
    memmove(&reader->open[i], &reader->open[i + 1], (reader->n_open - i) * sizeof reader->open[0]);
}

OomDraft *
oomreader_open(OomReader *reader)
{
    OomDraft *draft;

    if (reader->drafts->len >= OOM_REPORTS_MAX)
        return NULL;
    if (reader->n_open == OOM_OPEN_MAX)
        reader_forget(reader, 0);
    draft = oomdraft_new(&reader->prefix);
    draft->report.source = g_strdup(reader->source);
    g_ptr_array_add(reader->drafts, draft);
    reader->open[reader->n_open++] = draft;
    return draft;
}

/* Reports whose last line is too long ago take no more. */
static void
reader_expire(OomReader *reader)
{
    for (guint i = reader->n_open; i-- > 0;)
        if (!oomtime_is_near(reader->open[i]->last_time, reader->prefix.time, true))
            reader_forget(reader, i);
}

bool
oomdraft_is_open(const OomReader *reader, const OomDraft *draft)
{
    return !(draft->seen & (OOM_SEEN_KILLED | OOM_SEEN_ENDED)) &&
           strcmp(draft->report.source, reader->source) == 0;
}

bool
oomdraft_is_ended(const OomReader *reader, const OomDraft *draft)
{
    return draft->seen & OOM_SEEN_KILLED && strcmp(draft->report.source, reader->source) == 0;
}

OomDraft *
oomreader_newest(const OomReader *reader)
{
    for (guint i = reader->n_open; i-- > 0;)
        if (oomdraft_is_open(reader, reader->open[i]))
            return reader->open[i];
    return NULL;
}

static OomDraft *
reader_oldest_without(const OomReader *reader, OomSeen bit)
{
    for (guint i = 0; i < reader->n_open; i++)
        if (oomdraft_is_open(reader, reader->open[i]) && !(reader->open[i]->seen & bit))
            return reader->open[i];
    return NULL;
}

static void
draft_mix(OomDraft *draft)
{
    draft->seen |= OOM_SEEN_MIXED;
    draft->takes_stats = false;
    draft->takes_mem_info = false;
    memset(&draft->stats, 0, sizeof draft->stats);
    g_array_set_size(draft->report.tasks, 0);
}

/* What the newer one took by mistake was the older one's. */
static void
draft_hand_over(OomDraft *newer, OomDraft *older, OomSeen bit)
{
    OomReport *from = &newer->report, *to = &older->report;

    if (bit == OOM_SEEN_USAGE) {
        to->usage = from->usage;
        to->limit = from->limit;
        to->failures = from->failures;
    } else if (bit == OOM_SEEN_STATS) {
        g_free(to->domain);
        to->domain = g_steal_pointer(&from->domain);
    } else if (bit == OOM_SEEN_CONSTRAINT) {
        g_free(to->domain);
        g_free(to->task_group);
        to->domain = g_steal_pointer(&from->domain);
        to->task_group = g_steal_pointer(&from->task_group);
        to->constraint = from->constraint;
        older->chosen_pid = newer->chosen_pid;
        memcpy(older->chosen_name, newer->chosen_name, sizeof older->chosen_name);
    }
    older->seen |= bit;
    draft_mix(newer);
    draft_mix(older);
}

OomDraft *
oomreader_claim(OomReader *reader, OomSeen bit)
{
    OomDraft *newest = oomreader_newest(reader);
    OomDraft *older = reader_oldest_without(reader, bit);

    if (newest && newest->seen & OOM_SEEN_MIXED && older)
        newest = older;
    if (newest && newest->seen & bit && older)
        draft_hand_over(newest, older, bit);
    else if (!newest || newest->seen & bit)
        newest = oomreader_open(reader);
    if (newest) {
        newest->seen |= bit;
        newest->last_time = reader->prefix.time;
    }
    return newest;
}

static void
reader_set_source(OomReader *reader)
{
    const OomPrefix *prefix = &reader->prefix;

    if (prefix->time.clock == OOM_CLOCK_NONE && !prefix->host.start && !prefix->thread.start)
        return;
    g_free(reader->source);
    reader->source = g_strdup_printf(
        "%.*s%s%.*s", (int)prefix->host.length, prefix->host.start ? prefix->host.start : "",
        prefix->host.start && prefix->thread.start ? " " : "", (int)prefix->thread.length,
        prefix->thread.start ? prefix->thread.start : "");
}

static void
reader_take_line(const char *text, gpointer data)
{
    OomReader *reader = data;
    gsize length = MIN(strlen(text), OOM_LINE_BYTES_MAX);
    OomLine line;

    while (length > 0 && g_ascii_isspace(text[length - 1]))
        length--;
    memcpy(reader->line, text, length);
    reader->line[length] = '\0';
    if (length == 0 || strcmp(reader->line, reader->last_line) == 0)
        return;
    memcpy(reader->last_line, reader->line, length + 1);
    reader->prefix = oomprefix_parse(reader->line);
    reader_set_source(reader);
    reader_expire(reader);
    line = oomline_parse(reader->line);
    oomreader_take(reader, &line);
}

OomReader *
oomreader_new(void)
{
    OomReader *reader = g_new0(OomReader, 1);

    reader->drafts = g_ptr_array_new_with_free_func((GDestroyNotify)(void (*)(void))oomdraft_free);
    reader->source = g_strdup("");
    reader->unwrap.take = reader_take_line;
    reader->unwrap.data = reader;
    return reader;
}

void
oomreader_feed(OomReader *reader, const char *bytes, gsize length)
{
    oomunwrap_feed(&reader->unwrap, bytes, length);
}

const GPtrArray *
oomreader_finish(OomReader *reader, OomSize guest)
{
    if (reader->is_finished)
        return reader->drafts;
    reader->is_finished = true;
    oomunwrap_end(&reader->unwrap);
    for (guint i = 0; i < reader->drafts->len; i++)
        oomdraft_end(reader->drafts->pdata[i]);
    oomdrafts_join(reader->drafts);
    for (guint i = 0; i < reader->drafts->len; i++) {
        oomparts_account(reader->drafts->pdata[i], guest);
        oomblame_judge(reader->drafts->pdata[i], guest);
    }
    return reader->drafts;
}
