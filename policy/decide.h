/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Verdicts before and after one tick -> what is to be done about them. An alert is opened once when
 * a freeze is named, becomes urgent once when it is paged, and is closed once. Suspicions and
 * unknowns are shown, and alert nobody.
 *
 * And whether a plan may be carried out now: the only place where that is decided. */

#include "model.h"

typedef enum {
    ALERT_NONE,
    ALERT_OPEN,  /* named: somebody should look */
    ALERT_PAGE,  /* paged: somebody must be woken */
    ALERT_CLOSE, /* progress, or the VM no longer runs */
} AlertStep;

AlertStep decide_alert(const Verdict *before, const Verdict *after);

/* The window of the write budgets. */
#define DECIDE_BUDGET_WINDOW_US (3600 * G_GINT64_CONSTANT(1000000))

/* A write that was refused, or did not stay, may have met a race once. Three in a row meet whatever
 * refuses them, and each costs two syncs of the journal. */
#define DECIDE_VAIN_MAX 3

typedef struct {
    bool is_enforced; /* the mode allows this kind of act on this VM */
    bool
        is_commanded; /* by an administrator, by hand: no mode, cool-down or budget holds it back */
    bool is_suspect;  /* a stall is suspected on the VM, or on a storage it uses */
    bool is_busy;     /* another act on this VM is under way */
    bool is_tripped;  /* a budget was spent before, and nobody has looked since */
    bool has_failed;  /* an earlier write of this kind did not read back as asked */
    guint n_vain;     /* writes of this kind in a row that were not done, since somebody looked */
    bool is_taken_back; /* the newest write of this kind is an administrator's undo */
    bool has_last;      /* something of this kind was written to this VM before */
    gint64 since_last_us;
    gint64 cool_down_us;
    guint n_writes;              /* that the plan wants, at least 1 */
    guint written_vm, budget_vm; /* within DECIDE_BUDGET_WINDOW_US */
    guint written_host, budget_host;
} ActFacts;

typedef enum {
    LEAVE_GO,
    LEAVE_OBSERVE,     /* written down, not done */
    LEAVE_SUSPECT,     /* no write of any kind while a stall is suspected */
    LEAVE_BUSY,        /* at most one act per VM at a time */
    LEAVE_FAILED,      /* never tried again */
    LEAVE_VAIN,        /* it was tried often enough: until somebody looks */
    LEAVE_TAKEN_BACK,  /* an administrator wants it otherwise */
    LEAVE_TRIPPED,     /* the breaker is open */
    LEAVE_COOL_DOWN,   /* too soon after the last one */
    LEAVE_BUDGET_VM,   /* trips the breaker of this VM */
    LEAVE_BUDGET_HOST, /* trips every VM's */
} ActLeave;

/* What harms least comes first: in observe nothing else is looked at. */
ActLeave decide_act(const ActFacts *facts);
/* Is it one that nothing but a person ends? A suspicion and a cool-down end by themselves, and who
 * took it back knows of it. */
bool act_leave_is_for_good(ActLeave leave);
/* A phrase for a person, static; "" for LEAVE_GO. */
const char *act_leave_reason(ActLeave leave);
