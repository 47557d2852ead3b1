/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "freeze-guest.h"

/* The idlest Linux guest takes 0.2 to 0.3 % of a CPU, our own questions 0.04 to 0.14 %. */
#define HALTED_LOAD_MAX 0.002
/* They are answered in the main thread. Without it a halted guest takes 0.02 %, all of it QEMU's
 * own, and a kernel that has nothing but timers to serve 0.14 % or more. */
#define HALTED_BESIDE_MAX 0.0008
/* A CPU that spins is a whole one but for the host's own interruptions. */
#define SPINNING_OFF_MAX 0.02
/* Between the least and the greatest half minute. */
#define FLAT_SPREAD_MAX 0.01
/* Before, it was at least that far from where it is now: what always burned a CPU still does. */
#define CHANGE_MIN 0.05
/* And a guest that hardly did anything cannot be seen to stop. */
#define HALTED_BEFORE_MIN 0.01
/* More CPUs than any host has. */
#define LOAD_MAX 65536.0
/* A minute or so of samples. */
#define AVERAGE_WEIGHT 0.05
/* What it burned while it died says nothing of how it is now. */
#define DYING_US (10 * (gint64)G_USEC_PER_SEC)
/* Four half minutes. */
#define SILENT_BINS_MIN 4
#define WATCHED_WITH_NETWORK_US (3600 * (gint64)G_USEC_PER_SEC)
/* An eighth of the traffic is a collapse, below this nothing was going on. */
#define NETWORK_FACTOR 8.0
#define NETWORK_MIN_BPS 100.0

/* Of all disks together, since the VM started; writes with what only comes of them. */
static void
sum_counters(const Sample *sample, guint64 *ret_ops, guint64 *ret_writes)
{
    *ret_ops = *ret_writes = 0;
    for (guint i = 0; i < sample->n_disks; i++) {
        const DiskSample *disk = &sample->disks[i];

        if (!disk->has_counters)
            continue;
        *ret_ops += disk_operations(disk);
        *ret_writes += disk->wr_ops + disk->flush_ops + disk->unmap_ops;
    }
}

static void
average(double *value, bool *has, double now)
{
    *value = *has ? *value + AVERAGE_WEIGHT * (now - *value) : now;
    *has = true;
}

/* It moves: this is what the silence will be compared with. */
static void
note_life(GuestTrack *guest, const Sample *sample)
{
    double seconds = (double)(sample->now_us - guest->last_us) / G_USEC_PER_SEC;

    guest->silent_since_us = 0;
    if (seconds <= 0 || sample->cpu_time_us < guest->cpu_us)
        return;
    average(&guest->load_before, &guest->has_load_before,
            (double)(sample->cpu_time_us - guest->cpu_us) / G_USEC_PER_SEC / seconds);
    if (sample->has_network && guest->has_last_network &&
        sample->network_bytes >= guest->network_bytes)
        average(&guest->network_before, &guest->has_network_before,
                (double)(sample->network_bytes - guest->network_bytes) / seconds);
}

static void
begin_bin(GuestTrack *guest, const Sample *sample)
{
    guest->bin_since_us = sample->now_us;
    guest->bin_cpu_us = sample->cpu_time_us;
}

static guint64
cpu_beside_us(const Sample *sample)
{
    return sample->cpu_time_us - MIN(sample->main_cpu_us, sample->cpu_time_us);
}

static void
begin_beside(GuestTrack *guest, const Sample *sample)
{
    guest->beside_since_us = sample->has_main_cpu ? sample->now_us : 0;
    guest->beside_cpu_us = cpu_beside_us(sample);
    guest->beside_load = -1;
}

static void
follow_beside(GuestTrack *guest, const Sample *sample)
{
    gint64 length = sample->now_us - guest->beside_since_us;
    guint64 now = cpu_beside_us(sample);

    guest->beside_load = -1;
    if (guest->beside_since_us > 0 && length > 0 && sample->has_main_cpu)
        guest->beside_load =
            (double)(MAX(now, guest->beside_cpu_us) - guest->beside_cpu_us) / (double)length;
}

static void
begin_silence(GuestTrack *guest, const Sample *sample)
{
    guest->silent_since_us = sample->now_us;
    guest->silent_network_bytes = sample->network_bytes;
    guest->silence_has_network = sample->has_network;
    guest->n_bins = 0;
    begin_bin(guest, sample);
    begin_beside(guest, sample);
}

static void
note_silence(GuestTrack *guest, const Sample *sample)
{
    gint64 length = sample->now_us - guest->bin_since_us;
    double load;

    if (guest->silent_since_us == 0) {
        begin_silence(guest, sample);
        return;
    }
    guest->silence_has_network = guest->silence_has_network && sample->has_network;
    if (guest->n_bins == 0 && sample->now_us - guest->silent_since_us <= DYING_US) {
        begin_bin(guest, sample);
        begin_beside(guest, sample);
        return;
    }
    follow_beside(guest, sample);
    if (length < SIGNALS_BIN_US)
        return;
    load = (double)(sample->cpu_time_us - guest->bin_cpu_us) / (double)length;
    guest->load_min = guest->n_bins == 0 ? load : MIN(guest->load_min, load);
    guest->load_max = guest->n_bins == 0 ? load : MAX(guest->load_max, load);
    guest->n_bins++;
    begin_bin(guest, sample);
}

