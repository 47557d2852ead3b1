/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "units.h"

#include <string.h>

/* The grammar, with no space anywhere and no sign:
 *
 *   size     = digits [ "K" | "M" | "G" | "T" | "Ki" | ... | "KiB" | ... ]
 *   duration = digits [ "ms" | "s" | "m" | "h" | "d" ]
 *   version  = "main" | [ "v" ] number "." number [ "." number ]
 *   ratio    = digits [ "." 1*3 digits ]
 *
 * Units are written as above and in no other case: "m" is a minute and "M" a mebibyte, so a reader
 * who may guess at the case in one place would be wrong in the other. A sentence that refuses a
 * text is written to follow it: `--configured "10GB"` + " has an unknown unit: ...". */

typedef struct {
    const char *name;
    guint64 factor;
} Unit;

static const Unit size_units[] = {
    {"", 1},
    {"K", UNITS_KIB},
    {"Ki", UNITS_KIB},
    {"KiB", UNITS_KIB},
    {"M", UNITS_MIB},
    {"Mi", UNITS_MIB},
    {"MiB", UNITS_MIB},
    {"G", UNITS_GIB},
    {"Gi", UNITS_GIB},
    {"GiB", UNITS_GIB},
    {"T", 1024 * UNITS_GIB},
    {"Ti", 1024 * UNITS_GIB},
    {"TiB", 1024 * UNITS_GIB},
};

/* Smallest first: units_format_duration() looks for the largest that divides. */
static const Unit duration_units[] = {
    {"ms", G_USEC_PER_SEC / 1000},
    {"s", G_USEC_PER_SEC},
    {"m", G_GUINT64_CONSTANT(60) * G_USEC_PER_SEC},
    {"h", G_GUINT64_CONSTANT(3600) * G_USEC_PER_SEC},
    {"d", G_GUINT64_CONSTANT(86400) * G_USEC_PER_SEC},
    {"", G_USEC_PER_SEC},
};

static const char too_large[] = "is too large";
static const char not_a_version[] = "is not a version: write 1.2, v1.2.3 or main";

/* A version is one int: the minor number has three digits in it, the major what is left. */
#define MINOR_RANGE 1000
#define MAJOR_MAX (G_MAXINT32 / MINOR_RANGE - 1)

/* The longest file name: whatever names a VM elsewhere fits, and a line stays a line. */
#define PRINTABLE_MAX 255
#define ESCAPE_LENGTH (sizeof "\\xNN" - 1)

/* Reads a run of digits; *ret_rest points behind it. */
static const char *
parse_digits(const char *text, guint64 *ret_value, const char **ret_rest)
{
    guint64 value = 0;

    if (text == NULL || *text == '\0')
        return "is empty";
    if (*text == '-')
        return "is negative";
    if (g_ascii_isspace(*text))
        return "begins with a space";
    if (!g_ascii_isdigit(*text))
        return "is not a number";
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return "is hexadecimal: write a decimal number";
    for (; g_ascii_isdigit(*text); text++) {
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (guint64)(*text - '0')))
            return too_large;
    }
    *ret_value = value;
    *ret_rest = text;
    return NULL;
}

/* Digits and one of the units: their product, if it is at most max. */
static const char *
parse_quantity(const char *text, const Unit *units, guint n_units, guint64 *ret_value)
{
    guint64 value, product;
    const char *unit, *wrong = parse_digits(text, &value, &unit);

    if (wrong != NULL)
        return wrong;
    if (*unit == '.' || *unit == ',')
        return "is not a whole number";
    for (guint i = 0; i < n_units; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (!g_uint64_checked_mul(&product, value, units[i].factor))
            return too_large;
        *ret_value = product;
        return NULL;
    }
    return units == size_units ? "has an unknown unit: use K, M, G or T"
                               : "has an unknown unit: use ms, s, m, h or d";
}

