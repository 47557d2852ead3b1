/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest died, its disk did not. Nothing from outside proves that, and an idle guest, a finished
 * job and a boot menu look much like it. It is suspected, and no more than suspected, only when all
 * of this holds; where a fact is missing there is no suspicion:
 *
 *   - nothing is in flight, no limit and no job explains the silence, and the VM runs;
 *   - every disk that used to be written to has been quiet for longer than its habit allows, four
 *     times its longest gap, and for two minutes at least;
 *   - what completed last was a write, or its flush: firmware and boot loaders only read, so that a
 *     guest that was reset and waits in its boot menu has not died;
 *   - the CPU load is flat ten seconds into the silence and from then on, at a level that a living
 *     kernel does not keep: less than 0.2 % of a CPU, and of that next to nothing outside QEMU's
 *     main thread, where that is known (all its CPUs halted for good; the idlest Linux takes more
 *     for its timers), or one or more CPUs in full (a panic spins); and before it was another.
 *     Processes that pile up behind dead storage make the load climb, a panic is flat at once;
 *   - the VM's network traffic collapsed with it and it was watched for an hour. Where its traffic
 *     says nothing (none is known, or there was none) only a halted guest that was watched for a
 *     day is suspected: a guest that spins may as well compute. */

#include "track.h"

/* Takes the sample over, after its disks. */
void guest_follow(Track *track, const Sample *sample);
/* Is the guest suspected to be dead? verdicts: what is about to be said of each disk of the track,
 * under the same index. */
bool guest_is_silent(const Track *track, const Verdict *verdicts, const Sample *sample,
                     const Limits *limits);
/* Is it worth to know what the main thread takes? */
bool guest_wants_main_cpu(const Track *track);
/* What is then said of the disks that used to be written to. */
Verdict guest_verdict(const Track *track, const Limits *limits);
