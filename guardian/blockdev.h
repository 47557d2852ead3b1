/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's block devices by number: what is in flight in them, and what they have completed.
 * sysfs only, no device is opened. With aio=native this is the only evidence there is. */

#include "host.h"

typedef struct {
    guint32 inflight;  /* reads and writes */
    guint64 completed; /* reads and writes since boot */
    guint64 time_ms;   /* that these took together */
} BlockDevice;

typedef enum {
    BLOCK_DEVICE_READ,
    BLOCK_DEVICE_GONE,    /* the host has no such device (any more), or it never was one */
    BLOCK_DEVICE_UNKNOWN, /* cannot be read */
} BlockDeviceAnswer;

/* The texts of inflight ("       0        1") and stat. false: not of that shape. */
bool block_device_parse_inflight(const char *text, guint32 *ret_inflight);
bool block_device_parse_stat(const char *text, guint64 *ret_completed, guint64 *ret_time_ms);
/* *ret_device only with BLOCK_DEVICE_READ. */
BlockDeviceAnswer block_device_read(const Host *host, guint32 major, guint32 minor,
                                    BlockDevice *ret_device);
