/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "timeline.h"

#include "scenario.h"
#include "units.h"

#include <math.h>
#include <string.h>

/* What fits beside the picture. */
#define NAME_BYTES 22

static void
series_free(gpointer data)
{
    Series *series = data;

    g_free(series->name);
    g_free(series->id);
    g_array_unref(series->points);
    g_free(series);
}

/* NULL when there are enough already. */
static Series *
series_get(Panel *panel, const char *id, const char *name)
{
    const char *shown = name ? name : id;
    Series *series;

    for (guint i = 0; i < panel->series->len; i++) {
        series = panel->series->pdata[i];
        if (g_strcmp0(series->id, id) == 0)
            return series;
    }
    if (panel->series->len == TIMELINE_SERIES_MAX)
        return NULL;
    series = g_new0(Series, 1);
    series->id = g_strdup(id);
    series->name = units_printable(shown, (gssize)MIN(strlen(shown), NAME_BYTES));
    series->points = g_array_new(FALSE, FALSE, sizeof(Point));
    g_ptr_array_add(panel->series, series);
    return series;
}

static void
series_add(Panel *panel, Series *series, gint64 at_us, double value)
{
    Point point = {.at_us = at_us, .value = value};

    g_array_append_val(series->points, point);
    if (!isnan(value))
        panel->top = MAX(panel->top, value);
}

/* A counter's rate per second since the sample before. */
static void
series_add_rate(Panel *panel, Series *series, gint64 at_us, gint64 step_us, bool has, guint64 count)
{
    bool is_known = has && series->has_last && count >= series->last && step_us > 0;

    series->is_rate = true;
    series_add(panel, series, at_us,
               is_known ? (double)(count - series->last) * G_USEC_PER_SEC / (double)step_us : NAN);
    series->has_last = has;
    series->last = count;
}

static void
take_disk(Timeline *timeline, const DiskSample *disk, gint64 at_us, gint64 step_us)
{
    Panel *writes = &timeline->panels[PANEL_WRITES], *flight = &timeline->panels[PANEL_FLIGHT];
    Series *written = series_get(writes, disk->id, disk->label);
    Series *flying = series_get(flight, disk->id, disk->label);
    guint32 inflight =
        MAX(disk->has_queue ? disk->queue_inflight : 0, disk->has_ring ? disk->ring_inflight : 0);

    if (written)
        series_add_rate(writes, written, at_us, step_us, disk->has_counters, disk->wr_ops);
    if (disk->has_device)
        inflight = MAX(inflight, disk->device_inflight);
    if (flying)
        series_add(flight, flying, at_us,
                   disk->has_queue || disk->has_ring || disk->has_device ? inflight : NAN);
}

static void
take_vm(Timeline *timeline, const Sample *sample, gint64 step_us)
{
    Panel *cpu = &timeline->panels[PANEL_CPU], *memory = &timeline->panels[PANEL_MEMORY];
    const MemorySample *facts = &sample->memory;

    /* hundredths of a second of CPU a second are percent */
    series_add_rate(cpu, series_get(cpu, "cpu", "all threads"), sample->now_us, step_us,
                    sample->has_cpu, sample->cpu_time_us / 10000);
    series_add(memory, series_get(memory, "rss", "resident"), sample->now_us,
               facts->has_rss ? (double)(facts->rss_anon_bytes + facts->rss_file_bytes +
                                         facts->rss_shmem_bytes)
                              : NAN);
    if (facts->has_limit)
        series_add(memory, series_get(memory, "limit", "limit"), sample->now_us,
                   (double)facts->limit_bytes);
}

static void
take_sample(Timeline *timeline, const Sample *sample)
{
    gint64 step_us = timeline->n_samples > 0 ? sample->now_us - timeline->to_us : 0;
    Band band = {.from_us = timeline->to_us,
                 .to_us = sample->now_us,
                 .is_silent = sample->monitor != MONITOR_ANSWERED};

    if (step_us > 0 && (band.is_silent || sample->run != RUN_RUNNING))
        g_array_append_val(timeline->bands, band);
    for (guint i = 0; sample->has_disks && i < sample->n_disks; i++)
        take_disk(timeline, &sample->disks[i], sample->now_us, step_us);
    take_vm(timeline, sample, step_us);
    if (timeline->n_samples++ == 0)
        timeline->from_us = sample->now_us;
    timeline->to_us = sample->now_us;
}

Timeline *
timeline_new(const char *samples)
{
    Timeline *timeline = g_new0(Timeline, 1);
    g_autofree char *wrong = NULL;
    g_autoptr(Scenario) scenario = scenario_parse(samples, strlen(samples), &wrong);
    const Sample *sample;

    timeline->bands = g_array_new(FALSE, FALSE, sizeof(Band));
    for (guint i = 0; i < N_PANELS; i++)
        timeline->panels[i].series = g_ptr_array_new_with_free_func(series_free);
    while (scenario && (sample = scenario_next(scenario)))
        take_sample(timeline, sample);
    return timeline;
}

void
timeline_free(Timeline *timeline)
{
    for (guint i = 0; i < N_PANELS; i++)
        g_ptr_array_unref(timeline->panels[i].series);
    g_array_unref(timeline->bands);
    g_free(timeline);
}
