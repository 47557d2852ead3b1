/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* May memory.high of a group that stands still (livelock.h) be lifted? Its hog goes on then until
 * it meets memory.max, and the kernel kills it: a help only where all that is beside it lives on,
 * and the host can give the group all of memory.max meanwhile. Pure. */

#include <glib.h>
#include <stdbool.h>

typedef struct {
    bool has_max;
    guint64 usage_bytes, max_bytes;
    bool has_available;
    guint64 available_bytes, reserve_bytes; /* the host's memory, and what of it is nobody's */
    bool has_beside;                        /* another process that would live on */
    bool hog_is_vm;
    bool has_group_kill;    /* known of every group from the hog's to this one: */
    bool kills_group;       /* memory.oom.group is set in one of them */
    bool is_unit;           /* the hog is in a service or scope of systemd's */
    const char *oom_policy; /* of that unit; "" it has none; NULL not known */
    bool hog_is_main;       /* process of that unit */
} LiftFacts;

/* Why not, a static phrase; NULL: it may. What is not known forbids. */
const char *lift_refusal(const LiftFacts *facts);
