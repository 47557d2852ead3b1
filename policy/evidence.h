/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Evidence that a request of one disk is in flight and does not come back. Each kind is a run:
 * present in every sample that looked, and with the same mark, because a mark that moved is another
 * request. */

#include "model.h"

typedef enum {
    EVIDENCE_QUEUE,  /* a virtqueue holds it; the used index is the mark */
    EVIDENCE_THREAD, /* a thread of QEMU sleeps in the kernel on its image; its id is the mark */
    EVIDENCE_RING,   /* an io_uring holds it; the completion tail is the mark */
    EVIDENCE_DEVICE, /* the host's block device holds it; its completions are the mark */
    EVIDENCE_N_KINDS,
} EvidenceKind;

typedef struct {
    gint64 since_us; /* of the unbroken run; 0 = none */
    guint samples;
    guint64 mark;
    bool is_current; /* seen in the newest sample */
    bool is_shared;  /* other disks, or other VMs, use the same queue, ring or device */
} EvidenceRun;

typedef struct {
    EvidenceRun runs[EVIDENCE_N_KINDS];
    bool is_obtained;    /* the newest sample carried any kind at all */
    bool is_queue_empty; /* it carried the virtqueue, and nothing was in flight: that is proof */
} Evidence;

/* was_busy: the disk itself had been writing until a moment ago. What is shared counts for such a
 * disk only, and without a mark, which its neighbours move: beside a frozen disk an idle one is
 * innocent. */
void evidence_update(Evidence *evidence, const DiskSample *disk, bool was_busy, gint64 now_us);
void evidence_clear(Evidence *evidence);
/* The longest current run, a device shared with others left out: it only agrees with others; NULL
 * without one. *ret_kind says which. */
const EvidenceRun *evidence_longest(const Evidence *evidence, EvidenceKind *ret_kind);
/* Word for the cause: "in-flight", "thread-blocked", "ring-stuck", "device-stuck". */
const char *evidence_cause(EvidenceKind kind);
