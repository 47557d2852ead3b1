/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The flight recorder of one VM: its last samples in memory, as scenario text, so that the minutes
 * before an alarm are in the evidence and can be replayed. It asks no clock and writes no file. */

#include "model.h"

typedef struct Recorder Recorder;

Recorder *recorder_new(const char *vm_name);
void recorder_free(Recorder *recorder);
void recorder_add(Recorder *recorder, const Sample *sample);

/* The remembered samples newer than after_us (monotonic; < 0 all) as one scenario that replays; a
 * new string, "" when there are none. At least the last 7 minutes or 256 samples are remembered, at
 * most twice that; fewer when a sample is very long. */
char *recorder_text(const Recorder *recorder, gint64 after_us);
/* When the disk was first seen to have completed what the newest sample counts; *ret_at_us is that
 * sample's now_us. false: the disk is not known, has no counters, or never moved since it is. */
bool recorder_disk_moved(const Recorder *recorder, const char *disk_id, gint64 *ret_at_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recorder, recorder_free)
