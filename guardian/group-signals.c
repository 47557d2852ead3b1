/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "group-signals.h"

#include "cgroup.h"

#include <fcntl.h>
#include <string.h>

/* memory.events and memory.pressure have less than ten short lines. */
#define TEXT_BYTES 1024

typedef enum {
    FILE_USAGE,
    FILE_MAX,
    FILE_HIGH,
    FILE_EVENTS,
    FILE_PRESSURE,
    FILE_SWAP_MAX,
    FILE_SWAP_USAGE,
    N_FILES
} SignalFile;

/* v1 counts memory and swap together in memsw.*; it has no band, and no stalls by group. */
static const char *const file_names[2][N_FILES] = {
    {
        [FILE_USAGE] = "memory.usage_in_bytes",
        [FILE_MAX] = "memory.limit_in_bytes",
        [FILE_EVENTS] = "memory.failcnt",
        [FILE_SWAP_MAX] = "memory.memsw.limit_in_bytes",
        [FILE_SWAP_USAGE] = "memory.memsw.usage_in_bytes",
    },
    {
        [FILE_USAGE] = "memory.current",
        [FILE_MAX] = "memory.max",
        [FILE_HIGH] = "memory.high",
        [FILE_EVENTS] = "memory.events",
        [FILE_PRESSURE] = "memory.pressure",
        [FILE_SWAP_MAX] = "memory.swap.max",
        [FILE_SWAP_USAGE] = "memory.swap.current",
    },
};

struct GroupReader {
    char *path;
    bool is_v2;
    int fds[N_FILES];
};

GroupReader *
group_reader_new(int mount_fd, const char *path, bool is_v2)
{
    GroupReader *reader = g_new0(GroupReader, 1);

    reader->path = g_strdup(path);
    reader->is_v2 = is_v2;
    for (guint i = 0; i < N_FILES; i++) {
        const char *name = file_names[is_v2][i];
        g_autofree char *file = name ? g_strconcat(path + 1, path[1] ? "/" : "", name, NULL) : NULL;

        reader->fds[i] = file ? host_open_beneath(mount_fd, file, O_RDONLY | O_NONBLOCK) : -1;
    }
    return reader;
}

void
group_reader_free(GroupReader *reader)
{
    if (!reader)
        return;
    for (guint i = 0; i < N_FILES; i++)
        fd_clear(&reader->fds[i]);
    g_free(reader->path);
    g_free(reader);
}

const char *
group_reader_path(const GroupReader *reader)
{
    return reader->path;
}

static bool
file_read(const GroupReader *reader, SignalFile file, char text[TEXT_BYTES])
{
    return reader->fds[file] >= 0 && host_reread(reader->fds[file], text, TEXT_BYTES, NULL) >= 0;
}

static bool
bytes_read(const GroupReader *reader, SignalFile file, guint64 *ret_bytes)
{
    char text[TEXT_BYTES];

    return file_read(reader, file, text) && cgroup_parse_bytes(text, ret_bytes);
}

/* false: not readable. *ret_has_limit is false for "max", and for v1's number that means it. */
static bool
limit_read(const GroupReader *reader, SignalFile file, bool *ret_has_limit, guint64 *ret_bytes)
{
    char text[TEXT_BYTES];

    *ret_has_limit = false;
    return file_read(reader, file, text) && cgroup_parse_limit(text, ret_has_limit, ret_bytes);
}

bool
group_parse_event(const char *text, const char *name, guint64 *ret_count)
{
    gsize length = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        g_autofree char *number = NULL;

        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ' ')
            continue;
        number = g_strndup(line + length + 1, strcspn(line + length + 1, "\n"));
        return cgroup_parse_bytes(number, ret_count);
    }
    return false;
}

bool
group_parse_stalled(const char *text, guint64 *ret_us)
{
    const char *full = strstr(text, "full ");
    const char *total = full ? g_strstr_len(full, (gssize)strcspn(full, "\n"), " total=") : NULL;
    g_autofree char *number = NULL;

    if (!total)
        return false;
    total += strlen(" total=");
    number = g_strndup(total, strcspn(total, "\n"));
    return cgroup_parse_bytes(number, ret_us);
}

static void
events_read(const GroupReader *reader, GroupSignals *signals)
{
    char text[TEXT_BYTES];

    if (!reader->is_v2) {
        signals->has_failures = bytes_read(reader, FILE_EVENTS, &signals->failures);
        return;
    }
    signals->has_events = file_read(reader, FILE_EVENTS, text) &&
                          group_parse_event(text, "high", &signals->high_events) &&
                          group_parse_event(text, "max", &signals->max_events) &&
                          group_parse_event(text, "oom_kill", &signals->oom_kills);
    signals->has_stalled =
        file_read(reader, FILE_PRESSURE, text) && group_parse_stalled(text, &signals->stalled_us);
}

static guint64
less(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

static void
swap_read(const GroupReader *reader, GroupSignals *signals)
{
    bool has_limit;
    guint64 limit_bytes = 0, used_bytes = 0;

    if (!limit_read(reader, FILE_SWAP_MAX, &has_limit, &limit_bytes) ||
        !bytes_read(reader, FILE_SWAP_USAGE, &used_bytes))
        return;
    signals->has_swap = true;
    if (!has_limit)
        signals->swap_room_bytes = G_MAXUINT64;
    else if (reader->is_v2)
        signals->swap_room_bytes = less(limit_bytes, used_bytes);
    else if (signals->has_max) /* memory and swap together, less what is memory's alone */
        signals->swap_room_bytes =
            less(less(limit_bytes, signals->max_bytes), less(used_bytes, signals->usage_bytes));
}

bool
group_reader_read(GroupReader *reader, GroupSignals *ret_signals)
{
    GroupSignals signals = {0};

    signals.has_usage = bytes_read(reader, FILE_USAGE, &signals.usage_bytes);
    if (!signals.has_usage)
        return false;
    (void)!limit_read(reader, FILE_MAX, &signals.has_max, &signals.max_bytes);
    (void)!limit_read(reader, FILE_HIGH, &signals.has_high, &signals.high_bytes);
    events_read(reader, &signals);
    swap_read(reader, &signals);
    *ret_signals = signals;
    return true;
}
