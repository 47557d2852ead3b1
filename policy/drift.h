/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The three truths about the limits of one disk, and where they part: what the policy wants, what
 * the configuration brings at the next start, what QEMU does now. Any two can differ; a side that
 * says nothing, or is not known, differs from none. */

#include "throttle.h"

typedef enum { DRIFT_POLICY, DRIFT_CONFIGURATION, DRIFT_LIVE, DRIFT_N_SIDES } DriftSide;

typedef struct {
    const Throttle *sides[DRIFT_N_SIDES]; /* borrowed; NULL: says nothing, or is not known */
} Drift;

/* Beside the fields of throttle.h. */
#define DRIFT_GROUP THROTTLE_N_FIELDS
#define DRIFT_N_FIELDS (THROTTLE_N_FIELDS + 1)

/* "policy", "configuration", "live". */
const char *drift_side_name(DriftSide side);
/* "bps_write", ..., "group". */
const char *drift_field_name(guint field);
/* Do these two differ in effect in that field; false when one is not known. */
bool drift_pair_differs(const Drift *drift, DriftSide a, DriftSide b, guint field);
/* Do any two? */
bool drift_field_differs(const Drift *drift, guint field);
guint drift_count(const Drift *drift);
/* Why it matters that these two differ; a static sentence without a full stop. a < b. */
const char *drift_why(DriftSide a, DriftSide b);
