/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomline.h"

#include <string.h>

/* What may stand before the kernel's message, each part optional:
 *
 *   prefix  = { ">" | "|" | space | number tab } { date [ host ] [ tag ] | level | bracket }
 *   date    = [ "Thu" ] "2025-02-03T19:57:08[,.]123456+01:00" | "2025-02-03 19:57:08 CET" |
 *             "Feb  3 19:57:08" (in any language) | "1715259158.123456"
 *   tag     = "kernel:" | "kernel[123]:" | "kernel - - -" (RFC 5424) | "stdout F" (containers)
 *   level   = "kern  :warn  :" (dmesg -x) | "<4>" | "<4>1" | "<kern.warn>"
 *   bracket = "[ 8758.123456]" | "[Thu May  9 14:52:38 2024]" | "[2024-05-09 14:52:38]" |
 *             "[ 8758.123456 <    0.000012>]" | "[  +0.000012]" | "[ T123]" | "[ C1]"
 *
 * Where none of it tells the time, the first bracket that does may stand behind anything else. A
 * date wins over the seconds since boot: it survives a reboot. Without a year a date counts from
 * the first of January; a log that crosses the new year loses one chain, not a report. */

/* What stands before a bracket: a pod's name, a file's. */
#define FOREIGN_BYTES_MAX 256

static void
skip_spaces(const char **text)
{
    *text += strspn(*text, " \t");
}

static void
prefix_set_time(OomPrefix *prefix, OomTime time, const char *from, const char *to)
{
    if (time.clock < prefix->time.clock)
        return;
    prefix->time = time;
    prefix->when = (OomText){from, (gsize)(to - from)};
}

/* "T1234" or "C3" */
static bool
prefix_take_caller(OomPrefix *prefix, const char **text)
{
    const char *at = *text + 1;
    guint64 number;

    if ((**text != 'T' && **text != 'C') || !oomscan_number(&at, &number) || *at != ']')
        return false;
    prefix->thread = (OomText){*text, (gsize)(at - *text)};
    *text = at;
    return true;
}

/* A date of whatever form, perhaps behind the day of the week. */
static bool
scan_date(const char **text, OomTime *ret_time)
{
    const char *at = *text;

    if (oomscan_iso_date(text, ret_time) || oomscan_month_date(text, ret_time))
        return true;
    oomscan_foreign_word(&at);
    if (at == *text || (!oomscan_iso_date(&at, ret_time) && !oomscan_month_date(&at, ret_time)))
        return false;
    *text = at;
    return true;
}

/* "+0.000012" and "<    0.000012>": since the line before. */
static bool
skip_difference(const char **text)
{
    const char *at = *text;
    OomTime time;

    if (*at != '+' && *at != '<')
        return false;
    at++;
    skip_spaces(&at);
    if (!oomscan_boot_time(&at, &time))
        return false;
    skip_spaces(&at);
    *text = at + (*at == '>' ? 1 : 0);
    return true;
}

/* At *text == '['. */
static bool
prefix_take_bracket(OomPrefix *prefix, const char **text)
{
    const char *at = *text + 1, *inside;
    OomTime time = {0};

    skip_spaces(&at);
    inside = at;
    if (!prefix_take_caller(prefix, &at) && !skip_difference(&at)) {
        if (!scan_date(&at, &time) && !oomscan_boot_time(&at, &time))
            return false;
        inside = inside < at ? inside : at;
    }
    if (time.clock != OOM_CLOCK_NONE) {
        const char *end = at;

        skip_spaces(&at);
        (void)skip_difference(&at);
        skip_spaces(&at);
        if (*at != ']')
            return false;
        prefix_set_time(prefix, time, inside, end);
    }
    if (*at != ']')
        return false;
    *text = at + 1;
    (void)oomscan_word(text, ": "); /* Talos */
    return true;
}

/* "- - -" or "123 - -" behind RFC 5424's "kernel". */
static bool
skip_rfc_fields(const char **text)
{
    const char *at = *text;
    guint64 number;

    for (guint i = 0; i < 3; i++) {
        skip_spaces(&at);
        if (!oomscan_word(&at, "- ") && (i > 0 || !oomscan_number(&at, &number)))
            return false;
    }
    *text = at;
    return true;
}

