/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "recorder.h"

#include "scenario.h"

#include <string.h>

/* The text tells changes only, so its beginning cannot be cut off. It is kept in two parts; when
 * the newer one is full, the older one goes and a new one begins, which tells everything once more.
 */

/* Two parts are 17 minutes of a VM sampled every 2 s: the incident's CPU ramp took 18. */
#define PART_SAMPLES 256
/* On a shared monitor 256 samples would be 43 minutes; nobody needs that much. */
#define PART_SPAN_US (450 * G_USEC_PER_SEC)
/* A busy disk costs about 100 bytes a sample. With this a hundred VMs stay below 5 MiB. */
#define PART_BYTES (20 * 1024)

typedef struct {
    ScenarioWriter *writer; /* NULL: empty */
    guint n_samples;
    gint64 first_us;
} Part;

typedef struct {
    guint64 ops;
    bool has_moved;
    gint64 moved_us, seen_us;
} Progress;

struct Recorder {
    char *vm_name;
    Part older, newer;
    GHashTable *progress; /* disk id -> Progress */
};

Recorder *
recorder_new(const char *vm_name)
{
    Recorder *recorder = g_new0(Recorder, 1);

    recorder->vm_name = g_strdup(vm_name);
    recorder->progress = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return recorder;
}

void
recorder_free(Recorder *recorder)
{
    if (!recorder)
        return;
    g_clear_pointer(&recorder->older.writer, scenario_writer_free);
    g_clear_pointer(&recorder->newer.writer, scenario_writer_free);
    g_hash_table_unref(recorder->progress);
    g_free(recorder->vm_name);
    g_free(recorder);
}

static gboolean
is_vanished(gpointer id, gpointer progress, gpointer now_us)
{
    return ((const Progress *)progress)->seen_us != *(const gint64 *)now_us;
}

static void
follow_disk(Recorder *recorder, const DiskSample *disk, gint64 now_us)
{
    guint64 ops = disk_operations(disk);
    Progress *progress = disk->id ? g_hash_table_lookup(recorder->progress, disk->id) : NULL;

    if (!disk->id || !disk->has_counters)
        return;
    if (!progress) {
        progress = g_new0(Progress, 1);
        progress->ops = ops;
        g_hash_table_insert(recorder->progress, g_strdup(disk->id), progress);
    }
    if (progress->ops != ops) {
        progress->has_moved = true;
        progress->moved_us = now_us;
    }
    progress->ops = ops;
    progress->seen_us = now_us;
}

static void
follow_disks(Recorder *recorder, const Sample *sample)
{
    gint64 now_us = sample->now_us;

    for (guint i = 0; i < sample->n_disks; i++)
        follow_disk(recorder, &sample->disks[i], now_us);
    g_hash_table_foreach_remove(recorder->progress, is_vanished, &now_us);
}

static bool
part_is_full(const Part *part, const Sample *sample)
{
    return part->n_samples >= PART_SAMPLES || sample->now_us - part->first_us >= PART_SPAN_US ||
           strlen(scenario_writer_text(part->writer)) >= PART_BYTES;
}

void
recorder_add(Recorder *recorder, const Sample *sample)
{
    Part *newer = &recorder->newer;

    if (sample->has_disks)
        follow_disks(recorder, sample);
    if (newer->writer && part_is_full(newer, sample)) {
        g_clear_pointer(&recorder->older.writer, scenario_writer_free);
        recorder->older = *newer;
        *newer = (Part){0};
    }
    if (!newer->writer) {
        newer->writer = scenario_writer_new(recorder->vm_name);
        newer->first_us = sample->now_us;
    }
    scenario_writer_add(newer->writer, sample);
    newer->n_samples++;
}

static void
part_replay(const Part *part, gint64 after_us, ScenarioWriter *into)
{
    g_autoptr(Scenario) scenario = NULL;
    g_autofree char *wrong = NULL;
    const char *text;
    const Sample *sample;

    if (!part->writer)
        return;
    text = scenario_writer_text(part->writer);
    scenario = scenario_parse(text, strlen(text), &wrong);
    while (scenario && (sample = scenario_next(scenario)))
        if (sample->now_us > after_us)
            scenario_writer_add(into, sample);
}

char *
recorder_text(const Recorder *recorder, gint64 after_us)
{
    g_autoptr(ScenarioWriter) whole = scenario_writer_new(recorder->vm_name);

    part_replay(&recorder->older, after_us, whole);
    part_replay(&recorder->newer, after_us, whole);
    return g_strdup(scenario_writer_text(whole));
}

bool
recorder_disk_moved(const Recorder *recorder, const char *disk_id, gint64 *ret_at_us)
{
    const Progress *progress = disk_id ? g_hash_table_lookup(recorder->progress, disk_id) : NULL;

    if (!progress || !progress->has_moved)
        return false;
    *ret_at_us = progress->moved_us;
    return true;
}
