/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alerting-store.h"

#include "message.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STORE_DIRECTORY "vm-guardian"
#define STORE_NAME "alerts.json"
#define STORE_NEW_NAME "alerts.json.new"
/* 4096 alerts with long names. */
#define STORE_BYTES_MAX (4 * 1024 * 1024)

/* Monotonic times mean something within one boot only. */
static char *
boot_id(const Host *host)
{
    char *text = host_read(host, HOST_PROC, "sys/kernel/random/boot_id", 256, NULL, NULL);

    return text ? g_strstrip(text) : g_strdup("unknown");
}

static void
add_text(JsonBuilder *builder, const char *name, const char *text)
{
    json_builder_set_member_name(builder, name);
    if (text)
        json_builder_add_string_value(builder, text);
    else
        json_builder_add_null_value(builder);
}

static void
add_alert(JsonBuilder *builder, const Alert *alert)
{
    json_builder_begin_object(builder);
    add_text(builder, "key", alert->key);
    add_text(builder, "vm", alert->vm);
    add_text(builder, "disk", alert->disk);
    add_text(builder, "storage", alert->storage);
    add_text(builder, "layer", layer_name(alert->layer));
    json_builder_set_member_name(builder, "since_us");
    json_builder_add_int_value(builder, alert->since_us);
    json_builder_set_member_name(builder, "paged");
    json_builder_add_boolean_value(builder, alert->is_paged);
    json_builder_end_object(builder);
}

static char *
store_text(const Host *host, const GPtrArray *open)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *boot = boot_id(host);

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "schema");
    json_builder_add_int_value(builder, 1);
    add_text(builder, "boot_id", boot);
    json_builder_set_member_name(builder, "alerts");
    json_builder_begin_array(builder);
    for (guint i = 0; i < open->len; i++)
        if (((const Alert *)open->pdata[i])->is_told)
            add_alert(builder, open->pdata[i]);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

void
alerting_store_save(const Host *host, const GPtrArray *open)
{
    g_autofree char *text = store_text(host, open);
    int dir = host_open(host, HOST_RUN, STORE_DIRECTORY, O_RDONLY | O_DIRECTORY, NULL);
    int fd = dir < 0 ? -1
                     : openat(dir, STORE_NEW_NAME,
                              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0) {
        if (write(fd, text, strlen(text)) == (ssize_t)strlen(text))
            (void)!renameat(dir, STORE_NEW_NAME, dir, STORE_NAME);
        close(fd);
    }
    if (dir >= 0)
        close(dir);
}

static void
restore_one(JsonObject *object, Alerts *alerts, gint64 now_us)
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
    alerts_restore(alerts, &alert, now_us);
}

void
alerting_store_load(const Host *host, Alerts *alerts)
{
    gsize length = 0;
    g_autofree char *text =
        host_read(host, HOST_RUN, STORE_DIRECTORY "/" STORE_NAME, STORE_BYTES_MAX, &length, NULL);
    g_autofree char *boot = boot_id(host);
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonObject *root;
    JsonArray *list;

    if (!text || !json_parser_load_from_data(parser, text, (gssize)length, NULL) ||
        !json_parser_get_root(parser) || !JSON_NODE_HOLDS_OBJECT(json_parser_get_root(parser)))
        return;
    root = json_node_get_object(json_parser_get_root(parser));
    list = message_get_array(root, "alerts");
    if (g_strcmp0(message_get_string(root, "boot_id"), boot) != 0)
        return;
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);

        if (JSON_NODE_HOLDS_OBJECT(node))
            restore_one(json_node_get_object(node), alerts, host_monotonic_us(host));
    }
}