void
guest_follow(Track *track, const Sample *sample)
{
    GuestTrack *guest = &track->guest;
    guint64 ops, writes;

    if (!sample->has_cpu) {
        guest_track_restart(guest);
        return;
    }
    sum_counters(sample, &ops, &writes);
    if (guest->has_last && ops != guest->ops) {
        note_life(guest, sample);
        guest->wrote_last = writes != guest->writes;
    } else if (guest->has_last) {
        note_silence(guest, sample);
    }
    if (sample->has_events && sample->n_resets != guest->n_resets)
        guest->wrote_last = false; /* until the new life of the guest writes, too */
    guest->n_resets = sample->has_events ? sample->n_resets : guest->n_resets;
    guest->ops = ops;
    guest->writes = writes;
    guest->last_us = sample->now_us;
    guest->cpu_us = sample->cpu_time_us;
    guest->network_bytes = sample->network_bytes;
    guest->has_last = true;
    guest->has_last_network = sample->has_network;
}

static bool
is_halted(const GuestTrack *guest)
{
    return guest->load_max <= HALTED_LOAD_MAX && guest->beside_load <= HALTED_BESIDE_MAX;
}

bool
guest_wants_main_cpu(const Track *track)
{
    const GuestTrack *guest = &track->guest;

    return guest->silent_since_us > 0 && guest->wrote_last;
}

static bool
is_dead_flat(const GuestTrack *guest)
{
    double whole = (guint)(MIN(guest->load_max, LOAD_MAX) + 0.5);
    double change = guest->load_before - whole;
    bool is_spinning = whole >= 1 && whole - guest->load_min <= SPINNING_OFF_MAX &&
                       guest->load_max - whole <= SPINNING_OFF_MAX;

    if (guest->n_bins < SILENT_BINS_MIN || !guest->has_load_before ||
        guest->load_max - guest->load_min > FLAT_SPREAD_MAX)
        return false;
    if (is_halted(guest))
        return guest->load_before >= HALTED_BEFORE_MIN;
    return is_spinning && MAX(change, -change) >= CHANGE_MIN;
}

/* Every writer among its disks is quiet for longer than usual, and nothing else explains it. */
static bool
are_writers_quiet(const Track *track, const Verdict *verdicts, const Sample *sample,
                  const Limits *limits)
{
    guint n_writers = 0;

    for (guint i = 0; i < track->disks->len; i++) {
        const DiskTrack *disk = track->disks->pdata[i];
        EvidenceKind kind;

        if (verdicts[i].state == STATE_FROZEN || evidence_longest(&disk->evidence, &kind) ||
            (verdicts[i].state == STATE_SUSPECT && verdicts[i].layer != LAYER_UNKNOWN))
            return false;
        if (!habit_is_writer(&disk->habit))
            continue;
        n_writers++;
        if (sample->now_us - disk->habit.last_progress_us <
            habit_usual_us(&disk->habit, limits->patience_us))
            return false;
    }
    return n_writers > 0;
}

/* For how long has the VM been watched writing? */
static gint64
watched_us(const Track *track, const Sample *sample)
{
    gint64 watched = 0;

    for (guint i = 0; i < track->disks->len; i++) {
        const DiskTrack *disk = track->disks->pdata[i];

        if (habit_is_writer(&disk->habit))
            watched = MAX(watched, sample->now_us - disk->habit.learned_since_us);
    }
    return watched;
}

/* Does its network say the same, something else, or nothing? */
static bool
network_allows(const Track *track, const Sample *sample)
{
    const GuestTrack *guest = &track->guest;
    double seconds = (double)(sample->now_us - guest->silent_since_us) / G_USEC_PER_SEC;
    bool has_word = guest->silence_has_network && guest->has_network_before &&
                    guest->network_before >= NETWORK_MIN_BPS && seconds > 0 &&
                    sample->network_bytes >= guest->silent_network_bytes;

    if (!has_word)
        return is_halted(guest) && watched_us(track, sample) >= HABIT_LEARNED_US;
    return watched_us(track, sample) >= WATCHED_WITH_NETWORK_US &&
           (double)(sample->network_bytes - guest->silent_network_bytes) / seconds *
                   NETWORK_FACTOR <=
               guest->network_before;
}

bool
guest_is_silent(const Track *track, const Verdict *verdicts, const Sample *sample,
                const Limits *limits)
{
    const GuestTrack *guest = &track->guest;

    return guest->silent_since_us > 0 && guest->wrote_last && is_dead_flat(guest) &&
           are_writers_quiet(track, verdicts, sample, limits) && network_allows(track, sample);
}

Verdict
guest_verdict(const Track *track, const Limits *limits)
{
    return (Verdict){.state = STATE_SUSPECT,
                     .layer = LAYER_GUEST,
                     .cause = "guest-silent",
                     .since_us = track->guest.silent_since_us,
                     .patience_us = limits->patience_us,
                     .reason = "its disks and its network went quiet at once and its CPU load is "
                               "flat since: the guest may have died, its disks did not"};
}
