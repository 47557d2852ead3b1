/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomunwrap.h"

#include <string.h>

#define ESCAPE '\x1b'

/* "2024-05-09T12:52:38.123456Z" of the journal's microseconds since 1970; the calendar by Hinnant's
 * civil_from_days, whose years begin in March. Up to the year 9999. */
static char *
date_of_us(guint64 us)
{
    guint64 seconds = us / G_USEC_PER_SEC, day = seconds / 86400 + 719468;
    guint64 era = day / 146097, of_era = day % 146097;
    guint64 year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    guint64 of_year = of_era - (365 * year + year / 4 - year / 100),
            month = (5 * of_year + 2) / 153;
    guint64 is_next = month >= 10 ? 1 : 0;

    return g_strdup_printf(
        "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (guint)(year + era * 400 + is_next),
        (guint)(is_next ? month - 9 : month + 3), (guint)(of_year - (153 * month + 2) / 5 + 1),
        (guint)(seconds % 86400 / 3600), (guint)(seconds % 3600 / 60), (guint)(seconds % 60),
        (guint)(us % G_USEC_PER_SEC));
}

static void
field_set(char *field, gsize size, const char *value)
{
    gsize length = MIN(strlen(value), size - 1);

    memcpy(field, value, length);
    field[length] = '\0';
}

