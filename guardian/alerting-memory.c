/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alerting-private.h"

#include "act-limit.h"
#include "act-order.h"
#include "memory-watch.h"
#include "report-forecast.h"

#include <string.h>

static void
follow_memory(Alerting *alerting, const Alert *identity, PressureLevel level, const char *cause,
              gint64 since_us)
{
    Verdict verdict = {.state = level >= PRESSURE_DOOMED ? STATE_SUSPECT : STATE_OK,
                       .layer = LAYER_MEMORY,
                       .cause = cause,
                       .since_us = since_us,
                       .has_alert = level >= PRESSURE_DOOMED,
                       .is_paged = level >= PRESSURE_IMMINENT};

    alerts_update(alerting->alerts, identity, &verdict, host_monotonic_us(alerting->host));
    alerting_speak_due(alerting, false);
}

void
alerting_follow_act(Alerting *alerting, const Vm *vm, const char *kind, const char *problem)
{
    bool is_limits = strcmp(kind, ACT_KIND_LIMITS) == 0;
    g_autofree char *process = alerting_key(vm, NULL);
    g_autofree char *key = g_strconcat(process, "#act", is_limits ? "" : kind, NULL);
    g_autofree char *text =
        problem ? g_strdup_printf("its %s: %s",
                                  is_limits ? "memory limits could not be raised"
                                            : "kill order is not as [memory] asks for",
                                  problem)
                : NULL;
    Alert identity = {.key = key, .vm = vm->name, .text = text};

    follow_memory(alerting, &identity, problem ? PRESSURE_DOOMED : PRESSURE_OK, "act-failed",
                  host_monotonic_us(alerting->host));
}

void
alerting_follow_memory(Alerting *alerting, const Vm *vm)
{
    const PressureVerdict *forecast = &vm->memory_watch->pressure.verdict;
    g_autoptr(JsonNode) told = report_vm(alerting->host, vm);
    g_autofree char *text = report_forecast_text(json_node_get_object(told));
    /* not below the key of the VM's disks: it is a trouble of its own */
    g_autofree char *process = alerting_key(vm, NULL), *key = g_strconcat(process, "#memory", NULL);
    Alert identity = {.key = key, .vm = vm->name, .text = text};

    follow_memory(alerting, &identity, forecast->level, pressure_level_name(forecast->level),
                  forecast->since_us);
    if (forecast->level < PRESSURE_DOOMED) /* or it has ended: nothing is to be saved */
        alerting_follow_act(alerting, vm, ACT_KIND_LIMITS, NULL);
    if (vm->sample.process_is_gone) {
        alerting_follow_act(alerting, vm, ACT_KIND_GROUP, NULL);
        alerting_follow_act(alerting, vm, ACT_KIND_SCORE, NULL);
    }
}

void
alerting_follow_host(Alerting *alerting, const HostWatch *watch)
{
    Alert identity = {
        .key = (char *)"host#memory", .vm = (char *)"host", .text = (char *)watch->verdict.reason};

    follow_memory(alerting, &identity, watch->verdict.level,
                  pressure_level_name(watch->verdict.level), watch->since_us);
}

void
alerting_follow_lift(Alerting *alerting, const char *label, const char *problem)
{
    g_autofree char *key = g_strconcat("group:", label, "#act", NULL);
    g_autofree char *text =
        problem ? g_strdup_printf("its memory.high could not be lifted: %s", problem) : NULL;
    Alert identity = {.key = key, .vm = (char *)label, .text = text};

    follow_memory(alerting, &identity, problem ? PRESSURE_DOOMED : PRESSURE_OK, "act-failed",
                  host_monotonic_us(alerting->host));
}

void
alerting_follow_band(Alerting *alerting, const Band *band)
{
    g_autofree char *key = g_strconcat("group:", band->label, NULL);
    g_autofree char *text = band_text(band);
    Alert identity = {.key = key, .vm = band->label, .text = text};
    bool is_livelock = band->track.verdict.is_livelock;

    /* people wait for what stands still, so it is a page at once */
    follow_memory(alerting, &identity, is_livelock ? PRESSURE_IMMINENT : PRESSURE_OK, "livelock",
                  band->track.verdict.since_us);
    if (!is_livelock)
        alerting_follow_lift(alerting, band->label, NULL);
}

void
alerting_follow_oom(Alerting *alerting, const OomStory *story, bool is_open)
{
    g_autofree char *key = g_strconcat("oom:", story->vm, NULL);
    Alert identity = {.key = key, .vm = story->vm, .text = story->line};
    PressureLevel level = !is_open          ? PRESSURE_OK
                          : story->is_death ? PRESSURE_IMMINENT
                                            : PRESSURE_DOOMED;

    follow_memory(alerting, &identity, level, "oom-killed", story->seen_us);
}
