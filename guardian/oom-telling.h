/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is told of OOM kills: one story of each event and VM. The story is that of the event's first
 * report that is about the VM, for it shows who had grown before anybody was dead; in later ones
 * the memory of those who go is still charged, and nobody's. All victims are named in it, also
 * those that follow after it was told: then it is told again, as the same one. */

#include "oom-store.h"
#include "oom-subjects.h"
#include "oomreader.h"

/* Of a VM: newly killed, told again after a restart or with more victims (both is_open), or long
 * enough ago that it is no news any more. */
typedef void (*OomToldFunc)(const OomStory *story, bool is_open, gpointer data);

typedef struct OomTelling OomTelling;

/* Borrows host; loads what an earlier daemon of this boot kept. */
OomTelling *oom_telling_new(const Host *host);
void oom_telling_free(OomTelling *telling);
/* From now on told, which may be NULL, hears of stories; at once of those that are open. */
void oom_telling_start(OomTelling *telling, OomToldFunc told, gpointer data);
typedef struct {
    OomReader *reader; /* holds the report */
    OomReport *report;
    gint64 said_us; /* when the kernel said it, CLOCK_MONOTONIC; -1 unknown */
    gint64 log_us;  /* the log's own stamp of the last line that was read; -1 without */
} OomHeard;

/* Takes heard's reader. known: whose report it is, NULL nobody's. */
void oom_telling_take(OomTelling *telling, const OomHeard *heard, const OomKnown *known);
void oom_telling_save(const OomTelling *telling);
/* With every tick: ends what is no news any more. */
void oom_telling_follow(OomTelling *telling);
/* Newest last; of OomStory, borrowed. */
const GPtrArray *oom_telling_stories(const OomTelling *telling);
