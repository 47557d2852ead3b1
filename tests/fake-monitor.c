/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-monitor.h"

#include "fake-qmp.h"
#include "message.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    FakeMonitor *monitor;
    int fd;
    GSource *source;
    GString *in;
} Connection;

struct FakeMonitor {
    GMainContext *context;
    FakeMonitorMood mood;
    GSource *source;
    int fd;
    GHashTable *answers; /* command -> JSON text, "" for silence */
    char *fatal_command;
    char *trigger, *triggered, *triggered_json; /* NULL: none */
    GString *asked;
    GPtrArray *connections; /* of Connection */
    guint n_accepted;
    const char *raw;
    gsize raw_length;
};

static void
connection_free(gpointer data)
{
    Connection *connection = data;

    g_source_destroy(connection->source);
    g_source_unref(connection->source);
    close(connection->fd);
    g_string_free(connection->in, TRUE);
    g_free(connection);
}

static void
connection_send(const Connection *connection, const char *bytes, gsize length)
{
    /* what the peer does not take is lost: it hung up, or the test is about that */
    (void)!send(connection->fd, bytes, length, MSG_NOSIGNAL);
}

static void
connection_answer(const Connection *connection, const char *answer, gint64 id)
{
    g_autofree char *line = NULL;

    if (!answer)
        line = g_strdup_printf("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}, "
                               "\"id\": %" G_GINT64_FORMAT "}\n",
                               id);
    else
        line = g_strdup_printf("{\"return\": %s, \"id\": %" G_GINT64_FORMAT "}\n", answer, id);
    connection_send(connection, line, strlen(line));
}

/* false: it hung up. */
static bool
connection_take_line(const Connection *connection, const char *line)
{
    FakeMonitor *monitor = connection->monitor;
    g_autoptr(Message) message = message_parse(line, strlen(line), NULL);
    g_autofree char *arguments = NULL, *key = NULL;
    const char *answer;

    if (!message || message->kind != MESSAGE_REQUEST)
        g_error("fake monitor: not a request: %s", line);
    if (!message->has_id && strcmp(message->name, "qmp_capabilities") == 0) {
        if (monitor->mood != FAKE_MONITOR_HANGS)
            connection_send(connection, "{\"return\": {}}\n", strlen("{\"return\": {}}\n"));
        return true;
    }
    arguments = message->body ? json_to_string(message->body, FALSE) : NULL;
    key = g_strdup_printf("%s %s", message->name, arguments ? arguments : "");
    g_string_append_printf(monitor->asked, "%s ", message->name);
    if (g_strcmp0(monitor->fatal_command, message->name) == 0)
        return false;
    answer = g_hash_table_lookup(monitor->answers, key);
    if (!answer)
        answer = g_hash_table_lookup(monitor->answers, message->name);
    if (!answer || *answer)
        connection_answer(connection, answer, message->id);
    if (g_strcmp0(monitor->trigger, message->name) == 0)
        fake_monitor_answer(monitor, monitor->triggered, monitor->triggered_json);
    return true;
}

static gboolean
connection_readable(gint fd, GIOCondition condition, gpointer data)
{
    Connection *connection = data;
    FakeMonitor *monitor = connection->monitor;
    char bytes[4096];
    gssize length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    bool is_open = length > 0;
    char *end;

    if (is_open)
        g_string_append_len(connection->in, bytes, length);
    while (is_open && (end = strchr(connection->in->str, '\n'))) {
        g_autofree char *line = g_strndup(connection->in->str, (gsize)(end - connection->in->str));

        g_string_erase(connection->in, 0, end - connection->in->str + 1);
        is_open = connection_take_line(connection, line);
    }
    if (is_open)
        return G_SOURCE_CONTINUE;
    g_ptr_array_remove_fast(monitor->connections, connection);
    return G_SOURCE_REMOVE;
}

