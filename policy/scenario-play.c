/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scenario-steps.h"

#include <string.h>

void
scenario_state_init(Sample *ret_state)
{
    memset(ret_state, 0, sizeof *ret_state);
    ret_state->period_us = SCENARIO_PERIOD_US;
    ret_state->age_us = -1;
    ret_state->has_disks = true;
}

void
scenario_state_advance(Sample *state, gint64 us)
{
    if (state->age_us >= 0)
        state->age_us += us;
}

guint64
scenario_step_repeats(const ScenarioStep *step, guint64 n)
{
    return step->per_us > 0 ? n * (guint64)step->every_us / (guint64)step->per_us : n;
}

void
scenario_rewind(Scenario *scenario)
{
    guint n_disks = scenario->disk_names->len;

    scenario_state_init(&scenario->state);
    scenario->step = 0;
    scenario->n_played = 0;
    scenario->last_us = -1;
    g_free(scenario->states);
    scenario->states = g_new0(DiskFacts, n_disks);
    for (guint i = 0; i < n_disks; i++) {
        scenario->states[i].disk.id = scenario->disk_ids->pdata[i];
        scenario->states[i].disk.label = scenario->disk_names->pdata[i];
    }
    g_free(scenario->sample.disks);
    scenario->sample.disks = g_new0(DiskSample, n_disks);
}

static void
changes_make(Scenario *scenario, guint first, guint n, guint64 times)
{
    for (guint i = first; times > 0 && i < first + n; i++) {
        const ScenarioChange *change = &g_array_index(scenario->changes, ScenarioChange, i);
        void *record = change->disk == SCENARIO_OF_VM ? (void *)&scenario->state
                                                      : (void *)&scenario->states[change->disk];

        /* The reader has made them all: only a fact told twice in one step can fail here, and then
         * keeps its value. */
        (void)fact_store(change->fact, &change->value, times, record);
    }
}

static void
sample_fill(Scenario *scenario, gint64 now_us)
{
    DiskSample *disks = scenario->sample.disks;

    scenario->sample = scenario->state;
    scenario->sample.now_us = scenario->start_us + now_us;
    scenario->sample.boottime_us = scenario->sample.now_us + scenario->state.boottime_us;
    scenario->sample.disks = disks;
    for (guint i = 0; scenario->state.has_disks && i < scenario->disk_names->len; i++)
        if (scenario->states[i].is_present)
            disks[scenario->sample.n_disks++] = scenario->states[i].disk;
}

const Sample *
scenario_next(Scenario *scenario)
{
    const ScenarioStep *step;
    guint64 n = scenario->n_played;
    gint64 now_us;

    if (scenario->step == scenario->steps->len)
        return NULL;
    step = &g_array_index(scenario->steps, ScenarioStep, scenario->step);
    now_us = step->first_us + (gint64)n * step->every_us;
    if (scenario->last_us >= 0)
        scenario_state_advance(&scenario->state, now_us - scenario->last_us);
    scenario->last_us = now_us;
    if (n == 0)
        changes_make(scenario, step->first_change, step->n_once, 1);
    changes_make(scenario, step->first_change + step->n_once, step->n_changes,
                 scenario_step_repeats(step, n + 1) - scenario_step_repeats(step, n));
    sample_fill(scenario, now_us);
    scenario->n_played++;
    if (scenario->n_played == step->n_samples) {
        scenario->step++;
        scenario->n_played = 0;
    }
    return &scenario->sample;
}
