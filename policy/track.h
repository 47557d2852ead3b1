/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the judge remembers of one VM between two samples, and the bookkeeping of verdicts: since
 * when, when named, when paged. The rules are in freeze.c. */

#include "evidence.h"
#include "habit.h"
#include "model.h"
#include "settings.h"

/* Pauses or resets that come again and again: counted over a window, because between two samples a
 * VM can stop and go on many times. */
typedef struct {
    bool has_last;
    guint32 last;
    gint64 happened_us; /* the newest of them was seen; 0: none */
    gint64 window_since_us;
    guint in_window;
    gint64 looping_since_us; /* 0 = no loop */
} Loop;

/* A disk's counters at its newest sample. */
typedef struct {
    guint64 ops, flushes, bytes, failed_ops, time_ns;
    gint64 moved_us; /* newest sample at which ops had changed; at first the first one */
} DiskCounters;

/* Offset of a block job, and the guest's writes and discards beside it. */
typedef struct {
    guint64 offset_bytes, ops, bytes, unmap_ops;
} JobMark;

/* The block job of a disk, as long as it is in every sample. */
typedef struct {
    bool is_seen;             /* in the newest sample */
    JobMark first, newest;    /* first: of its samples, or since the guest discarded last */
    JobMark paid;             /* no debt is older than this */
    gint64 still_since_us;    /* neither the job nor the disk has moved since */
    bool is_moving_by_itself; /* it moved more than the guest's writes can have moved it */
    gint64 seen_us;           /* the newest sample */
    guint64 speed_bps;        /* in it */
    double debt_bytes;        /* in it: copied, and at most so much not yet paid for */
    gint64 excused_us;        /* until then it may stand still for its speed alone */
} JobTrack;

/* The host's device below a disk, as it serves everybody. */
typedef struct {
    bool is_seen;
    guint64 completed, time_ns;
    gint64 slow_since_us;     /* what it completes takes long since; 0 = it does not */
    gint64 completed_last_us; /* when it was last seen to have completed anything */
} DeviceTrack;

typedef struct {
    char *id;
    char *label; /* a disk that has just vanished is still named */
    bool has_last;
    DiskCounters last;
    gint64 clear_us;       /* last sample with progress, or with an empty queue; the first one */
    guint still_samples;   /* in a row without progress */
    bool queue_is_visible; /* its virtqueue was seen once: an empty one is proof of innocence */
    Evidence evidence;
    gint64 next_evidence_us; /* costly evidence is not worth its price before this */
    gint64 evidence_gap_us;  /* present back-off */
    guint old_completions;   /* in a row, each older than the patience: a trickle */
    guint flow_samples;      /* in a row with old completions */
    gint64 old_since_us;     /* when the first of them had been issued */
    JobTrack job;
    DeviceTrack device;
    Habit habit;
    bool habit_is_kept; /* the keeper of habits has seen it: what was learned before is in it */
    Verdict verdict;
} DiskTrack;

/* The life of the guest as a whole, see freeze-guest.h. */
typedef struct {
    bool has_last, has_last_network;
    gint64 last_us;
    guint64 ops, writes, cpu_us, network_bytes; /* of all its disks; its counters */
    guint32 n_resets;
    bool wrote_last; /* when a disk moved last, one was written to */
    bool has_load_before, has_network_before;
    double load_before, network_before; /* CPUs, bytes/s: decaying averages while disks moved */
    gint64 silent_since_us;             /* no disk has moved since; 0 = one does */
    guint64 silent_network_bytes;
    bool silence_has_network; /* in every sample of it */
    guint n_bins;             /* half minutes of the silence */
    gint64 bin_since_us;
    guint64 bin_cpu_us;
    double load_min, load_max; /* of the bins */
    gint64 beside_since_us;    /* beginning of the bins; 0: the main thread's share was not known */
    guint64 beside_cpu_us;     /* of all threads but the main one, then */
    double beside_load;        /* since then, in the newest sample; < 0 not known */
} GuestTrack;

typedef struct {
    bool has_last;
    gint64 last_us, last_boottime_us, last_period_us;
    gint64 gate_since_us;   /* seen running without interruption since; 0 = gate shut */
    gint64 silent_since_us; /* start of the present silence of the monitor; 0 = it answers */
    guint stopped_samples;  /* in a row with the process in state T */
    Loop pauses, resets;
    Signals signals;
    GuestTrack guest;
    GPtrArray *disks; /* of DiskTrack, owned */
    Verdict verdict;  /* of the VM: its monitor's, or the gravest of its disks */
} Track;

void track_init(Track *ret_track);
void track_clear(Track *track);
/* Borrowed; NULL for a disk not seen in the newest sample that had disks. */
const DiskTrack *track_find_disk(const Track *track, const char *id);

/* Brings the tracks in line with the disks of the sample: new ones begin, vanished ones end. */
void track_follow_disks(Track *track, const Sample *sample);
/* Did this sample come so late, or after a suspend, that the time before it says nothing? */
bool track_is_late(const Track *track, const Sample *sample);
/* The silence of the guest, if there is one, starts again. */
void guest_track_restart(GuestTrack *guest);
/* Every window of the disk starts again now; counters and habit stay. */
void disk_track_restart(DiskTrack *disk, gint64 now_us);
/* Three or more in a minute are a loop, until a minute has fewer. count is the running total,
 * of which `most` count between two samples. */
bool loop_update(Loop *loop, bool has_count, guint32 count, guint most, gint64 now_us);
/* After a gap nothing is known about the time between: every window starts again. */
void track_discard_windows(Track *track, const Sample *sample);
/* Takes next over; since, named and paged go on while the state does. */
void verdict_set(Verdict *verdict, Verdict next, const Sample *sample, const Limits *limits);
/* Which of two a person should read first. */
bool verdict_is_graver(const Verdict *a, const Verdict *b);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Track, track_clear)