static gboolean
monitor_accept(gint fd, GIOCondition condition, gpointer data)
{
    FakeMonitor *monitor = data;
    Connection *connection;

    if (monitor->mood == FAKE_MONITOR_DEAF)
        return G_SOURCE_CONTINUE;
    connection = g_new0(Connection, 1);
    monitor->n_accepted++;
    connection->monitor = monitor;
    connection->in = g_string_new(NULL);
    connection->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    connection->source = g_unix_fd_source_new(connection->fd, G_IO_IN);
    g_source_set_callback(connection->source, G_SOURCE_FUNC(connection_readable), connection, NULL);
    g_source_attach(connection->source, monitor->context);
    g_ptr_array_add(monitor->connections, connection);
    if (monitor->mood == FAKE_MONITOR_RAVES)
        connection_send(connection, monitor->raw, monitor->raw_length);
    else if (monitor->mood != FAKE_MONITOR_MUTE)
        connection_send(connection, FAKE_GREETING, strlen(FAKE_GREETING));
    return G_SOURCE_CONTINUE;
}

FakeMonitor *
fake_monitor_new(GMainContext *context, const char *path)
{
    FakeMonitor *monitor = g_new0(FakeMonitor, 1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    monitor->context = context;
    monitor->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    monitor->asked = g_string_new(NULL);
    monitor->connections = g_ptr_array_new_with_free_func(connection_free);
    monitor->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(monitor->fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(monitor->fd, 1) < 0)
        g_error("fake monitor: %s: %m", path);
    fake_monitor_set_mood(monitor, FAKE_MONITOR_TALKS);
    return monitor;
}

void
fake_monitor_free(FakeMonitor *monitor)
{
    fake_monitor_set_mood(monitor, FAKE_MONITOR_DEAF);
    close(monitor->fd);
    g_ptr_array_unref(monitor->connections);
    g_hash_table_unref(monitor->answers);
    g_string_free(monitor->asked, TRUE);
    g_free(monitor->fatal_command);
    fake_monitor_answer_after(monitor, NULL, NULL, NULL);
    g_free(monitor);
}

/* One that is deaf must not wake the loop either. */
void
fake_monitor_set_mood(FakeMonitor *monitor, FakeMonitorMood mood)
{
    monitor->mood = mood;
    if (monitor->source) {
        g_source_destroy(monitor->source);
        g_clear_pointer(&monitor->source, g_source_unref);
    }
    if (mood == FAKE_MONITOR_DEAF)
        return;
    monitor->source = g_unix_fd_source_new(monitor->fd, G_IO_IN);
    g_source_set_callback(monitor->source, G_SOURCE_FUNC(monitor_accept), monitor, NULL);
    g_source_attach(monitor->source, monitor->context);
}

void
fake_monitor_set_raw(FakeMonitor *monitor, const char *bytes, gsize length)
{
    monitor->raw = bytes;
    monitor->raw_length = length;
}

void
fake_monitor_answer(FakeMonitor *monitor, const char *command, const char *json)
{
    g_hash_table_replace(monitor->answers, g_strdup(command), g_strdup(json ? json : ""));
}

void
fake_monitor_answer_after(FakeMonitor *monitor, const char *trigger, const char *command,
                          const char *json)
{
    g_free(monitor->trigger);
    g_free(monitor->triggered);
    g_free(monitor->triggered_json);
    monitor->trigger = g_strdup(trigger);
    monitor->triggered = g_strdup(command);
    monitor->triggered_json = g_strdup(json);
}

void
fake_monitor_hang_up_on(FakeMonitor *monitor, const char *command)
{
    g_free(monitor->fatal_command);
    monitor->fatal_command = g_strdup(command);
}

void
fake_monitor_send(FakeMonitor *monitor, const char *line)
{
    for (guint i = 0; i < monitor->connections->len; i++)
        connection_send(monitor->connections->pdata[i], line, strlen(line));
}

void
fake_monitor_hang_up(FakeMonitor *monitor)
{
    g_ptr_array_set_size(monitor->connections, 0);
}

char *
fake_monitor_take_asked(FakeMonitor *monitor)
{
    char *asked = g_strdup(monitor->asked->str);

    g_string_truncate(monitor->asked, 0);
    return asked;
}

guint
fake_monitor_accepted(const FakeMonitor *monitor)
{
    return monitor->n_accepted;
}

guint
fake_monitor_connected(const FakeMonitor *monitor)
{
    return monitor->connections->len;
}
