/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the reader's lines (oomreader.c) and its reports (oomreader-end.c). */

#include "oomline.h"
#include "oomreader.h"
#include "oomunwrap.h"

/* The lines of one report, and the kills of one event, follow each other within this; a report that
 * was cut off takes no line that comes later. The slowest chain seen took two seconds. */
#define OOM_EVENT_US (10 * G_USEC_PER_SEC)

/* What a report shows once. */
typedef enum {
    OOM_SEEN_INVOKED = 1 << 0,
    OOM_SEEN_USAGE = 1 << 1,
    OOM_SEEN_KMEM = 1 << 2,
    OOM_SEEN_STATS = 1 << 3,
    OOM_SEEN_TABLE = 1 << 4,
    OOM_SEEN_CONSTRAINT = 1 << 5,
    OOM_SEEN_KILLED = 1 << 6,
    OOM_SEEN_CUT = 1 << 7,   /* lines are missing for certain */
    OOM_SEEN_MIXED = 1 << 8, /* lines of two reports that nothing tells apart */
    OOM_SEEN_EVIDENCE = 1 << 9,
    OOM_SEEN_ENDED = 1 << 10, /* without a kill */
} OomSeen;

typedef struct {
    OomReport report; /* first: handed out as this */
    guint seen;       /* OomSeen */
    OomStats stats;
    OomColumns columns;
    gint64 chosen_pid; /* 0 = not named yet */
    char chosen_name[OOM_NAME_SIZE];
    OomTime last_time;
    bool takes_stats, takes_mem_info, is_group_kill;
} OomDraft;

OomDraft *oomdraft_new(const OomPrefix *prefix);
void oomdraft_free(OomDraft *draft);
/* Is a line, or a report, at this time of the same event? Without comparable times: yes if
 * otherwise. */
bool oomtime_is_near(OomTime from, OomTime to, bool otherwise);
/* draft->report gets all that stands in no single line: figures, completeness, names. */
void oomdraft_end(OomDraft *draft);
/* Takes reports that tell of the same kill again out of drafts, and joins the victims of one event.
 */
void oomdrafts_join(GPtrArray *drafts);

/* Reports in the middle of their lines, at one time: hosts merged into one log. */
#define OOM_OPEN_MAX 16

struct OomReader {
    GPtrArray *drafts; /* of OomDraft, owned: all that is kept, in order */
    OomDraft
        *open[OOM_OPEN_MAX]; /* oldest first; closed ones stay until they are old: group kills */
    guint n_open;
    guint64 n_tasks, n_dropped;
    OomUnwrap unwrap;
    char line[OOM_LINE_BYTES_MAX + 1], last_line[OOM_LINE_BYTES_MAX + 1];
    OomPrefix prefix; /* of the present line */
    char *source;
    bool is_finished;
};

/* The newest report of the present line's source that waits for more; NULL. */
OomDraft *oomreader_newest(const OomReader *reader);
/* A new report that begins with the present line; NULL when there are too many. */
OomDraft *oomreader_open(OomReader *reader);
/* The report that a line of this kind belongs to, a new one if need be; NULL as above. */
OomDraft *oomreader_claim(OomReader *reader, OomSeen bit);
bool oomdraft_is_open(const OomReader *reader, const OomDraft *draft);
bool oomdraft_is_ended(const OomReader *reader, const OomDraft *draft);
/* One line of the report, by its kind. */
void oomreader_take(OomReader *reader, const OomLine *line);
