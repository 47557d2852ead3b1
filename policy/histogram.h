/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sizes in exponentially growing buckets whose weights halve in a day: what was seen lately counts
 * more, and nothing is kept but the weights. The way of the Kubernetes Vertical Pod Autoscaler
 * (vertical-pod-autoscaler/pkg/recommender/util: histogram_options.go, decaying_histogram.go).
 * Pure: the caller gives the time, in seconds of wall-clock time, because it outlives a boot. */

#include <glib.h>
#include <stdbool.h>

/* The first bucket ends at 1 MiB, each next one is 5 % wider (the recommender's ratio): so no size
 * is overstated by more than 5 % of itself and 1 MiB, and the last bucket begins past 80 GiB. The
 * recommender's first bucket of 10 MB is too wide for helpers of 20 MiB. */
#define HISTOGRAM_BUCKETS 172

typedef struct {
    double weights[HISTOGRAM_BUCKETS]; /* as of reference_s */
    double total;
    gint64 reference_s; /* a sample at this time weighs 1 */
    gint64 first_s, last_s;
    guint64 n_samples;
} Histogram; /* zeroed is empty */

void histogram_add(Histogram *histogram, guint64 bytes, gint64 at_s);
/* The end of the bucket below which that part (in thousandths) of the weight lies; 0 when empty. */
guint64 histogram_percentile(const Histogram *histogram, guint thousandths);

/* One line of text without its newline: "1 first last samples bucket:weight ...", weights in
 * ten-thousandths of the largest as the recommender's checkpoints. New string. */
char *histogram_format(const Histogram *histogram);
/* false, and *ret_ untouched: not of that form, or of the future (later than now_s). */
bool histogram_parse(const char *text, gint64 now_s, Histogram *ret_histogram);
