/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alerting-private.h"

#include "report-build.h"
#include "units.h"

#include <string.h>

/* "<subject>" <what> */
static bool
refuse_word(GError **error, const char *word, const char *what)
{
    g_autofree char *printable = units_printable(word, -1);

    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE, "\"%s\" %s", printable, what);
    return false;
}

static bool
refuse(GError **error, const char *why)
{
    g_set_error_literal(error, GUARDIAN_ERROR, GUARDIAN_ERROR_MALFORMED, why);
    return false;
}

/* The printable name of the one VM that is called so; NULL for none, or several of other names. */
static const char *
find_name(const GPtrArray *vms, const char *word)
{
    const char *name = NULL;

    for (guint i = 0; i < vms->len; i++) {
        const Vm *vm = vms->pdata[i];

        if (!vm_matches(vm, word))
            continue;
        if (name && strcmp(name, vm->name) != 0)
            return NULL;
        name = vm->name;
    }
    return name;
}

static bool
is_open(const Alerting *alerting, const char *word, SilenceKind kind)
{
    g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);

    for (guint i = 0; i < open->len; i++) {
        const Alert *alert = open->pdata[i];

        if (g_strcmp0(kind == SILENCE_VM ? alert->vm : alert->cause, word) == 0 && *word)
            return true;
    }
    return false;
}

bool
alerting_silence(Alerting *alerting, const GPtrArray *vms, const AlertingSilence *wanted,
                 GError **error)
{
    const char *name = find_name(vms, wanted->subject);
    gint64 now = host_realtime_us(alerting->host);
    g_autofree char *subject = units_printable(name ? name : wanted->subject, -1);
    g_autofree char *why = units_printable(wanted->why, -1);
    Silence silence = {.kind = SILENCE_VM,
                       .subject = subject,
                       .why = why,
                       .from_us = now,
                       .until_us = now + wanted->for_us};

    if (wanted->for_us <= 0 || wanted->for_us > SILENCE_MAX_US)
        return refuse(error, "a silence lasts from one second to 30 days");
    if (!*why)
        return refuse(error, "a silence needs a reason");
    if (!name && !is_open(alerting, subject, SILENCE_VM)) {
        silence.kind = SILENCE_CAUSE;
        if (!silence_is_cause(subject) && !is_open(alerting, subject, SILENCE_CAUSE))
            return refuse_word(error, wanted->subject,
                               "is no VM and no cause; see guardianctl list and alerts");
    }
    if (!silences_add(alerting->silences, &silence))
        return refuse(error, "there are too many silences already");
    alerting_speak_due(alerting, true);
    return true;
}

bool
alerting_end_silence(Alerting *alerting, const GPtrArray *vms, const char *word, GError **error)
{
    const char *name = find_name(vms, word);
    g_autofree char *subject = units_printable(name ? name : word, -1);

    if (!silences_remove(alerting->silences, subject))
        return refuse_word(error, word, "is not silenced");
    alerting_speak_due(alerting, true);
    return true;
}

bool
alerting_acknowledge(Alerting *alerting, const GPtrArray *vms, const char *word, GError **error)
{
    const char *name = find_name(vms, word);
    g_autofree char *subject = units_printable(name ? name : word, -1);

    if (alerts_acknowledge(alerting->alerts, subject) == 0)
        return refuse_word(error, word, "has no alert that was told and is not known of");
    alerting_speak_due(alerting, true);
    return true;
}

static void
add_alert(JsonBuilder *builder, const Alerting *alerting, const Alert *alert,
          const ReportClocks *clocks)
{
    const Silence *silence = silences_of(alerting->silences, alert);
    g_autofree char *until = silence ? report_utc(silence->until_us) : NULL;

    json_builder_begin_object(builder);
    build_text(builder, "vm", alert->vm);
    build_text(builder, "disk", alert->disk);
    build_text(builder, "storage", alert->storage);
    build_text(builder, "layer", layer_name(alert->layer));
    build_text(builder, "cause", alert->cause ? alert->cause : "");
    build_time(builder, "since_utc", alert->since_us, clocks);
    build_s64(builder, "since_s", alert->since_us > 0,
              (clocks->monotonic_us - alert->since_us) / G_USEC_PER_SEC);
    build_bool(builder, "told", alert->is_told);
    build_bool(builder, "paged", alert->is_paged);
    build_bool(builder, "acknowledged", alert->is_acked);
    build_text(builder, "silenced_until_utc", until);
    json_builder_end_object(builder);
}

static void
add_past(JsonBuilder *builder, const PastAlert *past)
{
    g_autofree char *since = report_utc(past->since_us);
    g_autofree char *ended = report_utc(past->ended_us);

    json_builder_begin_object(builder);
    build_text(builder, "vm", past->vm);
    build_text(builder, "disk", past->disk);
    build_text(builder, "storage", past->storage);
    build_text(builder, "layer", layer_name(past->layer));
    build_text(builder, "cause", past->cause);
    build_text(builder, "since_utc", since);
    build_text(builder, "ended_utc", ended);
    json_builder_end_object(builder);
}

static void
add_hooks(JsonBuilder *builder, const Alerting *alerting)
{
    AlertHooksCount count = alert_hooks_count(alerting->hooks);

    json_builder_set_member_name(builder, "hooks");
    json_builder_begin_object(builder);
    build_s64(builder, "running", true, count.running);
    build_s64(builder, "waiting", true, count.waiting);
    build_u64(builder, "run", true, count.run);
    build_u64(builder, "failed", true, count.failed);
    build_u64(builder, "dropped", true, count.dropped);
    json_builder_end_object(builder);
}

JsonNode *
alerting_silences_json(const Alerting *alerting)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_array(builder);
    for (guint i = 0; i < alerting->silences->len; i++) {
        const Silence *silence = alerting->silences->pdata[i];
        g_autofree char *from = report_utc(silence->from_us);
        g_autofree char *until = report_utc(silence->until_us);

        json_builder_begin_object(builder);
        build_text(builder, "subject", silence->subject);
        build_text(builder, "kind", silence->kind == SILENCE_VM ? "vm" : "cause");
        build_text(builder, "from_utc", from);
        build_text(builder, "until_utc", until);
        build_text(builder, "why", silence->why);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    return json_builder_get_root(builder);
}

JsonNode *
alerting_report(const Alerting *alerting)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(GPtrArray) open = alerts_open(alerting->alerts);
    ReportClocks clocks = {.monotonic_us = host_monotonic_us(alerting->host),
                           .realtime_us = host_realtime_us(alerting->host)};
    g_autofree char *now = report_utc(clocks.realtime_us);

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "now_utc", now);
    json_builder_set_member_name(builder, "alerts");
    json_builder_begin_array(builder);
    for (guint i = 0; i < open->len; i++)
        add_alert(builder, alerting, open->pdata[i], &clocks);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "recent");
    json_builder_begin_array(builder);
    for (guint i = alerting->past->len; i-- > 0;)
        add_past(builder, alerting->past->pdata[i]);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "silences");
    json_builder_add_value(builder, alerting_silences_json(alerting));
    add_hooks(builder, alerting);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}
