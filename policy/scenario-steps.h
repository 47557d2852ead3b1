/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A parsed scenario, between its reader (scenario.c) and its player (scenario-play.c): steps that
 * are played one sample at a time, so that thirty days cost no memory. */

#include "fact.h"
#include "scenario.h"

/* A host's worst case has some dozens; the bound keeps a sample small. */
#define SCENARIO_DISKS_MAX 1024
#define SCENARIO_OF_VM G_MAXUINT

typedef struct {
    guint disk; /* index, or SCENARIO_OF_VM */
    const Fact *fact;
    FactValue value;
} ScenarioChange;

/* n_samples from first_us on, every_us apart. n_once changes are made at the first of them, the
 * next n_changes at each, or each time another per_us has gone by since the sample before the
 * first. */
typedef struct {
    gint64 first_us, every_us, per_us;
    guint64 n_samples;
    guint first_change, n_once, n_changes;
} ScenarioStep;

struct Scenario {
    char *name;
    gint64 start_us;
    GPtrArray *disk_names; /* as told: the labels */
    GPtrArray *disk_ids;
    GArray *changes; /* of ScenarioChange */
    GArray *steps;   /* of ScenarioStep */
    GArray *expectations;

    /* the player's place */
    guint step;
    guint64 n_played; /* of that step */
    gint64 last_us;
    Sample state;      /* disks unused; boottime_us: what boottime is ahead of monotonic */
    DiskFacts *states; /* of each disk told of */
    Sample sample;     /* handed out; its texts belong to the changes */
};

/* What is known before the first line, in the reader, the player and the writer alike. */
void scenario_state_init(Sample *ret_state);
/* Lets us go by: what moves without being told. */
void scenario_state_advance(Sample *state, gint64 us);
/* How often a step's changes are made in its first n samples. */
guint64 scenario_step_repeats(const ScenarioStep *step, guint64 n);
void scenario_rewind(Scenario *scenario);
