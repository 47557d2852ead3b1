/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a disk's own throttle limit explains: how long a request may wait for it, and whether what
 * completes does so at the pace that the limit sets. Without a limit nothing is explained. */

#include "model.h"
#include "settings.h"

/* Did what completed pass as the limit lets it pass? */
typedef enum {
    PACE_BELOW, /* far less than the limit allows: the wait has another reason */
    PACE_LIMIT, /* about as much: the limit is used to the full, and works */
    PACE_ABOVE, /* far more: a reset's drain let it through, not the limit */
} Pace;

/* bytes and operations completed within elapsed_us. PACE_BELOW without a limit. */
Pace limit_pace(const DiskSample *disk, guint64 bytes, guint64 operations, gint64 elapsed_us);
/* Can its own limit explain a wait? Only one that earned more patience than everybody has. */
bool limit_explains(const DiskSample *disk, const Limits *limits);
/* Not even one page passes within the cap of patience: whoever writes there waits for ever, and
 * needs no further evidence. */
bool limit_is_shut(const DiskSample *disk, const Limits *limits);
