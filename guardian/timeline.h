/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Recorded samples as lines over time, for the picture of an incident (capture-svg.c). */

#include <glib.h>
#include <stdbool.h>

typedef enum { PANEL_WRITES, PANEL_FLIGHT, PANEL_CPU, PANEL_MEMORY, N_PANELS } PanelId;

typedef struct {
    gint64 at_us;
    double value; /* NAN: unknown */
} Point;

typedef struct {
    char *id;       /* of the disk, or a word */
    char *name;     /* printable, short */
    GArray *points; /* of Point */
    bool is_rate;   /* a value tells of the time since the point before, else of the moment */
    bool has_last;
    guint64 last;
} Series;

typedef struct {
    GPtrArray *series; /* of Series */
    double top;        /* the largest value */
} Panel;

/* Something that lasted. */
typedef struct {
    gint64 from_us, to_us;
    bool is_silent; /* the monitor did not answer; else: the guest was not running */
} Band;

typedef struct {
    gint64 from_us, to_us; /* monotonic */
    guint n_samples;
    Panel panels[N_PANELS];
    GArray *bands; /* of Band */
} Timeline;

/* More lines in one panel than this nobody can tell apart; further disks are left out. */
#define TIMELINE_SERIES_MAX 6

/* samples is a scenario's text; of one that does not parse nothing is known. */
Timeline *timeline_new(const char *samples);
void timeline_free(Timeline *timeline);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Timeline, timeline_free)
