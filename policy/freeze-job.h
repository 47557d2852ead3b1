/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A block job that stands still while its disk does: the target of a backup does not answer, and
 * each write of the guest waits until what it overwrites has been copied there.
 *
 * A job that may stand still says nothing. One that is paused, ready or done is no job in the
 * sample. One with a speed of its own is granted the time of a chunk, and no more than suspected:
 * it also pays for what the guest overwrote. A backup that copies only what the guest overwrites
 * (sync=none, the pull backups of libvirt) stands still with an idle guest; it is told from the
 * others because it never moves by itself, and no more than suspected either. */

#include "freeze-disk.h"

/* Takes the job's newest offset over, in every sample. */
void job_follow(JobTrack *job, const DiskSample *disk, gint64 now_us);
/* Has it stood still, together with the disk, for so long that its target is the reason? *ret_us is
 * how long it was granted. */
bool job_is_stalled(const DiskTrack *track, const DiskContext *context, const DiskSample *disk,
                    gint64 *ret_us);
