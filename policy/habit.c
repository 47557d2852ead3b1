/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "habit.h"

#include <string.h>

/* Fewer samples with progress are a boot, not a habit. */
#define WRITER_SAMPLES_MIN 3
/* Quiet for four times its longest gap is strange: the recorded healthy runs stay below three. */
#define GAP_FACTOR 4
/* While little is known, or something else is strange too, a writer is suspected within a minute.
 */
#define QUIET_MAX_US (45 * (gint64)G_USEC_PER_SEC)
#define YOUNG_US (3600 * (gint64)G_USEC_PER_SEC)

/* Averages over a minute or so of samples. */
#define AVERAGE_WEIGHT 0.05
/* Less traffic than this is background chatter, whose end says nothing. */
#define NETWORK_MIN_BPS 10000.0
#define NETWORK_FACTOR 8.0
#define NETWORK_SPELL_MIN_US (15 * (gint64)G_USEC_PER_SEC)
/* 6 bins of 30 s: three minutes. */
#define RAMP_BINS_MIN 6
/* Five points of one CPU: below is noise of the host. */
#define RAMP_RISE_MIN 0.05
/* A bin may fall by one point within a ramp. */
#define RAMP_DIP_MAX 0.01
/* One step that makes most of the rise is a job that began, not a pile that grows. */
#define RAMP_STEP_SHARE_MAX 0.6

void
habit_note_progress(Habit *habit, gint64 now_us)
{
    if (habit->progress_samples == 0)
        habit->learned_since_us = now_us;
    else
        habit->longest_gap_us = MAX(habit->longest_gap_us, now_us - habit->last_progress_us);
    habit->last_progress_us = now_us;
    if (habit->progress_samples < G_MAXUINT)
        habit->progress_samples++;
}

void
habit_resume(Habit *habit, const Habit *before, bool is_same_spell, gint64 now_us)
{
    bool is_fresh = habit->progress_samples == 0;

    habit->learned_since_us = is_fresh ? before->learned_since_us
                                       : MIN(habit->learned_since_us, before->learned_since_us);
    habit->longest_gap_us = MAX(habit->longest_gap_us, before->longest_gap_us);
    habit->progress_samples = MAX(habit->progress_samples, before->progress_samples);
    if (is_fresh)
        habit->last_progress_us = is_same_spell ? before->last_progress_us : now_us;
}

bool
habit_is_writer(const Habit *habit)
{
    return habit->progress_samples >= WRITER_SAMPLES_MIN;
}

gint64
habit_usual_us(const Habit *habit, gint64 patience_us)
{
    return MAX(GAP_FACTOR * habit->longest_gap_us, patience_us);
}

gint64
habit_patience_us(const Habit *habit, gint64 now_us, gint64 patience_us, bool has_signal)
{
    gint64 usual = habit_usual_us(habit, patience_us);
    bool is_young = now_us - habit->learned_since_us < YOUNG_US;

    if (!habit_is_writer(habit))
        return G_MAXINT64;
    return is_young || has_signal ? MIN(usual, MAX(QUIET_MAX_US, patience_us)) : usual;
}

bool
habit_is_learned(const Habit *habit, gint64 now_us)
{
    return habit_is_writer(habit) && now_us - habit->learned_since_us >= HABIT_LEARNED_US;
}

static void
note_network(Signals *signals, const Sample *sample, double seconds)
{
    double rate = (double)(sample->network_bytes - signals->last_network_bytes) / seconds;

    if (sample->network_bytes < signals->last_network_bytes) /* the interface was made anew */
        return;
    if (signals->quiet_since_us == 0) {
        signals->network_before =
            signals->has_network_before
                ? signals->network_before + AVERAGE_WEIGHT * (rate - signals->network_before)
                : rate;
        signals->has_network_before = true;
        return;
    }
    signals->has_network_now = sample->now_us - signals->quiet_network_us >= NETWORK_SPELL_MIN_US;
    if (signals->has_network_now)
        signals->network_now = (double)(sample->network_bytes - signals->quiet_network_bytes) *
                               G_USEC_PER_SEC /
                               (double)(sample->now_us - signals->quiet_network_us);
}

static void
note_cpu(Signals *signals, const Sample *sample)
{
    gint64 length = sample->now_us - signals->bin_since_us;

    if (signals->quiet_since_us == 0 || length < SIGNALS_BIN_US)
        return;
    if (signals->n_bins == SIGNALS_BINS) {
        memmove(signals->bins, signals->bins + 1, sizeof signals->bins - sizeof signals->bins[0]);
        signals->n_bins--;
    }
    signals->bins[signals->n_bins++] =
        (double)(sample->cpu_time_us - signals->bin_cpu_us) / (double)length;
    signals->bin_since_us = sample->now_us;
    signals->bin_cpu_us = sample->cpu_time_us;
}

static void
begin_spell(Signals *signals, const Sample *sample)
{
    signals->quiet_since_us = sample->now_us;
    signals->quiet_network_us = sample->now_us;
    signals->quiet_network_bytes = sample->network_bytes;
    signals->has_network_now = false;
    signals->bin_since_us = sample->now_us;
    signals->bin_cpu_us = sample->cpu_time_us;
    signals->n_bins = 0;
}

void
signals_update(Signals *signals, const Sample *sample, bool is_quiet)
{
    double seconds = (double)(sample->now_us - signals->last_us) / G_USEC_PER_SEC;

    if (is_quiet && signals->quiet_since_us == 0)
        begin_spell(signals, sample);
    else if (!is_quiet)
        signals->quiet_since_us = 0;
    if (signals->has_last && seconds > 0) {
        if (sample->has_network)
            note_network(signals, sample, seconds);
        if (sample->has_cpu)
            note_cpu(signals, sample);
    }
    signals->has_last = true;
    signals->last_us = sample->now_us;
    signals->last_cpu_us = sample->cpu_time_us;
    signals->last_network_bytes = sample->network_bytes;
}

void
signals_discard(Signals *signals)
{
    signals->has_last = false;
    signals->quiet_since_us = 0;
    signals->n_bins = 0;
}

bool
signals_network_collapsed(const Signals *signals)
{
    return signals->quiet_since_us > 0 && signals->has_network_before && signals->has_network_now &&
           signals->network_before >= NETWORK_MIN_BPS &&
           signals->network_now * NETWORK_FACTOR <= signals->network_before;
}

bool
signals_cpu_ramps(const Signals *signals)
{
    double rise, largest = 0;

    if (signals->quiet_since_us == 0 || signals->n_bins < RAMP_BINS_MIN)
        return false;
    for (guint i = 1; i < signals->n_bins; i++) {
        double step = signals->bins[i] - signals->bins[i - 1];

        if (step < -RAMP_DIP_MAX)
            return false;
        largest = MAX(largest, step);
    }
    rise = signals->bins[signals->n_bins - 1] - signals->bins[0];
    return rise >= RAMP_RISE_MIN && largest <= RAMP_STEP_SHARE_MAX * rise;
}
