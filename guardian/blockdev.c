/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "blockdev.h"

#include "sysfs.h"

/* 17 numbers of at most 20 digits. */
#define STAT_BYTES 512

/* The numbers of a line, at most n_max; returns how many there are. */
static guint
numbers_parse(const char *text, guint64 *numbers, guint n_max)
{
    guint n = 0;

    while (n < n_max) {
        char *end;

        while (g_ascii_isspace(*text))
            text++;
        if (!g_ascii_isdigit(*text))
            break;
        numbers[n++] = g_ascii_strtoull(text, &end, 10);
        text = end;
    }
    return n;
}

bool
block_device_parse_inflight(const char *text, guint32 *ret_inflight)
{
    guint64 numbers[2];

    if (numbers_parse(text, numbers, 2) < 2 || numbers[0] > G_MAXINT32 || numbers[1] > G_MAXINT32)
        return false;
    *ret_inflight = (guint32)(numbers[0] + numbers[1]);
    return true;
}

bool
block_device_parse_stat(const char *text, guint64 *ret_completed, guint64 *ret_time_ms)
{
    /* Documentation/block/stat.rst, counted from 0; 11 fields before Linux 4.18. */
    enum { READS = 0, READ_TICKS = 3, WRITES = 4, WRITE_TICKS = 7, N_FIELDS = 11 };
    guint64 numbers[N_FIELDS];

    if (numbers_parse(text, numbers, N_FIELDS) < N_FIELDS)
        return false;
    *ret_completed = numbers[READS] + numbers[WRITES];
    *ret_time_ms = numbers[READ_TICKS] + numbers[WRITE_TICKS];
    return true;
}

static BlockDeviceAnswer
attribute_read(const Host *host, const char *link, const char *name, char *text)
{
    g_autoptr(GError) error = NULL;
    auto_fd fd = sysfs_open(host, link, name, &error);

    if (fd >= 0 && host_reread(fd, text, STAT_BYTES, &error) >= 0)
        return BLOCK_DEVICE_READ;
    return g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE) ? BLOCK_DEVICE_GONE
                                                                       : BLOCK_DEVICE_UNKNOWN;
}

BlockDeviceAnswer
block_device_read(const Host *host, guint32 major, guint32 minor, BlockDevice *ret_device)
{
    char link[64], inflight[STAT_BYTES], stat[STAT_BYTES];
    BlockDevice device;
    BlockDeviceAnswer answer;

    g_snprintf(link, sizeof link, "dev/block/%u:%u", major, minor);
    answer = attribute_read(host, link, "inflight", inflight);
    if (answer == BLOCK_DEVICE_READ)
        answer = attribute_read(host, link, "stat", stat);
    if (answer == BLOCK_DEVICE_GONE &&
        faccessat(host_root_fd(host, HOST_SYS), "dev/block", F_OK, 0) < 0)
        return BLOCK_DEVICE_UNKNOWN; /* a container without sysfs */
    if (answer != BLOCK_DEVICE_READ)
        return answer;
    if (!block_device_parse_inflight(inflight, &device.inflight) ||
        !block_device_parse_stat(stat, &device.completed, &device.time_ms))
        return BLOCK_DEVICE_UNKNOWN;
    *ret_device = device;
    return BLOCK_DEVICE_READ;
}
