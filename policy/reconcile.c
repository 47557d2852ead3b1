/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reconcile.h"

#include <string.h>

/* The rules, the first that applies decides:
 *
 *   1. No policy, or nothing known that differs from it: nothing.
 *   2. While anything is under way on the VM (a suspicion, no calm since, not running, a block job,
 *      a lock, a pending change), it is left.
 *   3. A rate is never taken away from a running VM: no limit drains the disk, and a drain of a
 *      disk that has just stalled hangs QEMU. Proxmox sends the same zeros when a configuration
 *      loses its limits. Such a difference is reported; the policy can ask for a huge value.
 *   4. A group cannot be changed while the VM runs.
 *   5. Limits that other disks share are left.
 *   6. Who keeps both sides is told once for what differs. Else, where the configuration differs it
 *      is written, because it brings QEMU along; else QEMU, but only after its own word, never
 * after what its command line said. */

#define SHARED "its limits are also those of other disks"

static const char *
find_hindrance(const ReconcileFacts *facts)
{
    if (facts->is_suspect)
        return "a stall is suspected on the VM or its storage";
    if (facts->run != RUN_RUNNING)
        return "the VM is not running";
    if (facts->calm_us < facts->settle_us)
        return "the VM has not been calm for long enough";
    if (facts->has_job)
        return "a block job runs on the VM";
    if (facts->lock != NULL)
        return "the configuration is locked";
    if (facts->is_pending)
        return "a change of the disk is pending until the next start";
    return NULL;
}

static bool
side_differs(const Drift *drift, DriftSide side)
{
    for (guint i = 0; i < DRIFT_N_FIELDS; i++)
        if (drift_pair_differs(drift, DRIFT_POLICY, side, i))
            return true;
    return false;
}

/* Would a limit that somebody has end? */
static bool
takes_a_rate_away(const Drift *drift, DriftSide side)
{
    const Throttle *policy = drift->sides[DRIFT_POLICY], *known = drift->sides[side];

    for (guint i = 0; known != NULL && i < THROTTLE_N_LIMITS; i++) {
        guint field = THROTTLE_FIELD(i, THROTTLE_RATE);

        if (known->fields[field] > 0 && policy->fields[field] == 0)
            return true;
    }
    return false;
}

static ReconcilePlan
leave(const char *reason)
{
    return (ReconcilePlan){.kind = RECONCILE_LEAVE, .reason = reason};
}

static ReconcilePlan
plan_write(ReconcileKind kind, const Drift *drift)
{
    ReconcilePlan plan = {.kind = kind, .reason = ""};

    memcpy(plan.target, drift->sides[DRIFT_POLICY]->fields, sizeof plan.target);
    return plan;
}

static ReconcilePlan
plan_live(const Drift *drift, const ReconcileFacts *facts)
{
    if (!facts->live_is_asked)
        return leave("QEMU's own word is not known: its command line may be old");
    if (!facts->can_write_live)
        return leave("the disk has no limiter that could be told: one must be there at the start");
    if (facts->is_shared)
        return leave(SHARED);
    return plan_write(RECONCILE_LIVE, drift);
}

ReconcilePlan
reconcile_disk(const Drift *drift, const ReconcileFacts *facts)
{
    const Throttle *policy = drift->sides[DRIFT_POLICY];
    bool configuration_differs, live_differs;
    const char *hindrance;

    if (policy == NULL)
        return (ReconcilePlan){.kind = RECONCILE_NOTHING, .reason = ""};
    configuration_differs = side_differs(drift, DRIFT_CONFIGURATION);
    live_differs = side_differs(drift, DRIFT_LIVE);
    if (!configuration_differs && !live_differs)
        return (ReconcilePlan){.kind = RECONCILE_NOTHING, .reason = ""};
    hindrance = facts->mute != NULL ? facts->mute : find_hindrance(facts);
    if (hindrance != NULL)
        return leave(hindrance);
    if (takes_a_rate_away(drift, DRIFT_CONFIGURATION) || takes_a_rate_away(drift, DRIFT_LIVE))
        return leave("the policy wants no limit where there is one: taking it away drains the "
                     "disk; give a huge value, or stop the VM");
    if (drift_pair_differs(drift, DRIFT_POLICY, DRIFT_CONFIGURATION, DRIFT_GROUP) ||
        drift_pair_differs(drift, DRIFT_POLICY, DRIFT_LIVE, DRIFT_GROUP))
        return leave("a group cannot be changed while the VM runs");
    if (facts->has_keeper)
        return facts->is_shared ? leave(SHARED) : plan_write(RECONCILE_KEEPER, drift);
    if (!configuration_differs)
        return plan_live(drift, facts);
    if (policy->fields[THROTTLE_IOPS_SIZE] != 0)
        return leave("the configuration has no word for iops_size");
    return plan_write(RECONCILE_CONFIGURATION, drift);
}
