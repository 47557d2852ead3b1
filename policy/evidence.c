/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "evidence.h"

#include <string.h>

typedef struct {
    bool is_known, is_present, is_shared;
    guint64 mark;
} Sighting;

static Sighting
sight(const DiskSample *disk, EvidenceKind kind)
{
    switch (kind) {
    case EVIDENCE_QUEUE:
        return (Sighting){disk->has_queue, disk->queue_inflight > 0, disk->queue_is_shared,
                          disk->queue_used_idx};
    case EVIDENCE_THREAD:
        return (Sighting){disk->has_thread, disk->blocked_thread != 0, false, disk->blocked_thread};
    case EVIDENCE_RING:
        return (Sighting){disk->has_ring, disk->ring_inflight > 0, disk->ring_is_shared,
                          disk->ring_completed};
    case EVIDENCE_DEVICE:
        return (Sighting){disk->has_device, disk->device_inflight > 0, disk->device_is_shared,
                          disk->device_completed};
    case EVIDENCE_N_KINDS:
        break;
    }
    return (Sighting){0};
}

static void
run_update(EvidenceRun *run, Sighting sighting, bool has_mark, gint64 now_us)
{
    run->is_current = sighting.is_known && sighting.is_present;
    if (!sighting.is_known)
        return;
    if (!sighting.is_present) {
        memset(run, 0, sizeof *run);
        return;
    }
    if (run->since_us == 0 || (has_mark && sighting.mark != run->mark)) {
        run->since_us = now_us;
        run->samples = 0;
    }
    run->mark = sighting.mark;
    run->is_shared = sighting.is_shared;
    run->samples++;
}

void
evidence_update(Evidence *evidence, const DiskSample *disk, bool was_busy, gint64 now_us)
{
    evidence->is_obtained = false;
    evidence->is_queue_empty = disk->has_queue && disk->queue_inflight == 0;
    for (guint kind = 0; kind < EVIDENCE_N_KINDS; kind++) {
        Sighting sighting = sight(disk, (EvidenceKind)kind);
        /* a device's completions are others' too, and still say whether it completes anything */
        bool has_mark = !sighting.is_shared || kind == EVIDENCE_DEVICE;

        sighting.is_present = sighting.is_present && (was_busy || !sighting.is_shared);
        run_update(&evidence->runs[kind], sighting, has_mark, now_us);
        evidence->is_obtained = evidence->is_obtained || sighting.is_known;
    }
}

void
evidence_clear(Evidence *evidence)
{
    memset(evidence, 0, sizeof *evidence);
}

const EvidenceRun *
evidence_longest(const Evidence *evidence, EvidenceKind *ret_kind)
{
    const EvidenceRun *longest = NULL;

    for (guint kind = 0; kind < EVIDENCE_N_KINDS; kind++) {
        const EvidenceRun *run = &evidence->runs[kind];

        if (!run->is_current || (kind == EVIDENCE_DEVICE && run->is_shared) ||
            (longest && longest->since_us <= run->since_us))
            continue;
        longest = run;
        *ret_kind = (EvidenceKind)kind;
    }
    return longest;
}

const char *
evidence_cause(EvidenceKind kind)
{
    static const char *const causes[] = {
        [EVIDENCE_QUEUE] = "in-flight", [EVIDENCE_THREAD] = "thread-blocked",
        [EVIDENCE_RING] = "ring-stuck", [EVIDENCE_DEVICE] = "device-stuck",
        [EVIDENCE_N_KINDS] = "",
    };

    return causes[kind];
}
