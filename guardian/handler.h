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
} Handler;

/* Reads what the known one holds; looks for it where none is known. Never blocks. */
void handler_look(const Host *host, Handler *handler);
void handler_clear(Handler *handler);
