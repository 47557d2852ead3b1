/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pve-log.h"

#include "message.h"
#include "units.h"

#include <string.h>

/* {"data": [
 *  {"uid": 1, "time": 1700000000, "pri": 6, "tag": "qm", "pid": 7, "node": "pve1",
 *   "user": "root@pam", "msg": "update VM 102: -scsi0 ..."},
 *  ...
 * one object a line. */

static void
line_take(JsonObject *line, const char *id, Writers *writers)
{
    const char *message = message_get_string(line, "msg");
    const char *user = message_get_string(line, "user"), *what;
    g_autofree char *vm = NULL, *named = NULL, *who = NULL, *text = NULL;
    Write write = {0};
    guint64 seconds;

    if (!message || !message_get_u64(line, "time", &seconds) ||
        seconds > G_MAXINT64 / G_USEC_PER_SEC || !writers_parse(message, &vm, &named, &what) ||
        strcmp(vm, id) != 0)
        return;
    if (!user || !*user)
        user = named;
    who = user ? units_printable(user, -1) : NULL;
    text = units_printable(what, -1);
    write.at_us = (gint64)seconds * G_USEC_PER_SEC;
    write.who = who;
    write.what = text;
    writers_add(writers, &write);
}

void
pve_log_take(const char *text, gsize length, const char *id, Writers *writers)
{
    const char *end = text + length;

    while (text < end) {
        const char *newline = memchr(text, '\n', (gsize)(end - text));
        const char *stop = newline ? newline : end;
        const char *begin = memchr(text, '{', (gsize)(stop - text));
        const char *last = stop;
        g_autoptr(JsonNode) root = NULL;

        while (last > text && last[-1] != '}')
            last--;
        if (begin && last > begin)
            root = message_parse_object(begin, (gsize)(last - begin), NULL);
        if (root)
            line_take(json_node_get_object(root), id, writers);
        text = stop + 1;
    }
}
