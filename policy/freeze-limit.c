/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-limit.h"

#include "freeze.h"

/* Linux splits at 1280 KiB by default (max_sectors_kb): the largest single request a limit must let
 * pass. */
#define REQUEST_BYTES_MAX (1280 * 1024.0)
/* The smallest that a file system writes. */
#define PAGE_BYTES 4096.0
/* A limit may hold one request while it pays for two before it. */
#define PATIENCE_REQUESTS 3
/* The samples between which something completes are up to a period off at both ends, and a burst
 * is paid later: four times the limit is still the limit. */
#define PACE_ABOVE_MIN 4.0
/* Several disks of a group share one limit; a sixteenth of it may be all that one of them gets. */
#define PACE_BELOW_MAX (1 / 16.0)

/* Seconds one legal request can take under the disk's own limit; 0 without one. */
static double
limit_request_s(const DiskSample *disk)
{
    double by_bytes = 0, by_operations = 0;

    if (!disk->has_limit)
        return 0;
    if (disk->limit_bps > 0)
        by_bytes = REQUEST_BYTES_MAX / (double)disk->limit_bps;
    if (disk->limit_iops > 0)
        by_operations = 1.0 / (double)disk->limit_iops;
    return MAX(by_bytes, by_operations);
}

gint64
freeze_patience_us(const DiskSample *disk, const Limits *limits)
{
    double wanted_us = PATIENCE_REQUESTS * limit_request_s(disk) * G_USEC_PER_SEC;

    if (wanted_us >= (double)limits->patience_max_us)
        return MAX(limits->patience_max_us, limits->patience_us);
    return MAX((gint64)wanted_us, limits->patience_us);
}

bool
limit_explains(const DiskSample *disk, const Limits *limits)
{
    return PATIENCE_REQUESTS * limit_request_s(disk) * G_USEC_PER_SEC > (double)limits->patience_us;
}

bool
limit_is_shut(const DiskSample *disk, const Limits *limits)
{
    return disk->has_limit && disk->limit_bps > 0 &&
           PAGE_BYTES / (double)disk->limit_bps * G_USEC_PER_SEC > (double)limits->patience_max_us;
}

/* How much of a limit was used: 1 is all of it; 0 without that limit. */
static double
limit_share(guint64 limit_per_s, guint64 done, gint64 elapsed_us)
{
    if (limit_per_s == 0 || elapsed_us <= 0)
        return 0;
    return (double)done * G_USEC_PER_SEC / (double)elapsed_us / (double)limit_per_s;
}

Pace
limit_pace(const DiskSample *disk, guint64 bytes, guint64 operations, gint64 elapsed_us)
{
    double by_bytes = 0, by_operations = 0, tightest;

    if (disk->has_limit) {
        by_bytes = limit_share(disk->limit_bps, bytes, elapsed_us);
        by_operations = limit_share(disk->limit_iops, operations, elapsed_us);
    }
    tightest = MAX(by_bytes, by_operations);
    if (tightest > PACE_ABOVE_MIN)
        return PACE_ABOVE;
    return tightest >= PACE_BELOW_MAX ? PACE_LIMIT : PACE_BELOW;
}
