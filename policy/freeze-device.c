/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-device.h"

#define MILLISECOND_NS G_GUINT64_CONSTANT(1000000)
/* A disk that turns serves 100 requests a second: a quarter of a second is a queue of 25. Flash
 * that takes as long is in trouble. */
#define SLOW_NS (250 * MILLISECOND_NS)
/* Between two samples a slow device may complete nothing; for longer it is stuck, not slow. */
#define COMPLETES_WITHIN_US (10 * (gint64)G_USEC_PER_SEC)

void
device_follow(DeviceTrack *device, const DiskSample *disk, gint64 now_us)
{
    guint64 completed = disk->device_completed - device->completed;
    guint64 time_ns = disk->device_time_ns - device->time_ns;
    bool is_first = !device->is_seen || disk->device_completed < device->completed ||
                    disk->device_time_ns < device->time_ns;

    if (!disk->has_device)
        return;
    device->is_seen = true;
    device->completed = disk->device_completed;
    device->time_ns = disk->device_time_ns;
    if (is_first) {
        device->slow_since_us = 0;
        return;
    }
    if (completed == 0) {
        if (now_us - device->completed_last_us > COMPLETES_WITHIN_US)
            device->slow_since_us = 0;
        return;
    }
    device->completed_last_us = now_us;
    if (time_ns / completed < SLOW_NS)
        device->slow_since_us = 0;
    else if (device->slow_since_us == 0)
        device->slow_since_us = now_us;
}

bool
device_is_saturated(const DeviceTrack *device, const DiskContext *context)
{
    gint64 now = context->sample->now_us;

    return device->slow_since_us > 0 &&
           now - device->slow_since_us >= context->limits->patience_us / 2 &&
           now - device->completed_last_us <= COMPLETES_WITHIN_US;
}