const char *
units_parse_size(const char *text, guint64 *ret_bytes)
{
    return parse_quantity(text, size_units, G_N_ELEMENTS(size_units), ret_bytes);
}

const char *
units_parse_duration(const char *text, gint64 *ret_us)
{
    guint64 us;
    const char *wrong = parse_quantity(text, duration_units, G_N_ELEMENTS(duration_units), &us);

    if (wrong != NULL)
        return wrong;
    if (us > G_MAXINT64)
        return too_large;
    *ret_us = (gint64)us;
    return NULL;
}

/* One number of a version: no leading zero, because 1.05 is not 1.5. */
static const char *
parse_version_number(const char *text, guint64 max, guint64 *ret_value, const char **ret_rest)
{
    guint64 value;
    const char *rest;

    if (parse_digits(text, &value, &rest) != NULL || (*text == '0' && rest - text > 1))
        return not_a_version;
    if (value > max)
        return "has a version number too large";
    *ret_value = value;
    *ret_rest = rest;
    return NULL;
}

const char *
units_parse_version(const char *text, gint32 *ret_version)
{
    guint64 major, minor, patch;
    const char *rest, *wrong;

    if (text == NULL || *text == '\0')
        return "is empty";
    if (strcmp(text, "main") == 0) {
        *ret_version = UNITS_VERSION_MAIN;
        return NULL;
    }
    wrong = parse_version_number(*text == 'v' ? text + 1 : text, MAJOR_MAX, &major, &rest);
    if (wrong == NULL)
        wrong = *rest == '.' ? parse_version_number(rest + 1, MINOR_RANGE - 1, &minor, &rest)
                             : not_a_version;
    if (wrong == NULL && *rest == '.')
        wrong = parse_version_number(rest + 1, G_MAXINT32, &patch, &rest);
    if (wrong != NULL)
        return wrong;
    if (*rest != '\0')
        return not_a_version;
    *ret_version = (gint32)(major * MINOR_RANGE + minor);
    return NULL;
}

const char *
units_parse_ratio(const char *text, gint64 *ret_thousandths)
{
    guint64 whole, thousandths = 0;
    const char *rest, *wrong = parse_digits(text, &whole, &rest);

    if (wrong != NULL)
        return wrong;
    if (*rest == '.') {
        const char *decimals = rest + 1;
        gsize n_decimals = strspn(decimals, "0123456789");

        if (n_decimals > 3)
            return "has more than three decimals";
        for (gsize i = 0; i < 3; i++)
            thousandths = thousandths * 10 + (i < n_decimals ? (guint64)(decimals[i] - '0') : 0);
        rest = n_decimals > 0 ? decimals + n_decimals : rest;
    }
    if (*rest != '\0')
        return "is not a decimal number such as 1.5";
    if (whole > G_MAXINT64 / 1000 - 1)
        return too_large;
    *ret_thousandths = (gint64)(whole * 1000 + thousandths);
    return NULL;
}

char *
units_format_size(guint64 bytes)
{
    static const char *const names[] = {"", "Ki", "Mi", "Gi", "Ti"};
    guint i = 0;

    for (; bytes != 0 && bytes % 1024 == 0 && i + 1 < G_N_ELEMENTS(names); i++)
        bytes /= 1024;
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", bytes, names[i]);
}

char *
units_format_size_short(guint64 bytes)
{
    static const char names[] = "KMGTPE";
    guint64 unit = UNITS_KIB;

    if (bytes < UNITS_KIB)
        return g_strdup_printf("%uB", (guint)bytes);
    for (guint i = 0;; i++, unit *= 1024) {
        guint64 whole = bytes / unit, rest = bytes % unit;
        guint64 tenths = whole * 10 + (rest * 10 + unit / 2) / unit;
        guint64 rounded = whole + (rest >= unit / 2 ? 1 : 0);

        if (tenths < 100)
            return g_strdup_printf("%u.%u%c", (guint)tenths / 10, (guint)tenths % 10, names[i]);
        if (rounded < 1024) /* 1023.5K is 1.0M, not 1024K */
            return g_strdup_printf("%u%c", (guint)rounded, names[i]);
    }
}

