/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <string.h>

static const char *const run_names[] = {
    [RUN_UNKNOWN] = "unknown",     [RUN_RUNNING] = "running",   [RUN_PAUSED] = "paused",
    [RUN_IO_ERROR] = "io-error",   [RUN_SHUTDOWN] = "shutdown", [RUN_PANICKED] = "guest-panicked",
    [RUN_MIGRATING] = "migrating", [RUN_INCOMING] = "incoming", [RUN_PRELAUNCH] = "prelaunch",
    [RUN_OTHER] = "other",
};
static const char *const stage_names[] = {
    [MONITOR_NOT_ASKED] = "not-asked",     [MONITOR_REFUSED] = "refused",
    [MONITOR_NO_GREETING] = "no-greeting", [MONITOR_NO_NEGOTIATION] = "no-negotiation",
    [MONITOR_SILENT] = "silent",           [MONITOR_BROKEN] = "broken",
    [MONITOR_ANSWERED] = "answered",
};
static const char *const state_names[] = {
    [STATE_OK] = "ok",
    [STATE_UNKNOWN] = "unknown",
    [STATE_SUSPECT] = "suspect",
    [STATE_FROZEN] = "frozen",
};
static const char *const layer_names[] = {
    [LAYER_NONE] = "none",
    [LAYER_UNKNOWN] = "unknown",
    [LAYER_NOT_RUNNING] = "not-running",
    [LAYER_GUEST] = "guest",
    [LAYER_THROTTLE] = "throttle",
    [LAYER_BLOCK_PATH] = "block-path",
    [LAYER_DEVICE_MODEL] = "device-model",
    [LAYER_BACKUP_TARGET] = "backup-target",
    [LAYER_STORAGE] = "storage",
    [LAYER_MAIN_LOOP_BLOCKED] = "main-loop-blocked",
    [LAYER_PROCESS_STOPPED] = "process-stopped",
    [LAYER_SOCKET_BUSY] = "socket-busy",
    [LAYER_PROCESS_GONE] = "process-gone",
    [LAYER_MEMORY] = "memory",
};

static bool
word_find(const char *const *words, guint n_words, const char *word, guint *ret_index)
{
    for (guint i = 0; word && i < n_words; i++) {
        if (strcmp(words[i], word) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

const char *
run_state_name(RunState run)
{
    return run_names[run];
}

const char *
monitor_stage_name(MonitorStage stage)
{
    return stage_names[stage];
}

const char *
state_name(State state)
{
    return state_names[state];
}

const char *
layer_name(Layer layer)
{
    return layer_names[layer];
}

bool
run_state_from_name(const char *word, RunState *ret_run)
{
    guint i;

    if (!word_find(run_names, G_N_ELEMENTS(run_names), word, &i))
        return false;
    *ret_run = (RunState)i;
    return true;
}

bool
monitor_stage_from_name(const char *word, MonitorStage *ret_stage)
{
    guint i;

    if (!word_find(stage_names, G_N_ELEMENTS(stage_names), word, &i))
        return false;
    *ret_stage = (MonitorStage)i;
    return true;
}

bool
state_from_name(const char *word, State *ret_state)
{
    guint i;

    if (!word_find(state_names, G_N_ELEMENTS(state_names), word, &i))
        return false;
    *ret_state = (State)i;
    return true;
}

bool
layer_from_name(const char *word, Layer *ret_layer)
{
    guint i;

    if (!word_find(layer_names, G_N_ELEMENTS(layer_names), word, &i))
        return false;
    *ret_layer = (Layer)i;
    return true;
}

RunState
run_state_parse(const char *word)
{
    static const struct {
        const char *word;
        RunState run;
    } words[] = {
        {"running", RUN_RUNNING},
        {"paused", RUN_PAUSED},
        {"io-error", RUN_IO_ERROR},
        {"shutdown", RUN_SHUTDOWN},
        {"guest-panicked", RUN_PANICKED},
        {"finish-migrate", RUN_MIGRATING},
        {"postmigrate", RUN_MIGRATING},
        {"colo", RUN_MIGRATING},
        {"inmigrate", RUN_INCOMING},
        {"prelaunch", RUN_PRELAUNCH},
        {"save-vm", RUN_OTHER},
        {"restore-vm", RUN_OTHER},
        {"debug", RUN_OTHER},
        {"watchdog", RUN_OTHER},
        {"suspended", RUN_OTHER},
        {"internal-error", RUN_OTHER},
    };

    for (guint i = 0; word && i < G_N_ELEMENTS(words); i++)
        if (strcmp(words[i].word, word) == 0)
            return words[i].run;
    return RUN_UNKNOWN;
}

static void
disk_clear(DiskSample *disk)
{
    g_free(disk->id);
    g_free(disk->label);
    g_free(disk->driver);
    g_free(disk->storage);
}

void
sample_clear(Sample *sample)
{
    for (guint i = 0; i < sample->n_disks; i++)
        disk_clear(&sample->disks[i]);
    g_free(sample->disks);
    memset(sample, 0, sizeof *sample);
}

void
sample_copy(const Sample *sample, Sample *ret_copy)
{
    Sample copy = *sample;

    copy.disks = g_new0(DiskSample, sample->n_disks);
    for (guint i = 0; i < sample->n_disks; i++) {
        copy.disks[i] = sample->disks[i];
        copy.disks[i].id = g_strdup(sample->disks[i].id);
        copy.disks[i].label = g_strdup(sample->disks[i].label);
        copy.disks[i].driver = g_strdup(sample->disks[i].driver);
        copy.disks[i].storage = g_strdup(sample->disks[i].storage);
    }
    *ret_copy = copy;
}

const DiskSample *
sample_find_disk(const Sample *sample, const char *id)
{
    for (guint i = 0; i < sample->n_disks; i++)
        if (g_strcmp0(sample->disks[i].id, id) == 0)
            return &sample->disks[i];
    return NULL;
}

guint64
disk_operations(const DiskSample *disk)
{
    return disk->rd_ops + disk->wr_ops + disk->flush_ops + disk->unmap_ops;
}
