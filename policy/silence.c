/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "silence.h"

#include <string.h>

/* The causes of what is alerted (freeze.c, freeze-disk.c), and memory's (pressure.c, alerting.c).
 */
static const char *const causes[] = {
    "act-failed",       "canary-late",    "cgroup-frozen",  "device-stuck",
    "doomed",           "io-error",       "job-stalled",    "livelock",
    "neighbours-still", "no-answer",      "no-negotiation", "oom-imminent",
    "oom-killed",       "pause-loop",     "panicked",       "reset-loop",
    "stopped",          "throttle-bound", "traced"};

static void
silence_free(gpointer data)
{
    Silence *silence = data;

    g_free(silence->subject);
    g_free(silence->why);
    g_free(silence);
}

GPtrArray *
silences_new(void)
{
    return g_ptr_array_new_with_free_func(silence_free);
}

bool
silences_remove(GPtrArray *silences, const char *subject)
{
    for (guint i = 0; i < silences->len; i++) {
        if (strcmp(((const Silence *)silences->pdata[i])->subject, subject) != 0)
            continue;
        g_ptr_array_remove_index(silences, i);
        return true;
    }
    return false;
}

bool
silences_add(GPtrArray *silences, const Silence *silence)
{
    Silence *kept;

    (void)silences_remove(silences, silence->subject);
    if (silences->len >= SILENCES_MAX)
        return false;
    kept = g_new0(Silence, 1);
    *kept = *silence;
    kept->subject = g_strdup(silence->subject);
    kept->why = g_strdup(silence->why);
    g_ptr_array_add(silences, kept);
    return true;
}

bool
silences_expire(GPtrArray *silences, gint64 now_us)
{
    bool has_expired = false;

    for (guint i = silences->len; i-- > 0;) {
        const Silence *silence = silences->pdata[i];

        /* a clock that was set back must not make it longer than anybody may ask for */
        if (silence->until_us > now_us && silence->until_us - now_us <= SILENCE_MAX_US)
            continue;
        g_ptr_array_remove_index(silences, i);
        has_expired = true;
    }
    return has_expired;
}

static bool
applies(const Silence *silence, const Alert *alert)
{
    if (silence->kind == SILENCE_VM)
        return strcmp(silence->subject, alert->vm) == 0;
    return g_strcmp0(silence->subject, alert->cause) == 0 ||
           strcmp(silence->subject, layer_name(alert->layer)) == 0;
}

const Silence *
silences_of(const GPtrArray *silences, const Alert *alert)
{
    const Silence *last = NULL;

    for (guint i = 0; i < silences->len; i++) {
        const Silence *silence = silences->pdata[i];

        if (applies(silence, alert) && (!last || silence->until_us > last->until_us))
            last = silence;
    }
    return last;
}

gint64
silences_next_us(const GPtrArray *silences)
{
    gint64 next = G_MAXINT64;

    for (guint i = 0; i < silences->len; i++)
        next = MIN(next, ((const Silence *)silences->pdata[i])->until_us);
    return next;
}

bool
silence_is_cause(const char *word)
{
    Layer layer;

    for (guint i = 0; i < G_N_ELEMENTS(causes); i++)
        if (strcmp(causes[i], word) == 0)
            return true;
    return layer_from_name(word, &layer) && layer != LAYER_NONE && layer != LAYER_UNKNOWN;
}
