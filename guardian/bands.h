/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Groups with memory.high below the slices that the policy names, and whether they stand still
 * (policy/livelock.h). Looked for every half minute, read with the tick. Only cgroup v2 has such a
 * band. Nothing here blocks: cgroup files, and statm, comm and wchan of a group's processes. */

#include "group-signals.h"
#include "hostmemory.h"
#include "livelock.h"
#include "settings.h"

typedef struct {
    char *label; /* its path, printable */
    GroupReader *reader;
    BandTrack track;
    BandSample sample; /* newest */
    /* While it is in the band: the process that holds most; hog_pid 0 unknown. */
    gint64 hog_pid;
    char *hog_name; /* printable; NULL unknown */
    guint64 hog_bytes;
    gint64 beside_pid; /* the oldest of its other processes; 0 none */
    char *lift;        /* what becomes of memory.high, printable; NULL: nobody has looked */
} Band;

typedef struct Bands Bands;
/* The band became a livelock, or is none any more. */
typedef void (*BandsFunc)(const Band *band, gpointer data);

/* Borrows host. */
Bands *bands_new(const Host *host);
void bands_free(Bands *bands);
void bands_set_func(Bands *bands, BandsFunc func, gpointer data);
/* While one is a livelock, after each reading. */
void bands_set_held_func(Bands *bands, BandsFunc func, gpointer data);
/* text goes into band_text() of that group, while it is a livelock. */
void bands_note(Bands *bands, const char *path, const char *text);
/* With the tick; does something once a memory period. */
void bands_follow(Bands *bands, const Limits *limits, const HostMemory *memory, gint64 now_us);
const GPtrArray *bands_list(const Bands *bands); /* of Band, borrowed */
/* "stands still between memory.high 12G and memory.max 16G, ...": what, who, why nothing ends it,
 * what to do; new string. */
char *band_text(const Band *band);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bands, bands_free)
