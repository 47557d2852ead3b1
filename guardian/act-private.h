/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The engine's parts: act.c the doors and the writing, act-settle.c what an earlier process left,
 * act-leave.c whether now is the time. */

#include "act.h"

/* One plan, or only a load. */
typedef struct {
    Acts *acts;
    ActTerms terms;
    GPtrArray *steps; /* of ActRecord, owned until they are in the journal; NULL: load only */
    bool is_behind;   /* another plan of its VM is under way */
    pid_t pid;        /* of their subject */
    guint64 start_ticks;
    guint next;         /* of steps */
    ActRecord *record;  /* in the journal, being written or settled; NULL */
    GPtrArray *settled; /* names of unfinished records that were looked at */
    ActCall call;       /* the one under way */
    GPtrArray *names;
    guint n_applied;
    char *load_problem;
    ActsDoneFunc done;
    gpointer data;
} Run;

struct Acts {
    const Host *host;
    GMainContext *context;
    ActJournal *journal;
    Children *children;
    GPtrArray *means;    /* of const ActMeans */
    GPtrArray *runs;     /* of Run, owned */
    GHashTable *tripped; /* "pid:start", of VMs */
    gint64 started_us;   /* realtime */
    gint64 looked_us;    /* boottime: somebody reloaded the configuration; 0 nobody has */
    bool host_is_tripped, is_ending;
};

/* NULL: unknown here. */
const ActMeans *acts_find_means(const Acts *acts, const char *name);
bool act_is_same_value(const ActMeans *means, const ActRecord *record, const char *a,
                       const char *b);
/* Has the VM, or the boot, that it was for gone, and the write with it? */
bool act_record_is_over(const Acts *acts, const ActRecord *record);
typedef void (*ActCallEndFunc)(ActCall *call, bool was_written, const char *value,
                               const char *problem);
/* Asks the means of the record, which need not be in the journal. */
void run_call(Run *run, const ActRecord *record, bool is_read_only, ActCallEndFunc end);

/* Loads the journal, looks at every unfinished record, then goes on with run_start(). */
void run_load(Run *run);
void run_start(Run *run);
/* By the terms alone, and by the terms and the journal; *ret_has_tripped: this plan is the one that
 * opened a breaker. */
ActLeave run_leave_at_once(const Run *run);
ActLeave run_leave(Run *run, bool *ret_has_tripped);
