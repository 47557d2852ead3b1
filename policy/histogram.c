/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "histogram.h"

#include <math.h>
#include <string.h>

#include "units.h"

#define FORMAT_VERSION 1
#define FIRST_BUCKET_BYTES ((double)UNITS_MIB)
#define RATIO 1.05
#define HALF_LIFE_S 86400.0
/* Weights grow by 2 a half-life towards the present: before they leave a double's range all are
 * scaled down. */
#define EXPONENT_MAX 100
/* What weighs less than this part of the largest weight is gone, as in the recommender. */
#define SCALE 10000.0
#define CLOCK_SLACK_S 3600 /* a clock that was set back a little is no reason to forget */

/* Where bucket i ends: the sum of the widths up to it. */
static double
bucket_end(guint i)
{
    double end = FIRST_BUCKET_BYTES, width = FIRST_BUCKET_BYTES;

    for (guint n = 0; n < i; n++) {
        width *= RATIO;
        end += width;
    }
    return end;
}

static guint
bucket_of(guint64 bytes)
{
    double end = FIRST_BUCKET_BYTES, width = FIRST_BUCKET_BYTES;
    guint i = 0;

    while (i < HISTOGRAM_BUCKETS - 1 && (double)bytes > end) {
        width *= RATIO;
        end += width;
        i++;
    }
    return i;
}

static void
reference_move(Histogram *histogram, gint64 to_s)
{
    double factor = exp2((double)(histogram->reference_s - to_s) / HALF_LIFE_S);

    histogram->total = 0;
    for (guint i = 0; i < HISTOGRAM_BUCKETS; i++) {
        histogram->weights[i] *= factor;
        histogram->total += histogram->weights[i];
    }
    histogram->reference_s = to_s;
}

void
histogram_add(Histogram *histogram, guint64 bytes, gint64 at_s)
{
    double weight;

    if (histogram->n_samples == 0)
        histogram->first_s = histogram->reference_s = histogram->last_s = at_s;
    if ((double)(at_s - histogram->reference_s) > EXPONENT_MAX * HALF_LIFE_S)
        reference_move(histogram, at_s);
    /* a clock that jumped back: an old sample weighs less, as it should */
    weight = exp2((double)(at_s - histogram->reference_s) / HALF_LIFE_S);
    histogram->weights[bucket_of(bytes)] += weight;
    histogram->total += weight;
    histogram->last_s = MAX(histogram->last_s, at_s);
    histogram->n_samples++;
}

guint64
histogram_percentile(const Histogram *histogram, guint thousandths)
{
    double threshold = histogram->total * thousandths / 1000, sum = 0;
    guint i = 0, last = 0;

    if (histogram->n_samples == 0 || histogram->total <= 0)
        return 0;
    for (; i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->weights[i] <= 0)
            continue;
        last = i;
        sum += histogram->weights[i];
        if (sum >= threshold)
            break;
    }
    return (guint64)bucket_end(last);
}

char *
histogram_format(const Histogram *histogram)
{
    GString *text = g_string_new(NULL);
    double largest = 0;

    for (guint i = 0; i < HISTOGRAM_BUCKETS; i++)
        largest = MAX(largest, histogram->weights[i]);
    g_string_append_printf(text, "%d %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT,
                           FORMAT_VERSION, histogram->first_s, histogram->last_s,
                           histogram->n_samples);
    for (guint i = 0; i < HISTOGRAM_BUCKETS; i++) {
        guint weight = largest > 0 ? (guint)(histogram->weights[i] / largest * SCALE + 0.5) : 0;

        if (weight > 0)
            g_string_append_printf(text, " %u:%u", i, weight);
    }
    return g_string_free(text, FALSE);
}

/* A number up to `end`, which is taken, too; false: none, or past max. */
static bool
number_take(const char **at, char end, guint64 max, guint64 *ret_value)
{
    guint64 value = 0;
    const char *from = *at;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (guint64)(**at - '0')) || value > max)
            return false;
    if (*at == from || (**at != end && **at != '\0'))
        return false;
    *at += **at != '\0';
    *ret_value = value;
    return true;
}

static bool
weights_take(const char *at, Histogram *histogram)
{
    guint64 index, weight, next = 0;

    while (*at) {
        if (!number_take(&at, ':', HISTOGRAM_BUCKETS - 1, &index) || index < next ||
            !number_take(&at, ' ', (guint64)SCALE, &weight))
            return false;
        next = index + 1;
        histogram->weights[index] = (double)weight / SCALE;
        histogram->total += histogram->weights[index];
    }
    return true;
}

bool
histogram_parse(const char *text, gint64 now_s, Histogram *ret_histogram)
{
    Histogram histogram = {0};
    guint64 version, first, last, n;

    if (!number_take(&text, ' ', FORMAT_VERSION, &version) || version != FORMAT_VERSION ||
        !number_take(&text, ' ', G_MAXINT64, &first) ||
        !number_take(&text, ' ', G_MAXINT64, &last) || !number_take(&text, ' ', G_MAXINT64, &n) ||
        !weights_take(text, &histogram))
        return false;
    if (first > last || (gint64)last > now_s + CLOCK_SLACK_S || (n > 0) != (histogram.total > 0))
        return false;
    histogram.first_s = (gint64)first;
    histogram.last_s = histogram.reference_s = (gint64)last;
    histogram.n_samples = n;
    *ret_histogram = histogram;
    return true;
}
