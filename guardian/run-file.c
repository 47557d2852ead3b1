/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run-file.h"

#include "message.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY "vm-guardian"
#define NEW_SUFFIX ".new"

char *
run_file_boot_id(const Host *host)
{
    char *text = host_read(host, HOST_PROC, "sys/kernel/random/boot_id", 256, NULL, NULL);

    return text ? g_strstrip(text) : g_strdup("unknown");
}

void
run_file_save(const Host *host, const char *name, const char *text)
{
    g_autofree char *new_name = g_strconcat(name, NEW_SUFFIX, NULL);
    int dir = host_open(host, HOST_RUN, DIRECTORY, O_RDONLY | O_DIRECTORY, NULL);
    int fd = dir < 0 ? -1
                     : openat(dir, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                              0600);

    if (fd >= 0) {
        if (write(fd, text, strlen(text)) == (ssize_t)strlen(text))
            (void)!renameat(dir, new_name, dir, name);
        close(fd);
    }
    if (dir >= 0)
        close(dir);
}

char *
run_file_load(const Host *host, const char *name, gsize bytes_max, gsize *ret_length)
{
    g_autofree char *path = g_build_filename(DIRECTORY, name, NULL);

    return host_read(host, HOST_RUN, path, bytes_max, ret_length, NULL);
}

JsonNode *
run_file_parse_json(const char *text, gsize length)
{
    g_autoptr(JsonParser) parser = json_parser_new();

    if (!json_parser_load_from_data(parser, text, (gssize)length, NULL) ||
        !json_parser_get_root(parser) || !JSON_NODE_HOLDS_OBJECT(json_parser_get_root(parser)))
        return NULL;
    return json_parser_steal_root(parser);
}

JsonNode *
run_file_load_json(const Host *host, const char *name, gsize bytes_max)
{
    gsize length = 0;
    g_autofree char *text = run_file_load(host, name, bytes_max, &length);

    return text ? run_file_parse_json(text, length) : NULL;
}

void
run_file_each(JsonNode *file, const char *list, const char *boot_id, guint n_max, RunFileTake take,
              gpointer data)
{
    JsonObject *root = file ? json_node_get_object(file) : NULL;
    JsonArray *array = root ? message_get_array(root, list) : NULL;
    guint64 schema = 0;

    if (!array || !message_get_u64(root, "schema", &schema) || schema != 1 ||
        (boot_id && g_strcmp0(message_get_string(root, "boot_id"), boot_id) != 0))
        return;
    for (guint i = 0; i < MIN(json_array_get_length(array), n_max); i++) {
        JsonObject *object = message_object_at(array, i);

        if (object)
            take(object, data);
    }
}
