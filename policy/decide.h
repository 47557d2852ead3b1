/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Verdicts before and after one tick -> what is to be done about them. An alert is opened once when
 * a freeze is named, becomes urgent once when it is paged, and is closed once. Suspicions and
 * unknowns are shown, and alert nobody. */

#include "model.h"

typedef enum {
    ALERT_NONE,
    ALERT_OPEN,  /* named: somebody should look */
    ALERT_PAGE,  /* paged: somebody must be woken */
    ALERT_CLOSE, /* progress, or the VM no longer runs */
} AlertStep;

AlertStep decide_alert(const Verdict *before, const Verdict *after);
