/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries out plans: look -> durable intent -> write -> read back -> commit, one write after the
 * other, and keeps in the journal how to undo each. Asks decide_act() (policy/decide.h) before
 * anything else; in observe nothing is written anywhere, not even the intent.
 *
 * After a kill at any instant the journal tells of every write that was done. An intent that
 * nobody has finished is looked at when the journal is loaded: the value in force says whether it
 * was applied or not done. */

#include "act-journal.h"
#include "act-means.h"
#include "decide.h"

typedef struct Acts Acts;

/* What the caller knows of the VM now; the engine adds what the journal knows. */
typedef struct {
    bool is_enforced;  /* mode = enforce, and this kind of act is enforced on this VM */
    bool is_commanded; /* an administrator's own command */
    bool is_suspect;   /* act_is_suspect() */
    gint64 cool_down_us;
    guint budget_vm, budget_host; /* writes in DECIDE_BUDGET_WINDOW_US */
} ActTerms;

typedef struct {
    ActLeave leave;         /* LEAVE_GO: it was begun, and the rest holds */
    bool has_tripped;       /* by this plan: worth an alert */
    const GPtrArray *names; /* of char *: the records that were written, in order */
    guint n_applied;        /* of the plan's writes, from the first on */
    const char *problem;    /* why the rest was not done; NULL when all was */
} ActOutcome;
/* Exactly once. All of it is borrowed. */
typedef void (*ActsDoneFunc)(const ActOutcome *outcome, gpointer data);

/* Knows the means of memory limits and of scores; others are added. Borrows host. */
Acts *acts_new(const Host *host, GMainContext *context);
void acts_free(Acts *acts);
void acts_add_means(Acts *acts, const ActMeans *means);

/* Loads the journal, settles what an earlier process left unfinished, asks for leave, and carries
 * out steps in their order (of ActRecord of one subject and one kind, at least one; taken). Stops
 * at the first that does not read back as asked. */
void acts_begin(Acts *acts, const ActTerms *terms, GPtrArray *steps, ActsDoneFunc done,
                gpointer data);
/* Only loads and settles; the outcome's problem tells what could not be read. */
void acts_load(Acts *acts, ActsDoneFunc done, gpointer data);
/* Is a plan for this process under way? */
bool acts_is_busy(const Acts *acts, pid_t pid, guint64 start_ticks);
/* acts_free() is under way: what is told now is only cleared up. */
bool acts_is_ending(const Acts *acts);
const ActJournal *acts_journal(const Acts *acts);
/* The newest applied records of that VM and kind that are not undone, newest first, as records that
 * take them back; NULL kind: all. Unref. */
GPtrArray *acts_undo_plan(const Acts *acts, pid_t pid, guint64 start_ticks, const char *kind);
/* Closes the breakers, and what was in vain is tried again: somebody has looked. */
void acts_reset(Acts *acts);

/* Is a stall suspected on the VM, or on a storage that one of its disks uses? vms: of Vm. */
bool act_is_suspect(const Vm *vm, const GPtrArray *vms);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Acts, acts_free)
