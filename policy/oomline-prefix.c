/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomline.h"

#include <string.h>

/* What may stand before the kernel's message, each part optional:
 *
 *   prefix  = { ">" | "|" | space } { date [ host ] [ tag ":" ] | "<" digits ">" | bracket | level
 * } date    = "2025-02-03T19:57:08[,.]123456+01:00" | "2025-02-03 19:57:08" | "Feb  3 19:57:08" tag
 * = "kernel" | "kernel[123]" | ... bracket = "[ 8758.123456]" | "[Thu May  9 14:52:38 2024]" | "[
 * T123]" | "[ C1]" level   = "kern  :warn  :"                                              (dmesg
 * -x)
 *
 * A date wins over the seconds since boot: it survives a reboot. Without a year a date counts from
 * the first of January; a log that crosses the new year loses one chain, not a report. */

#define DAY_S 86400

bool
oomscan_word(const char **text, const char *word)
{
    gsize length = strlen(word);

    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

bool
oomscan_number(const char **text, guint64 *ret_number)
{
    const char *end = *text;
    guint64 number = 0;

    for (; g_ascii_isdigit(*end); end++)
        if (!g_uint64_checked_mul(&number, number, 10) ||
            !g_uint64_checked_add(&number, number, (guint64)(*end - '0')))
            return false;
    if (end == *text)
        return false;
    *text = end;
    *ret_number = number;
    return true;
}

bool
oomscan_signed(const char **text, gint64 *ret_number)
{
    const char *at = **text == '-' ? *text + 1 : *text;
    guint64 number;

    if (!oomscan_number(&at, &number) || number > G_MAXINT64)
        return false;
    *ret_number = **text == '-' ? -(gint64)number : (gint64)number;
    *text = at;
    return true;
}

static void
skip_spaces(const char **text)
{
    *text += strspn(*text, " \t");
}

/* "19:57:08" */
static bool
scan_clock(const char **text, gint64 *ret_seconds)
{
    const char *at = *text;
    guint64 hours, minutes, seconds;

    if (!oomscan_number(&at, &hours) || !oomscan_word(&at, ":") || !oomscan_number(&at, &minutes) ||
        !oomscan_word(&at, ":") || !oomscan_number(&at, &seconds))
        return false;
    if (hours > 23 || minutes > 59 || seconds > 60)
        return false;
    *ret_seconds = (gint64)(hours * 3600 + minutes * 60 + seconds);
    *text = at;
    return true;
}

/* ".123456" or ",123456"; more digits than six are dropped. */
static gint64
scan_fraction_us(const char **text)
{
    gint64 us = 0, unit = G_USEC_PER_SEC;

    if ((**text != '.' && **text != ',') || !g_ascii_isdigit((*text)[1]))
        return 0;
    for ((*text)++; g_ascii_isdigit(**text); (*text)++) {
        unit /= 10;
        us += unit * (**text - '0');
    }
    return us;
}

static gint64
days_before_month(guint64 year, guint64 month)
{
    static const gint16 days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month > 2 && is_leap ? 1 : 0);
}

static gint64
days_of_date(guint64 year, guint64 month, guint64 day)
{
    gint64 before = (gint64)year - 1;

    return before * 365 + before / 4 - before / 100 + before / 400 +
           days_before_month(year, month) + (gint64)day;
}

/* Minutes are enough: zones are compared only within one log. */
static gint64
scan_zone_s(const char **text)
{
    const char *at = *text + 1;
    guint64 number, minutes = 0;
    gint64 zone_s;

    if (**text == 'Z')
        (*text)++;
    if ((**text != '+' && **text != '-') || !oomscan_number(&at, &number) || number > 2359)
        return 0;
    if (*at == ':' && g_ascii_isdigit(at[1])) {
        at++;
        (void)oomscan_number(&at, &minutes);
        number = number * 100 + minutes;
    } else if (number < 24) {
        number *= 100;
    }
    zone_s = (gint64)(number / 100 % 24 * 3600 + number % 100 * 60);
    zone_s = **text == '-' ? -zone_s : zone_s;
    *text = at;
    return zone_s;
}

static bool
scan_iso_date(const char **text, OomTime *ret_time)
{
    const char *at = *text;
    guint64 year, month, day;
    gint64 seconds, us;

    if (!oomscan_number(&at, &year) || !oomscan_word(&at, "-") || !oomscan_number(&at, &month) ||
        !oomscan_word(&at, "-") || !oomscan_number(&at, &day))
        return false;
    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    if (!oomscan_word(&at, "T") && !oomscan_word(&at, " "))
        return false;
    if (!scan_clock(&at, &seconds))
        return false;
    us = scan_fraction_us(&at);
    seconds += days_of_date(year, month, day) * DAY_S - scan_zone_s(&at);
    *ret_time = (OomTime){.clock = OOM_CLOCK_WALL, .us = seconds * G_USEC_PER_SEC + us};
    *text = at;
    return true;
}

