/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A block job that stands still while its disk does: the target of a backup does not answer, and
 * each write of the guest waits until what it overwrites has been copied there.
 *
 * A job that may stand still says nothing. One that is paused, ready or done is no job in the
 * sample. A backup that copies only what the guest overwrites (sync=none, the pull backups of
 * libvirt) stands still with an idle guest; it is told from the others because it never moves by
 * itself, and is no more than suspected.
 *
 * A job with a speed of its own goes on when what it has copied is paid for at that speed; it also
 * pays for what the guest overwrote, which did not wait (QEMU: block_copy_dirty_clusters(),
 * ratelimit_calculate_delay()). So its debt is followed: it grows by what is copied and shrinks
 * with the time. All it ever copied is the most it can be; a job that moves by itself has none at
 * that moment, and then owes no more than what was copied since. It may stand still for the time of
 * its debt and of one chunk without being more than suspected. */

#include "freeze-disk.h"

/* Takes the job's newest offset over, in every sample. */
void job_follow(JobTrack *job, const DiskSample *disk, gint64 now_us);
/* Has it stood still, together with the disk, for so long that its target is the reason? *ret_us is
 * how long it was granted. */
bool job_is_stalled(const DiskTrack *track, const DiskContext *context, gint64 *ret_us);
/* Of a stalled job: is there nothing else that explains it, so that it is more than a suspicion? */
bool job_is_proof(const DiskTrack *track, const DiskContext *context);
