/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A scenario is one text file that tells one story: timed lines of facts and the verdicts that must
 * come out. The flight recorder writes the same format. The grammar stands at the head of
 * scenario.c. Pure: text in, Samples out. */

#include "model.h"

/* Told nothing, a VM is sampled every 2 s, the default for a monitor that is the guardian's own. */
#define SCENARIO_PERIOD_US (2 * G_USEC_PER_SEC)

typedef struct Scenario Scenario;

typedef struct {
    gint64 from_us, to_us; /* of scenario time; from < 0: the last sample only; to < 0: the end */
    char *disk;            /* its id, not its label; NULL = the VM */
    State state;
    bool has_layer;
    Layer layer;
    char *cause;   /* NULL = any */
    bool is_never; /* "never frozen": must not come out in the span at all */
    guint line;
    char *text; /* the line as told, printable */
} ScenarioExpectation;

/* NULL and *ret_error (a new string "line 12: unknown fact \"foo\"") for anything unreadable. */
Scenario *scenario_parse(const char *text, gsize length, char **ret_error);
void scenario_free(Scenario *scenario);
/* The next sample in time, borrowed until the next call; NULL at the end. */
const Sample *scenario_next(Scenario *scenario);
/* of ScenarioExpectation, borrowed */
const GArray *scenario_expectations(const Scenario *scenario);
const char *scenario_name(const Scenario *scenario); /* the VM's, as told; "vm" when not */
/* now_us of a sample minus this is scenario time. */
gint64 scenario_start_us(const Scenario *scenario);

/* Writes a run sample by sample, after the head only what changed. A writer remembers all disks it
 * has told of: one that comes back is not told twice. What it wrote parses back to the same
 * samples. */
typedef struct ScenarioWriter ScenarioWriter;
ScenarioWriter *scenario_writer_new(const char *vm_name);
void scenario_writer_free(ScenarioWriter *writer);
void scenario_writer_add(ScenarioWriter *writer, const Sample *sample);
/* All that was written so far, borrowed until the next call. */
const char *scenario_writer_text(const ScenarioWriter *writer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scenario, scenario_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScenarioWriter, scenario_writer_free)
