/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The lowest memory limits under which a VM lives, and which of its groups must be raised to them,
 * in the order of writing: the pod before its container. Each group needs
 *
 *     what it holds that cannot be reclaimed + guest RAM not yet touched + margin
 *
 * and, where it is growth beside the guest that kills, what that grows until the next write may
 * come; rounded up to pages. A VM that is neither lost for certain nor dying of growth is left
 * alone. Nothing is planned that the host could not back now, nothing above the cap, and nothing on
 * a group that other VMs share: then there is a refusal, and no half plan. Lowering is planned only
 * when it is asked for. memory.high is never set. Total functions on integers. */

#include <glib.h>
#include <stdbool.h>

#define LIMITS_LEVELS_MAX 32
/* Nobody's pages are smaller; a limit is rounded down to them by the kernel. */
#define LIMITS_PAGE_BYTES 4096

typedef struct {
    guint64 limit_bytes;
    bool has_unreclaimable;
    guint64 unreclaimable_bytes;
    bool is_own;            /* the VM's alone */
    guint64 original_bytes; /* before we first raised it; the limit itself when we never did */
} LimitsLevel;

typedef struct {
    LimitsLevel levels[LIMITS_LEVELS_MAX]; /* those that carry a limit, from the VM's own up */
    guint n_levels;
    bool has_left;
    guint64 guest_left_low_bytes; /* guest RAM not yet touched, at least: is it lost at all? */
    guint64 guest_left_bytes;     /* at most: then what does suffice? */
    guint64 margin_bytes;
    guint64 growth_bytes; /* beside the guest, until the next write; 0: it does not die of that */
    guint64 raise_max_bytes; /* above a group's original limit */
    bool has_available;
    guint64 available_bytes, reserve_bytes; /* the host's memory, and what of it is nobody's */
    bool has_wanted;
    guint64 wanted_bytes; /* asked for: the limit of the innermost own group, higher or lower */
} LimitsInput;

typedef struct {
    guint level; /* of LimitsInput.levels */
    guint64 old_bytes, new_bytes;
} LimitsStep;

typedef struct {
    LimitsStep steps[LIMITS_LEVELS_MAX];
    guint n_steps;         /* 0 without a refusal: nothing is to be done */
    const char *refusal;   /* static sentence; NULL none */
    bool has_level;        /* with a refusal: of this group, */
    guint level;           /* which needs */
    guint64 needed_bytes;  /* so much, */
    guint64 allowed_bytes; /* and may have so much; 0: it is not ours to raise */
} LimitsPlan;

LimitsPlan limits_plan(const LimitsInput *input);
/* May the group be given this lower limit: is it at least what it holds and the margin? */
bool limits_may_lower(const LimitsLevel *level, guint64 margin_bytes, guint64 new_bytes);
