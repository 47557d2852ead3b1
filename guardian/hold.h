/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How long we may hold a monitor that others need. */

#include "settings.h"

/* A tenth less than what is promised: on a busy host our own timer wakes us late, and leaving takes
 * its time as well (seen: 500.2 ms of 500 with a load of 27). */
static inline gint64
hold_allowed_us(const Limits *limits)
{
    return limits->hold_max_us - limits->hold_max_us / 10;
}