/* "Feb  3 19:57:08", behind it perhaps " 2025" */
static bool
scan_month_date(const char **text, OomTime *ret_time)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = *text, *found = NULL;
    guint64 month, day, year;
    gint64 seconds, us;

    for (guint i = 0; !found && i < 12; i++)
        if (strncmp(at, months + i * 3, 3) == 0)
            found = months + i * 3;
    if (!found)
        return false;
    at += 3;
    month = (guint64)(found - months) / 3 + 1;
    skip_spaces(&at);
    if (!oomscan_number(&at, &day) || day < 1 || day > 31)
        return false;
    skip_spaces(&at);
    if (!scan_clock(&at, &seconds))
        return false;
    us = scan_fraction_us(&at);
    ret_time->clock = OOM_CLOCK_YEARLESS;
    *text = at;
    skip_spaces(&at);
    if (oomscan_number(&at, &year) && year >= 1970 && year <= 9999 && *at == ']') {
        ret_time->clock = OOM_CLOCK_WALL;
        *text = at;
    } else {
        year = 4; /* a leap year: the 29th of February is a day of its own */
    }
    ret_time->us = (days_of_date(year, month, day) * DAY_S + seconds) * G_USEC_PER_SEC + us;
    return true;
}

static void
prefix_set_time(OomPrefix *prefix, OomTime time, const char *from, const char *to)
{
    if (time.clock < prefix->time.clock)
        return;
    prefix->time = time;
    prefix->when = (OomText){from, (gsize)(to - from)};
}

/* One of the three brackets, at *text == '['. */
static bool
prefix_take_bracket(OomPrefix *prefix, const char **text)
{
    const char *at = *text + 1, *inside;
    OomTime time;
    guint64 number;

    skip_spaces(&at);
    inside = at;
    if ((*at == 'T' || *at == 'C') && g_ascii_isdigit(at[1])) {
        at++;
        if (!oomscan_number(&at, &number) || *at != ']')
            return false;
        prefix->thread = (OomText){inside, (gsize)(at - inside)};
    } else if (oomscan_number(&at, &number)) {
        time = (OomTime){.clock = OOM_CLOCK_BOOT};
        if (*at != '.' || number > G_MAXINT64 / G_USEC_PER_SEC - 1)
            return false;
        time.us = (gint64)number * G_USEC_PER_SEC;
        time.us += scan_fraction_us(&at);
        if (*at != ']')
            return false;
        prefix_set_time(prefix, time, inside, at);
    } else {
        if (g_ascii_isalpha(at[0]) && g_ascii_isalpha(at[1]) && at[2] != '\0' && at[3] == ' ')
            at += 4; /* the day of the week */
        if (!scan_month_date(&at, &time) || *at != ']')
            return false;
        prefix_set_time(prefix, time, inside, at);
    }
    *text = at + 1;
    return true;
}

/* "host kernel:" or "kernel[0]:", behind a date. Anything else belongs to the message. */
static void
prefix_take_tag(OomPrefix *prefix, const char **text)
{
    const char *host = *text + strspn(*text, " \t"), *at = host;
    gsize host_length = strcspn(host, " \t"), length;

    if (strncmp(host, "kernel", 6) != 0) {
        at += host_length;
        skip_spaces(&at);
    }
    length = strcspn(at, " \t");
    if (strncmp(at, "kernel", 6) != 0 || at[length - 1] != ':')
        return;
    if (at != host)
        prefix->host = (OomText){host, host_length};
    *text = at + length;
}

static bool
prefix_take_date(OomPrefix *prefix, const char **text)
{
    const char *from = *text;
    OomTime time;

    if (!scan_iso_date(text, &time) && !scan_month_date(text, &time))
        return false;
    prefix_set_time(prefix, time, from, *text);
    prefix_take_tag(prefix, text);
    return true;
}

/* "<4>", or "kern  :warn  :" */
static bool
take_level(const char **text)
{
    const char *at = *text;
    guint64 number;

    if (oomscan_word(&at, "<")) {
        if (!oomscan_number(&at, &number) || !oomscan_word(&at, ">"))
            return false;
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

OomPrefix
oomprefix_parse(const char *line)
{
    OomPrefix prefix = {0};
    bool is_moving = true;

    line += strspn(line, "> |\t");
    while (is_moving) {
        skip_spaces(&line);
        is_moving = *line == '[' ? prefix_take_bracket(&prefix, &line)
                                 : take_level(&line) || prefix_take_date(&prefix, &line) ||
                                       oomscan_word(&line, "kernel:");
    }
    prefix.message = line;
    return prefix;
}
