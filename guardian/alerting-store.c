/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alerting-store.h"

#include "message.h"
#include "report-build.h"
#include "run-file.h"
#include "silence.h"

#define STORE_NAME "alerts.json"
/* 4096 alerts with long names. */
#define STORE_BYTES_MAX (4 * 1024 * 1024)

static void
past_free(gpointer data)
{
    PastAlert *past = data;

    g_free(past->vm);
    g_free(past->disk);
    g_free(past->storage);
    g_free(past->cause);
    g_free(past);
}

GPtrArray *
past_alerts_new(void)
{
    return g_ptr_array_new_with_free_func(past_free);
}

void
past_alerts_add(GPtrArray *past, const PastAlert *alert)
{
    PastAlert *kept = g_new0(PastAlert, 1);

    *kept = *alert;
    kept->vm = g_strdup(alert->vm);
    kept->disk = g_strdup(alert->disk);
    kept->storage = g_strdup(alert->storage);
    kept->cause = g_strdup(alert->cause);
    while (past->len >= PAST_ALERTS_MAX)
        g_ptr_array_remove_index(past, 0);
    g_ptr_array_add(past, kept);
}

static void
add_alert(JsonBuilder *builder, const Alert *alert)
{
    json_builder_begin_object(builder);
    build_text(builder, "key", alert->key);
    build_text(builder, "vm", alert->vm);
    build_text(builder, "disk", alert->disk);
    build_text(builder, "storage", alert->storage);
    build_text(builder, "layer", layer_name(alert->layer));
    build_s64(builder, "since_us", true, alert->since_us);
    build_bool(builder, "paged", alert->is_paged);
    build_bool(builder, "acked", alert->is_acked);
    json_builder_end_object(builder);
}

static void
add_silence(JsonBuilder *builder, const Silence *silence)
{
    json_builder_begin_object(builder);
    build_bool(builder, "of_cause", silence->kind == SILENCE_CAUSE);
    build_text(builder, "subject", silence->subject);
    build_text(builder, "why", silence->why);
    build_s64(builder, "from_us", true, silence->from_us);
    build_s64(builder, "until_us", true, silence->until_us);
    json_builder_end_object(builder);
}

static void
add_past(JsonBuilder *builder, const PastAlert *past)
{
    json_builder_begin_object(builder);
    build_text(builder, "vm", past->vm);
    build_text(builder, "disk", past->disk);
    build_text(builder, "storage", past->storage);
    build_text(builder, "layer", layer_name(past->layer));
    build_text(builder, "cause", past->cause);
    build_s64(builder, "since_us", true, past->since_us);
    build_s64(builder, "ended_us", true, past->ended_us);
    json_builder_end_object(builder);
}

static char *
store_text(const Host *host, const AlertingMemory *memory)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *boot = run_file_boot_id(host);

    json_builder_begin_object(builder);
    build_s64(builder, "schema", true, 1);
    build_text(builder, "boot_id", boot);
    json_builder_set_member_name(builder, "alerts");
    json_builder_begin_array(builder);
    for (guint i = 0; i < memory->open->len; i++)
        if (((const Alert *)memory->open->pdata[i])->is_told)
            add_alert(builder, memory->open->pdata[i]);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "silences");
    json_builder_begin_array(builder);
    for (guint i = 0; i < memory->silences->len; i++)
        add_silence(builder, memory->silences->pdata[i]);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "past");
    json_builder_begin_array(builder);
    for (guint i = 0; i < memory->past->len; i++)
        add_past(builder, memory->past->pdata[i]);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

void
alerting_store_save(const Host *host, const AlertingMemory *memory)
{
    g_autofree char *text = store_text(host, memory);

    run_file_save(host, STORE_NAME, text);
}

static void
restore_alert(JsonObject *object, const Host *host, const AlertingMemory *memory)
{
    Alert alert = {.key = (char *)message_get_string(object, "key"),
                   .vm = (char *)message_get_string(object, "vm"),
                   .disk = (char *)message_get_string(object, "disk"),
                   .storage = (char *)message_get_string(object, "storage"),
                   .cause = ""};
    guint64 since;

    if (!alert.key || !alert.vm || !message_get_u64(object, "since_us", &since) ||
        !layer_from_name(message_get_string(object, "layer"), &alert.layer))
        return;
    alert.since_us = (gint64)since;
    (void)message_get_bool(object, "paged", &alert.is_paged);
    (void)message_get_bool(object, "acked", &alert.is_acked);
    alerts_restore(memory->alerts, &alert, host_monotonic_us(host));
}

static void
restore_silence(JsonObject *object, const Host *host, const AlertingMemory *memory)
{
    Silence silence = {.subject = (char *)message_get_string(object, "subject"),
                       .why = (char *)message_get_string(object, "why")};
    guint64 from = 0, until = 0;
    bool is_of_cause = false;

    if (!silence.subject || !silence.why || !message_get_bool(object, "of_cause", &is_of_cause) ||
        !message_get_u64(object, "from_us", &from) || !message_get_u64(object, "until_us", &until))
        return;
    silence.kind = is_of_cause ? SILENCE_CAUSE : SILENCE_VM;
    silence.from_us = (gint64)from;
    silence.until_us = (gint64)until;
    (void)!silences_add(memory->silences, &silence);
}

static void
restore_past(JsonObject *object, const Host *host, const AlertingMemory *memory)
{
    PastAlert past = {.vm = (char *)message_get_string(object, "vm"),
                      .disk = (char *)message_get_string(object, "disk"),
                      .storage = (char *)message_get_string(object, "storage"),
                      .cause = (char *)message_get_string(object, "cause")};
    guint64 since = 0, ended = 0;

    if (!past.vm || !past.cause || !message_get_u64(object, "since_us", &since) ||
        !message_get_u64(object, "ended_us", &ended) ||
        !layer_from_name(message_get_string(object, "layer"), &past.layer))
        return;
    past.since_us = (gint64)since;
    past.ended_us = (gint64)ended;
    past_alerts_add(memory->past, &past);
}

typedef void (*RestoreFunc)(JsonObject *object, const Host *host, const AlertingMemory *memory);

static void
restore_list(JsonArray *list, RestoreFunc restore, const Host *host, const AlertingMemory *memory)
{
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *object = message_object_at(list, i);

        if (object)
            restore(object, host, memory);
    }
}

void
alerting_store_load(const Host *host, const AlertingMemory *memory)
{
    gsize length = 0;
    g_autofree char *text = run_file_load(host, STORE_NAME, STORE_BYTES_MAX, &length);
    g_autofree char *boot = run_file_boot_id(host);
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root;

    if (!text || !json_parser_load_from_data(parser, text, (gssize)length, NULL) ||
        !json_parser_get_root(parser) || !JSON_NODE_HOLDS_OBJECT(json_parser_get_root(parser)))
        return;
    root = json_node_get_object(json_parser_get_root(parser));
    if (g_strcmp0(message_get_string(root, "boot_id"), boot) != 0)
        return;
    restore_list(message_get_array(root, "alerts"), restore_alert, host, memory);
    restore_list(message_get_array(root, "silences"), restore_silence, host, memory);
    restore_list(message_get_array(root, "past"), restore_past, host, memory);
}
