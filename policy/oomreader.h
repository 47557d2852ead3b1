/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Kernel OOM reports out of any log: who died, in which domain, and what the memory was. Reads the
 * reports of Linux 4.x to 6.x, of cgroup v1 and v2 and of the whole host, behind any prefix, cut
 * short, between other lines, beside the report of another host or thread. Bytes in, structs out;
 * any bytes are taken, memory is bounded by the limits below whatever the length of the log. */

#include "oomreport.h"

/* A host of 300 VMs shows some thousand tasks in a global report. */
#define OOM_TASKS_MAX 16384 /* of one report */
/* 20 MiB: what all reports of one log may hold. Tasks past either bound are counted as a cut. */
#define OOM_ALL_TASKS_MAX 131072
#define OOM_REPORTS_MAX 1024 /* a loop's first thousand; later ones are only counted */
#define OOM_VICTIMS_MAX 256  /* of one event */

typedef struct OomReader OomReader;

OomReader *oomreader_new(void);
void oomreader_free(OomReader *reader);
/* Bytes of the log, split anywhere. */
void oomreader_feed(OomReader *reader, const char *bytes, gsize length);
/* Ends the log: all reports in order of their first line, copies of one event left out, accounted
 * and blamed (oomparts.h, oomblame.h). guest: the RAM of the VM's guest. Borrowed from the reader,
 * which takes no more bytes. */
const GPtrArray *oomreader_finish(OomReader *reader, OomSize guest);
/* Reports past OOM_REPORTS_MAX, by their first lines. */
guint64 oomreader_n_dropped(const OomReader *reader);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OomReader, oomreader_free)
