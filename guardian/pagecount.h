/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How much of a guest's RAM is touched: the pages of its mappings counted in /proc/<pid>/pagemap,
 * 2 MiB at a time with pauses, so that the process's mmap_lock is never held longer than for one
 * such range. smaps would hold it for all of it. It opens /proc/<pid>/maps, which can block for
 * ever on a hung process: in a worker only. */

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* Guest RAM seldom has more than a few backends; a machine has at most 256 slots. */
#define PAGECOUNT_BACKENDS_MAX 64

typedef struct {
    pid_t pid; /* whose; handed through */
    guint64 start_ticks;
    int proc_fd;                                 /* of /proc/<pid>; closed with the call */
    guint64 sizes_bytes[PAGECOUNT_BACKENDS_MAX]; /* of the RAM backends */
    guint n_sizes;
} PageCountCall;

typedef struct {
    pid_t pid;
    guint64 start_ticks;
    bool is_known;
    guint64 low_bytes,
        high_bytes;       /* high with pages that may be the kernel's zero page, or KSM's */
    guint64 shared_bytes; /* of these in shared memory or a file: not in RssAnon */
    /* QEMU's own anonymous memory: RssAnon less the rest, with what changed while it was counted
     * and what the kernel's counters are off by. */
    guint64 own_low_bytes, own_high_bytes;
    guint64 anon_bytes; /* RssAnon after it */
} PageCount;

/* Takes call and its descriptor; a new PageCount, g_free. The signature is a worker's. Unknown when
 * the mappings cannot be told apart by their sizes, or not be read. */
gpointer pagecount_run(gpointer call);
void pagecount_call_free(gpointer call);

/* Mappings of exactly these sizes in the text of maps; starts gets n_sizes addresses in the order
 * of the text. false: not as many of each size as there are backends. */
bool pagecount_find(const char *maps, const guint64 *sizes_bytes, guint n_sizes,
                    guint64 *ret_starts, guint64 *ret_lengths);
