/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is usual for this disk and this VM, and the second signals that say it is not usual now. A
 * broken habit is a suspicion; only together with a second signal, and after a day of learning,
 * does it accuse. */

#include "model.h"

/* A day holds the nightly job and the hourly one. */
#define HABIT_LEARNED_US (86400 * (gint64)G_USEC_PER_SEC)

/* Of one disk. */
typedef struct {
    guint progress_samples;  /* samples with progress since it is watched */
    gint64 learned_since_us; /* the first of them */
    gint64 last_progress_us;
    gint64 longest_gap_us; /* between two of them */
} Habit;

void habit_note_progress(Habit *habit, gint64 now_us);
/* Takes over what was learned before a restart. is_same_spell: nothing has completed since, so the
 * quiet spell goes on; else it begins anew now. */
void habit_resume(Habit *habit, const Habit *before, bool is_same_spell, gint64 now_us);
/* Had it been writing, so that silence means something? */
bool habit_is_writer(const Habit *habit);
/* Four times its longest quiet gap, and no less than the patience. */
gint64 habit_usual_us(const Habit *habit, gint64 patience_us);
/* How long may it be quiet until that is strange? has_signal: something else is strange, too.
 * G_MAXINT64: it is no writer. */
gint64 habit_patience_us(const Habit *habit, gint64 now_us, gint64 patience_us, bool has_signal);
/* Learned for long enough to accuse. */
bool habit_is_learned(const Habit *habit, gint64 now_us);

/* Half a minute of CPU load is one bin: shorter ones are noise, and six of them make three minutes.
 */
#define SIGNALS_BIN_US (30 * (gint64)G_USEC_PER_SEC)
#define SIGNALS_BINS 12

/* Of one VM: its CPU load and network traffic before and during the quiet spell of a disk. */
typedef struct {
    bool has_last;
    gint64 last_us;
    guint64 last_cpu_us, last_network_bytes;
    gint64 quiet_since_us; /* 0: no disk is strangely quiet */
    bool has_network_before, has_network_now;
    double network_before; /* bytes/s, decaying average while it was busy */
    gint64 quiet_network_us;
    guint64 quiet_network_bytes; /* counter when the spell began */
    double network_now;          /* bytes/s over the spell */
    gint64 bin_since_us;
    guint64 bin_cpu_us;
    guint n_bins;
    double
        bins[SIGNALS_BINS]; /* CPU load (1.0 = one CPU) of the newest bins of the spell, in time */
} Signals;

/* is_quiet: some disk of the VM that is a writer has been still for some samples. */
void signals_update(Signals *signals, const Sample *sample, bool is_quiet);
void signals_discard(Signals *signals);
/* Traffic fell to an eighth or less while the disk is quiet. */
bool signals_network_collapsed(const Signals *signals);
/* Load climbs through three minutes or more, and not in one step: processes pile up behind the
 * disk. */
bool signals_cpu_ramps(const Signals *signals);
