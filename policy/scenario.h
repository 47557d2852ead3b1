/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A scenario is one text file that tells one story: timed lines of facts and, at the end, the
 * verdict that must come out. The flight recorder writes the same format. The grammar stands at the
 * head of scenario.c. Pure: text in, Samples out. */

#include "model.h"

typedef struct Scenario Scenario;

typedef struct {
    gint64 from_us, to_us; /* of scenario time; to < 0: the end */
    char *disk;            /* label; NULL = the VM */
    State state;
    bool has_layer;
    Layer layer;
    bool is_never; /* "never frozen": the state must not come out in the span at all */
    guint line;
} ScenarioExpectation;

/* NULL and *ret_error (a new string "line 12: unknown fact \"foo\"") for anything unreadable. */
Scenario *scenario_parse(const char *text, gsize length, char **ret_error);
void scenario_free(Scenario *scenario);
/* The next sample in time, borrowed until the next call; NULL at the end. */
const Sample *scenario_next(Scenario *scenario);
/* of ScenarioExpectation, borrowed */
const GArray *scenario_expectations(const Scenario *scenario);
const char *scenario_name(const Scenario *scenario); /* the VM's, as told; "vm" when not */

/* Appends the sample as text: the head when previous is NULL, else only what changed. The text of a
 * whole run parses back to the same samples. */
void scenario_print(GString *text, const char *vm_name, const Sample *previous,
                    const Sample *sample);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scenario, scenario_free)
