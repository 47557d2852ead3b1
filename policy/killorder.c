/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "killorder.h"

/* Pod and container. */
#define RESERVED_WRITES 2

bool
kill_order_score(const Limits *limits, Role role, bool is_vm, gint *ret_score)
{
    gint64 wanted = SCORE_KEEP;

    if (is_vm)
        wanted = limits->oom_score_qemu;
    else if (role == ROLE_STRANGER)
        wanted = limits->oom_score_strangers;
    /* those hold the container itself, and are scored by who made it */
    else if (role_is_helper(role) && role != ROLE_PAUSE && role != ROLE_CONMON)
        wanted = limits->oom_score_helpers;
    if (wanted == SCORE_KEEP)
        return false;
    *ret_score = (gint)wanted;
    return true;
}

bool
kill_order_group(const Limits *limits, bool is_innermost, bool is_set, bool *ret_wanted)
{
    bool wanted = limits->oom_group == OOM_GROUP_1;

    if (limits->oom_group == OOM_GROUP_KEEP || wanted == is_set || (wanted && !is_innermost))
        return false;
    *ret_wanted = wanted;
    return true;
}

bool
kill_order_is_asked(const Limits *limits)
{
    return limits->oom_group != OOM_GROUP_KEEP || limits->oom_score_qemu != SCORE_KEEP ||
           limits->oom_score_helpers != SCORE_KEEP || limits->oom_score_strangers != SCORE_KEEP;
}

static guint
left(gint64 budget, guint written)
{
    return budget > written ? (guint)MIN(budget - written, G_MAXINT) : 0;
}

guint
kill_order_room(const Limits *limits, guint written_vm, guint written_host)
{
    return MIN(left(limits->act_writes_vm - RESERVED_WRITES, written_vm),
               left(limits->act_writes_host - RESERVED_WRITES, written_host));
}