char *
units_format_duration(gint64 us)
{
    guint64 magnitude = us < 0 ? -(guint64)us : (guint64)us;
    const Unit *unit = &duration_units[0];

    if (magnitude == 0)
        return g_strdup("0s");
    for (guint i = 1; i < G_N_ELEMENTS(duration_units) && *duration_units[i].name != '\0'; i++)
        if (magnitude % duration_units[i].factor == 0)
            unit = &duration_units[i];
    return g_strdup_printf("%s%" G_GUINT64_FORMAT "%s", us < 0 ? "-" : "", magnitude / unit->factor,
                           unit->name);
}

char *
units_format_age(gint64 us)
{
    gint64 minutes = us / (60 * G_USEC_PER_SEC);

    if (us < 60 * G_USEC_PER_SEC)
        return g_strdup_printf("%us", us < 0 ? 0 : (guint)(us / G_USEC_PER_SEC));
    if (minutes < 60)
        return g_strdup_printf("%um", (guint)minutes);
    if (minutes < 24 * 60)
        return g_strdup_printf("%uh%02um", (guint)minutes / 60, (guint)minutes % 60);
    return g_strdup_printf("%" G_GINT64_FORMAT "d%02uh", minutes / (24 * 60),
                           (guint)(minutes / 60 % 24));
}

char *
units_format_version(gint32 version)
{
    if (version == UNITS_VERSION_MAIN)
        return g_strdup("main");
    return g_strdup_printf("%d.%d", version / MINOR_RANGE, version % MINOR_RANGE);
}

/* Writes the ESCAPE_LENGTH bytes of \xNN. */
static void
escape_byte(guint8 byte, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    ret_text[0] = '\\';
    ret_text[1] = 'x';
    ret_text[2] = digits[byte >> 4];
    ret_text[3] = digits[byte & 0xf];
}

/* May this character stand in a line as it is? Backslash may not: it introduces the escapes. */
static bool
character_is_plain(gunichar character)
{
    if (character < 0x80)
        return character >= ' ' && character <= '~' && character != '\\';
    switch (g_unichar_type(character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT: /* bidi overrides and isolates, zero-width joiners, byte order marks */
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
    case G_UNICODE_UNASSIGNED:
        return false;
    default:
        return true;
    }
}

char *
units_printable(const char *raw, gssize length)
{
    char text[PRINTABLE_MAX + 1];
    gsize used = 0, left = raw == NULL ? 0 : length < 0 ? strlen(raw) : (gsize)length;

    while (left > 0) {
        gunichar character = g_utf8_get_char_validated(raw, (gssize)left);
        bool is_valid = character != (gunichar)-1 && character != (gunichar)-2;
        gsize n_raw = is_valid ? (gsize)g_unichar_to_utf8(character, NULL) : 1;
        bool is_plain = is_valid && character_is_plain(character);
        gsize n_text = is_plain ? n_raw : n_raw * ESCAPE_LENGTH;

        /* The whole character, with all its escapes, or nothing more. */
        if (used + n_text > PRINTABLE_MAX)
            break;
        for (gsize i = 0; i < n_raw; i++) {
            if (is_plain)
                text[used + i] = raw[i];
            else
                escape_byte((guint8)raw[i], text + used + i * ESCAPE_LENGTH);
        }
        used += n_text;
        raw += n_raw;
        left -= n_raw;
    }
    return g_strndup(text, used);
}

char *
units_printable_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path ? path : "", "\\", -1);

    for (guint i = 0; parts[i]; i++) {
        char *printable = units_printable(parts[i], -1);

        g_free(parts[i]);
        parts[i] = printable;
    }
    return g_strjoinv("\\", parts);
}
