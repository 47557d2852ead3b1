/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What limits plan, apply and undo say. */

#include "act-record.h"

typedef struct {
    const Vm *vm;
    bool is_undo;
    const GPtrArray *steps; /* of ActRecord, NULL: none */
    GHashTable *written;    /* those of them that were */
    const char *problem;    /* why there is no plan for the limits; NULL */
    const char *outcome;    /* why not all of it was written; NULL */
} LimitsAnswer;

void ctl_limits_print_text(const LimitsAnswer *answer);
void ctl_limits_print_json(const LimitsAnswer *answer);
