/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is to be written so that one disk has the limits that the policy wants, if anything, and if
 * now is the time at all. Only a real difference is ever a reason; whether acts are allowed, how
 * often, and what became of earlier ones is decide.h's question. */

#include "drift.h"
#include "model.h"

typedef enum {
    RECONCILE_NOTHING,       /* no policy for the disk, or no difference that is known */
    RECONCILE_LEAVE,         /* a difference that is reported only, see reason */
    RECONCILE_LIVE,          /* QEMU is told */
    RECONCILE_CONFIGURATION, /* the configuration is told, and brings QEMU along */
    RECONCILE_KEEPER,        /* who keeps both is told, for each that differs */
} ReconcileKind;

typedef struct {
    bool is_suspect; /* a stall is suspected on the VM, or on a storage that it uses */
    RunState run;
    gint64 calm_us;      /* running, and nothing suspect, without a break for so long */
    gint64 settle_us;    /* and must have been for so long */
    bool has_job;        /* a backup, mirror or other block job runs */
    const char *lock;    /* of the configuration, printable; NULL none */
    bool is_pending;     /* a change of this disk waits for the next start */
    bool live_is_asked;  /* live is QEMU's own word, not its command line's */
    bool can_write_live; /* it has a limiter that can be told without making a second one */
    bool is_shared;      /* the limiter is also that of other disks */
    bool has_keeper;     /* one who keeps both sides, and can be told (libvirt) */
    const char *mute;    /* why nobody can be told; static; NULL */
} ReconcileFacts;

typedef struct {
    ReconcileKind kind;
    const char *reason; /* a static phrase; "" unless it is left */
    /* What the written side shall say afterwards: its own group and iops size stay where the policy
     * cannot be followed there. */
    guint64 target[THROTTLE_N_FIELDS];
} ReconcilePlan;

ReconcilePlan reconcile_disk(const Drift *drift, const ReconcileFacts *facts);