/* "host kernel:" or "kernel[0]:", behind a date. Anything else belongs to the message. */
static void
prefix_take_tag(OomPrefix *prefix, const char **text)
{
    const char *host = *text + strspn(*text, " \t"), *at = host, *end;
    gsize host_length = strcspn(host, " \t"), length;

    if (strncmp(host, "kernel", 6) != 0) {
        at += host_length;
        skip_spaces(&at);
    }
    length = strcspn(at, " \t");
    end = at + length;
    if (strncmp(at, "kernel", 6) != 0 ||
        (at[length - 1] != ':' && (length != 6 || !skip_rfc_fields(&end))))
        return;
    if (at != host)
        prefix->host = (OomText){host, host_length};
    *text = end;
}

/* "CEST", behind "Thu 2024-05-09 14:52:38". */
static void
skip_zone_name(const char **text)
{
    const char *at = *text + strspn(*text, " ");
    gsize length = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (at > *text && length >= 3 && length <= 5 && at[length] == ' ')
        *text = at + length;
}

static bool
prefix_take_date(OomPrefix *prefix, const char **text)
{
    const char *from = *text;
    OomTime time;

    if (!scan_date(text, &time) && !oomscan_unix_date(text, &time))
        return false;
    if (time.clock == OOM_CLOCK_WALL && !g_ascii_isdigit(*from))
        skip_zone_name(text);
    prefix_set_time(prefix, time, from, *text);
    prefix_take_tag(prefix, text);
    skip_spaces(text);
    if (!oomscan_word(text, "stdout F ") && !oomscan_word(text, "stdout P "))
        (void)oomscan_word(text, "stderr F ");
    return true;
}

/* "<4>", "<4>1 " (RFC 5424), "<kern.info>" or "kern  :warn  :" */
static bool
take_level(const char **text)
{
    const char *at = *text;
    guint64 number;

    if (oomscan_word(&at, "<")) {
        bool is_number = oomscan_number(&at, &number);

        while (!is_number && (g_ascii_isalpha(*at) || *at == '.'))
            at++;
        if (!oomscan_word(&at, ">"))
            return false;
        if (is_number)
            (void)oomscan_word(&at, "1 ");
        *text = at;
        return true;
    }
    if (!oomscan_word(&at, "kern"))
        return false;
    skip_spaces(&at);
    if (!oomscan_word(&at, ":"))
        return false;
    while (g_ascii_isalpha(*at))
        at++;
    skip_spaces(&at);
    if (!oomscan_word(&at, ":"))
        return false;
    *text = at;
    return true;
}

/* "  1234\t": cat -n */
static void
skip_line_number(const char **text)
{
    const char *at = *text;
    guint64 number;

    skip_spaces(&at);
    if (oomscan_number(&at, &number) && (*at == '\t' || strncmp(at, "  ", 2) == 0))
        *text = at;
}

static const char *
prefix_take_parts(OomPrefix *prefix, const char *line)
{
    bool is_moving = true;

    while (is_moving) {
        skip_spaces(&line);
        is_moving = *line == '[' ? prefix_take_bracket(prefix, &line)
                                 : take_level(&line) || prefix_take_date(prefix, &line) ||
                                       oomscan_word(&line, "kernel:");
    }
    return line;
}

OomPrefix
oomprefix_parse(const char *line)
{
    OomPrefix prefix = {0};
    const char *end;

    line += strspn(line, "> |\t");
    skip_line_number(&line);
    prefix.message = prefix_take_parts(&prefix, line);
    if (prefix.time.clock != OOM_CLOCK_NONE)
        return prefix;
    end = prefix.message + MIN(strlen(prefix.message), FOREIGN_BYTES_MAX);
    for (const char *at = prefix.message; (at = memchr(at, '[', (gsize)(end - at))); at++) {
        const char *message = at;

        if (prefix_take_bracket(&prefix, &message) && prefix.time.clock != OOM_CLOCK_NONE) {
            prefix.message = prefix_take_parts(&prefix, message);
            break;
        }
    }
    return prefix;
}
