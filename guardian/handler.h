/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* KubeVirt's virt-handler: one process a node, in a pod of its own, usually without a memory limit.
 * What it holds is taken from the node's VMs. */

#include "host.h"

#include <stdbool.h>

typedef struct {
    pid_t pid;           /* 0: none runs here */
    char *group;         /* printable; NULL: its group cannot be read */
    guint64 usage_bytes; /* with page cache */
    guint64 held_bytes;  /* cannot be reclaimed */
    bool has_limit;
    guint64 limit_bytes; /* the tightest, of its container, its pod or above */
    gint64 due_us;       /* while there is none: when it is looked for again, monotonic */
    gint64 pause_us;     /* up to then; twice as long each time */
} Handler;

/* Reads what the known one holds. Where none is known it is looked for: at once, later in growing
 * pauses up to ten minutes. Never blocks. */
void handler_look(const Host *host, Handler *handler, gint64 now_us);
void handler_clear(Handler *handler);
