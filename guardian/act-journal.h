/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The journal of acts: one file for each record, in vm-guardian/acts below HOST_VAR. A record is
 * replaced whole (new file, fsync, rename, fsync of the directory), so that after a kill at any
 * instant it is the old or the new one, never a torn one. Everything on disk is done by child
 * processes with a deadline: a dead disk below the state directory holds nobody. The tool and the
 * daemon may write at the same time: no two records share a file. */

#include "act-record.h"

/* An hour of a host's budget many times over. The oldest that are finished go. */
#define ACT_JOURNAL_KEEP 512

typedef struct ActJournal ActJournal;

/* problem: NULL when all is well, else one sentence; borrowed. */
typedef void (*ActJournalDoneFunc)(const char *problem, gpointer data);

/* Empty until loaded. Borrows host. */
ActJournal *act_journal_new(const Host *host, GMainContext *context);
/* Kills what is under way; its done functions are called. */
void act_journal_free(ActJournal *journal);

/* Reads all anew. What is unreadable is skipped, counted, and the first named by the problem; no
 * directory at all is an empty journal. One at a time. */
void act_journal_load(ActJournal *journal, ActJournalDoneFunc done, gpointer data);
/* Gives the record its name, boot and time, and writes it down as ACT_INTENDED. It is in
 * act_journal_records() from now on, and out of it again, freed, when done() has been told of a
 * problem. Takes record. */
void act_journal_add(ActJournal *journal, ActRecord *record, ActJournalDoneFunc done,
                     gpointer data);
/* Writes down what became of a record of this journal. In memory it holds in any case. */
void act_journal_update(ActJournal *journal, ActRecord *record, ActState state,
                        const char *read_back, const char *problem, ActJournalDoneFunc done,
                        gpointer data);

/* In memory: what an applied record took back is undone. On disk the two records tell it. */
void act_journal_take_back(ActJournal *journal, const ActRecord *record);

const GPtrArray *act_journal_records(const ActJournal *journal); /* of ActRecord, oldest first */
/* NULL when there is none. */
ActRecord *act_journal_find(const ActJournal *journal, const char *name);
/* Of now: the boot, and its time in microseconds as records have it. */
const char *act_journal_boot_id(const ActJournal *journal);
gint64 act_journal_now_us(const ActJournal *journal);

/* "vm-guardian/acts", for messages. */
#define ACT_JOURNAL_DIRECTORY "vm-guardian/acts"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ActJournal, act_journal_free)