static bool
is_one_of(const char *key, const char *const *keys, gsize n)
{
    for (gsize i = 0; i < n; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* A date, or "4.398382": seconds since the boot (dmesg -J), or since 1970. */
static void
when_set(OomUnwrap *unwrap, const char *value)
{
    gsize digits = strspn(value, "0123456789");
    bool is_boot = digits > 0 && digits < 10 && value[digits] == '.';
    g_autofree char *when = is_boot ? g_strdup_printf("[%s]", value) : g_strdup(value);

    if (is_boot || oomprefix_parse(when).time.clock != OOM_CLOCK_NONE)
        field_set(unwrap->when, sizeof unwrap->when, when);
}

bool
oomrecord_take(OomUnwrap *unwrap, const char *key, const char *value)
{
    static const char *const messages[] = {"MESSAGE", "message",     "msg",    "log",
                                           "line",    "text",        "_raw",   "stdout",
                                           "stderr",  "textPayload", "content"};
    static const char *const times[] = {"time", "ts", "timestamp", "@timestamp"};
    static const char *const hosts[] = {"_HOSTNAME", "host", "hostname"};
    guint64 us;

    if (strcmp(key, "__REALTIME_TIMESTAMP") == 0) {
        const char *at = value;

        if (oomscan_number(&at, &us) && us < G_GUINT64_CONSTANT(253402300800) * G_USEC_PER_SEC) {
            g_autofree char *date = date_of_us(us);

            field_set(unwrap->when, sizeof unwrap->when, date);
        }
    } else if (is_one_of(key, times, G_N_ELEMENTS(times))) {
        when_set(unwrap, value);
    } else if (is_one_of(key, hosts, G_N_ELEMENTS(hosts))) {
        if (strcspn(value, " \t") == strlen(value))
            field_set(unwrap->host, sizeof unwrap->host, value);
    } else if (is_one_of(key, messages, G_N_ELEMENTS(messages))) {
        if (*value == '\0')
            return true;
        if (unwrap->message[0] != '\0')
            oomrecord_flush(unwrap);
        field_set(unwrap->message, sizeof unwrap->message, value);
    } else {
        return false;
    }
    return true;
}

void
oomrecord_flush(OomUnwrap *unwrap)
{
    const char *host = unwrap->host, *when = unwrap->when;

    if (unwrap->message[0] != '\0' && *when != '\0') {
        g_autofree char *line = g_strconcat(
            when, " ", host, *host != '\0' ? " kernel: " : "kernel: ", unwrap->message, NULL);

        unwrap->take(line, unwrap->data);
    } else if (unwrap->message[0] != '\0') {
        unwrap->take(unwrap->message, unwrap->data);
    }
    unwrap->message[0] = unwrap->host[0] = unwrap->when[0] = '\0';
}

/* What stands for a line end within a line: rsyslog's octal, or C's. Ends the line there; NULL:
 * there is none. */
static char *
cut_at_escape(char *line)
{
    for (char *at = line; (at = at + strcspn(at, "#\\"))[0] != '\0'; at++) {
        gsize length = strncmp(at, "#012", 4) == 0 ? 4 : strncmp(at, "\\n", 2) == 0 ? 2 : 0;

        if (length > 0) {
            *at = '\0';
            return at + length;
        }
        at += at[0] == '\\' && at[1] == '\\' ? 1 : 0;
    }
    return NULL;
}

static void
take_joined(OomUnwrap *unwrap, char *line)
{
    while (line) {
        char *next = cut_at_escape(line);

        if (*line != '\0')
            unwrap->take(line, unwrap->data);
        line = next;
    }
}

/* "6,382,4398382,-,caller=T77;message" of /dev/kmsg: level, number, microseconds, flags. */
static bool
take_kmsg(OomUnwrap *unwrap, const char *line)
{
    const char *at = line, *message = strchr(line, ';'), *caller;
    g_autofree char *stamp = NULL;
    gsize length = 0;
    guint64 fields[3];

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
        if (!oomscan_number(&at, &fields[i]) || !oomscan_word(&at, ","))
            return false;
    if (!message || message <= at || (at[1] != ';' && at[1] != ','))
        return false;
    caller = strstr(at, "caller=");
    if (caller && caller < message)
        length = strcspn(caller += strlen("caller="), ",;");
    stamp = g_strdup_printf("[%" G_GUINT64_FORMAT ".%06" G_GUINT64_FORMAT "] %s%.*s%s",
                            fields[2] / G_USEC_PER_SEC, fields[2] % G_USEC_PER_SEC,
                            length > 0 ? "[" : "", (int)MIN(length, 32), length > 0 ? caller : "",
                            length > 0 ? "] " : "");
    for (const char *part = message + 1; *part != '\0';) {
        GString *text = g_string_new(stamp);

        for (char byte = '\0'; *part != '\0' && byte != '\n';) {
            bool is_escape = part[0] == '\\' && part[1] == 'x' && g_ascii_isxdigit(part[2]) &&
                             g_ascii_isxdigit(part[3]);

            byte = is_escape
                       ? (char)(g_ascii_xdigit_value(part[2]) * 16 + g_ascii_xdigit_value(part[3]))
                       : *part;
            part += is_escape ? 4 : 1;
            if (byte != '\n' && byte != '\0')
                g_string_append_c(text, byte);
        }
        unwrap->take(text->str, unwrap->data);
        g_string_free(text, TRUE);
    }
    return true;
}

/* "KEY=value" of journalctl -o export; verbose has blanks before it, and a head "DATE [s=...]". */
static bool
take_journal(OomUnwrap *unwrap, const char *line)
{
    const char *at = line + strspn(line, " \t"), *cursor = strstr(line, " [s=");
    g_autofree char *key = NULL;
    gsize length;

    if (cursor && strstr(cursor, ";b=")) {
        g_autofree char *head = g_strndup(line, (gsize)(cursor - line));

        oomrecord_flush(unwrap);
        when_set(unwrap, head);
        return true;
    }
    length = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (length == 0 || at[length] != '=')
        return false;
    key = g_strndup(at, length);
    (void)oomrecord_take(unwrap, key, at + length + 1);
    return true;
}

/* Takes out of the line: colours, and the zero bytes and the mark of UTF-16 and of UTF-8. */
static void
line_clean(OomUnwrap *unwrap)
{
    static const char marks[] = "\xff\xfe\xef\xbb\xbf";
    char *line = unwrap->line;
    gsize to = 0, from = 0;

    while (from < unwrap->length && line[from] != '\0' && strchr(marks, line[from]))
        from++;
    if (from == 0 && !memchr(line, ESCAPE, unwrap->length) && !memchr(line, '\0', unwrap->length))
        return;
    for (; from < unwrap->length; from++) {
        if (line[from] == ESCAPE && from + 1 < unwrap->length && line[from + 1] == '[') {
            for (from += 2; from < unwrap->length && (line[from] < '@' || line[from] > '~');)
                from++;
        } else if (line[from] != ESCAPE && line[from] != '\0') {
            line[to++] = line[from];
        }
    }
    unwrap->length = to;
}

/* "'...'" and "- '...'": a list of lines, by Python or in YAML. */
static char *
line_without_quotes(char *line, gsize length)
{
    char *at = line + strspn(line, " \t"), *end = line + length;

    at += strncmp(at, "- '", 3) == 0 ? 2 : 0;
    while (end > at && strchr(" \t,", end[-1]))
        end--;
    if (*at != '\'' || end - at < 2 || end[-1] != '\'')
        return line;
    end[-1] = '\0';
    return at + 1;
}

static void
take_plain(OomUnwrap *unwrap)
{
    char *line = line_without_quotes(unwrap->line, unwrap->length);

    if (take_journal(unwrap, line))
        return;
    if (*line == '\0' || unwrap->message[0] != '\0')
        oomrecord_flush(unwrap);
    if (!g_ascii_isdigit(*line) || !take_kmsg(unwrap, line))
        take_joined(unwrap, line);
}

/* The line is at its end, or as long as it may be. */
static void
line_flush(OomUnwrap *unwrap, bool is_end)
{
    const char *json = NULL;

    line_clean(unwrap);
    while (is_end && unwrap->length > 0 && g_ascii_isspace(unwrap->line[unwrap->length - 1]))
        unwrap->length--;
    unwrap->line[unwrap->length] = '\0';
    json = unwrap->is_json ? unwrap->line : oomjson_find(unwrap->line);
    if (json) {
        if (json > unwrap->line && !unwrap->is_json) {
            g_autofree char *head = g_strndup(unwrap->line, (gsize)(json - unwrap->line));

            when_set(unwrap, head);
        }
        oomjson_feed(unwrap, json, unwrap->length - (gsize)(json - unwrap->line));
        unwrap->is_json = !is_end;
        if (is_end)
            oomjson_end_line(unwrap);
    } else {
        take_plain(unwrap);
    }
    unwrap->length = 0;
    unwrap->is_cut = false;
}

/* The line is full: only JSON goes on. */
static void
line_make_room(OomUnwrap *unwrap)
{
    line_clean(unwrap);
    if (unwrap->length < OOM_LINE_BYTES_MAX)
        return;
    unwrap->line[unwrap->length] = '\0';
    if (unwrap->is_json || oomjson_find(unwrap->line))
        line_flush(unwrap, false);
    else
        unwrap->is_cut = true;
}

static void
line_append(OomUnwrap *unwrap, const char *bytes, gsize length)
{
    while (length > 0 && !unwrap->is_cut) {
        gsize n = MIN(length, OOM_LINE_BYTES_MAX - unwrap->length);

        memcpy(unwrap->line + unwrap->length, bytes, n);
        unwrap->length += n;
        bytes += n;
        length -= n;
        if (unwrap->length == OOM_LINE_BYTES_MAX)
            line_make_room(unwrap);
    }
}

void
oomunwrap_feed(OomUnwrap *unwrap, const char *bytes, gsize length)
{
    const char *end = bytes + length, *newline = NULL;

    while (bytes < end) {
        const char *stop;

        if (!newline || newline < bytes)
            newline = memchr(bytes, '\n', (gsize)(end - bytes));
        newline = newline ? newline : end;
        stop = memchr(bytes, '\r', (gsize)(newline - bytes));
        stop = stop ? stop : newline;
        line_append(unwrap, bytes, (gsize)(stop - bytes));
        if (stop == end)
            return;
        line_flush(unwrap, true);
        bytes = stop + 1;
    }
}

void
oomunwrap_end(OomUnwrap *unwrap)
{
    if (unwrap->length > 0 || unwrap->is_json)
        line_flush(unwrap, true);
    oomrecord_flush(unwrap);
}
