/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Storage that is busy for all: the host's device below the disk completes requests, but each takes
 * long. Then a request of this disk that is not back yet waits its turn, and is no freeze: it is
 * suspected as storage-saturated until the cap of patience. A device that completes nothing is
 * another story (evidence.h), and one that is busy and fast explains nothing. */

#include "freeze-disk.h"

/* Takes the device's newest counters over, where the sample has them. */
void device_follow(DeviceTrack *device, const DiskSample *disk, gint64 now_us);
/* Has it been slow for everybody for half the patience, and is still? */
bool device_is_saturated(const DeviceTrack *device, const DiskContext *context);
