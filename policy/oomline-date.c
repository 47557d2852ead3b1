/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomline.h"

#include <string.h>

/* Numbers, words and the dates of logs. */

#define DAY_S 86400
/* Of seconds since 1970, from 2001 to 2286. */
#define UNIX_DIGITS 10
/* No language's day or month is longer, in UTF-8. */
#define WORD_BYTES_MAX 24

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

bool
oomscan_iso_date(const char **text, OomTime *ret_time)
{
    const char *at = *text, *separator;
    guint64 year, month, day;
    gint64 seconds, us;

    if (!oomscan_number(&at, &year))
        return false;
    separator = *at == '/' ? "/" : "-";
    if (!oomscan_word(&at, separator) || !oomscan_number(&at, &month) ||
        !oomscan_word(&at, separator) || !oomscan_number(&at, &day))
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

/* Of a language's word, to the blank behind it: letters, also those of UTF-8, digits, "." */
void
oomscan_foreign_word(const char **text)
{
    const char *at = *text;

    while (g_ascii_isalnum(*at) || *at == '.' || (guchar)*at >= 0x80)
        at++;
    if (at > *text && at - *text <= WORD_BYTES_MAX && *at == ' ')
        *text = at + strspn(at, " ");
}

/* Other languages' months are all one: within a log they differ by years only. */
static bool
scan_month(const char **text, guint64 *ret_month)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    const char *at = *text;
    char name[3];

    if (g_ascii_isdigit(*at)) /* "5\u6708", Chinese and Japanese */
        return oomscan_number(&at, ret_month) && *ret_month >= 1 && *ret_month <= 12 &&
               oomscan_word(&at, "\xe6\x9c\x88") && (*text = at) != NULL;
    *ret_month = 1;
    for (guint i = 0; i < sizeof name; i++)
        name[i] = *at != '\0' ? g_ascii_tolower(*at++) : '\0';
    for (guint i = 0; i < 12; i++)
        if (memcmp(name, months + i * 3, 3) == 0)
            *ret_month = i + 1;
    at = *text;
    oomscan_foreign_word(text);
    return *text > at;
}

/* "Feb  3 19:57:08", behind it perhaps " 2025" */
bool
oomscan_month_date(const char **text, OomTime *ret_time)
{
    const char *at = *text;
    guint64 month, day, year;
    gint64 seconds, us;

    if (!scan_month(&at, &month))
        return false;
    at += strspn(at, " \t");
    if (!oomscan_number(&at, &day) || day < 1 || day > 31)
        return false;
    at += strspn(at, " \t");
    if (!scan_clock(&at, &seconds))
        return false;
    us = scan_fraction_us(&at);
    ret_time->clock = OOM_CLOCK_YEARLESS;
    *text = at;
    at += strspn(at, " \t");
    if (oomscan_number(&at, &year) && year >= 1970 && year <= 9999 &&
        (*at == ']' || strncmp(at, " <", 2) == 0)) {
        ret_time->clock = OOM_CLOCK_WALL;
        *text = at;
    } else {
        year = 4; /* a leap year: the 29th of February is a day of its own */
    }
    ret_time->us = (days_of_date(year, month, day) * DAY_S + seconds) * G_USEC_PER_SEC + us;
    return true;
}

/* "1715259158.123456": more seconds than a kernel lives since its boot. */
bool
oomscan_unix_date(const char **text, OomTime *ret_time)
{
    const char *at = *text;
    guint64 seconds;

    if (!oomscan_number(&at, &seconds) || *at != '.' || at - *text != UNIX_DIGITS)
        return false;
    *ret_time = (OomTime){.clock = OOM_CLOCK_WALL};
    ret_time->us = ((gint64)seconds + days_of_date(1970, 1, 1) * DAY_S) * G_USEC_PER_SEC;
    ret_time->us += scan_fraction_us(&at);
    *text = at;
    return true;
}

/* "12.345678": since the boot. */
bool
oomscan_boot_time(const char **text, OomTime *ret_time)
{
    const char *at = *text;
    guint64 seconds;

    if (!oomscan_number(&at, &seconds) || *at != '.' || seconds > G_MAXINT64 / G_USEC_PER_SEC - 1)
        return false;
    *ret_time = (OomTime){.clock = OOM_CLOCK_BOOT, .us = (gint64)seconds * G_USEC_PER_SEC};
    ret_time->us += scan_fraction_us(&at);
    *text = at;
    return true;
}
