/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's memory as a whole: read and judged once a memory period, with the groups that
 * memory.high slows down, and the kernel's OOM kills. */

#include "bands.h"
#include "hostmemory.h"
#include "oom-watch.h"
#include "reservations.h"
#include "trees.h"

typedef struct HostWatch {
    const Host *host;
    HostMemory memory;
    HostVms vms;
    HostVerdict verdict;
    gint64 since_us; /* the verdict has this level since */
    gint64 read_us;
    Bands *bands;
    Trees *trees;
    OomWatch *oom;
    Reservations *reservations;
    bool is_daemon;                                                /* what was learned is saved */
    void (*changed)(const struct HostWatch *watch, gpointer data); /* its level; NULL */
    gpointer data;
} HostWatch;

HostWatch *host_watch_new(const Host *host);
void host_watch_free(HostWatch *watch);
/* Reads and judges the host now, by what its VMs' newest samples say. vms is of Vm. limits are the
 * host's. */
void host_watch_look(HostWatch *watch, const GPtrArray *vms, const Limits *limits, gint64 now_us);
/* The same when it is due, with OOM kills and reservations. */
void host_watch_follow(HostWatch *watch, const GPtrArray *vms, const Limits *limits, gint64 now_us);
