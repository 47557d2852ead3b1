/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drift.h"

static const char *const side_names[DRIFT_N_SIDES] = {
    [DRIFT_POLICY] = "policy",
    [DRIFT_CONFIGURATION] = "configuration",
    [DRIFT_LIVE] = "live",
};

const char *
drift_side_name(DriftSide side)
{
    return side_names[side];
}

const char *
drift_field_name(guint field)
{
    return field == DRIFT_GROUP ? "group" : throttle_field_name(field);
}

bool
drift_pair_differs(const Drift *drift, DriftSide a, DriftSide b, guint field)
{
    const Throttle *left = drift->sides[a], *right = drift->sides[b];

    if (left == NULL || right == NULL)
        return false;
    if (field == DRIFT_GROUP)
        return throttle_group_differs(left, right);
    return throttle_field_differs(left, right, field);
}

bool
drift_field_differs(const Drift *drift, guint field)
{
    return drift_pair_differs(drift, DRIFT_POLICY, DRIFT_CONFIGURATION, field) ||
           drift_pair_differs(drift, DRIFT_POLICY, DRIFT_LIVE, field) ||
           drift_pair_differs(drift, DRIFT_CONFIGURATION, DRIFT_LIVE, field);
}

guint
drift_count(const Drift *drift)
{
    guint n = 0;

    for (guint i = 0; i < DRIFT_N_FIELDS; i++)
        n += drift_field_differs(drift, i);
    return n;
}

const char *
drift_why(DriftSide a, DriftSide b)
{
    if (a == DRIFT_CONFIGURATION)
        return "the next stop and start changes the limit of the disk; a guest reboot does not";
    if (b == DRIFT_LIVE)
        return "the disk is not limited now as the policy wants it";
    return "the next start brings another limit than the policy wants";
}
