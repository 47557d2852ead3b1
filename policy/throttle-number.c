/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "throttle-form.h"

#include <string.h>

/* Numbers without floating point, so that equal text is an equal value on every machine.
 *
 *   integer = [ "+" ] digits
 *   decimal = [ "+" ] ( digits [ "." [ digits ] ] | "." digits ) [ ( "e" | "E" ) [ sign ] digits ]
 *
 * Proxmox takes a rate in MiB/s as a decimal and computes int(value * 1024 * 1024) in double. Here
 * the same product is exact and then cut. The two can differ only where the decimal lies so close
 * below a whole number of bytes that its nearest double is that number, 59.9999999999999999 for
 * one: a decimal with k places that is no whole number of bytes is at least 5^-k bytes away from
 * one, and half a unit in the last place of a double below 8 GiB/s is 2^-21, so with up to nine
 * places they agree. */

/* More than a double has digits between 10^-308 and its point. */
#define DIGITS_MAX 400
/* Whatever those digits are, this makes them 0 or too large. */
#define EXPONENT_MAX 1000

#define TOO_LARGE "is too large"

/* A decimal as its digits and the place of the point: 60.5 is "605" and 2. */
typedef struct {
    GString *digits;
    gint64 point;
} Decimal;

const char *
number_parse(const char *text, guint64 *ret_value)
{
    const char *p = *text == '+' ? text + 1 : text;
    guint64 value = 0;

    if (*text == '\0')
        return "is empty";
    if (*text == '-')
        return "is negative";
    if (*p == '\0')
        return "is not a number";
    for (; g_ascii_isdigit(*p); p++)
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, (guint64)(*p - '0')))
            return TOO_LARGE;
    if (*p != '\0')
        return *p == '.' ? "is not a whole number" : "is not a number";
    if (value > G_MAXINT64)
        return TOO_LARGE;
    *ret_value = value;
    return NULL;
}

/* "e+7" and the end of the text; the point moves by it. */
static bool
decimal_take_exponent(Decimal *decimal, const char *text)
{
    bool is_negative = text[1] == '-';
    const char *p = text + (is_negative || text[1] == '+' ? 2 : 1);
    gint64 exponent = 0;

    if (!g_ascii_isdigit(*p))
        return false;
    for (; g_ascii_isdigit(*p); p++)
        exponent = MIN(exponent * 10 + (*p - '0'), EXPONENT_MAX);
    decimal->point += is_negative ? -exponent : exponent;
    return *p == '\0';
}

static const char *
decimal_parse(const char *text, Decimal *decimal)
{
    const char *p = *text == '+' ? text + 1 : text;
    bool has_point = false;

    if (*text == '\0')
        return "is empty";
    if (*text == '-')
        return "is negative";
    for (; g_ascii_isdigit(*p) || (*p == '.' && !has_point); p++) {
        if (*p == '.')
            has_point = true;
        else
            g_string_append_c(decimal->digits, *p);
        decimal->point += *p != '.' && !has_point;
    }
    if (decimal->digits->len == 0)
        return "is not a number";
    if (decimal->digits->len > DIGITS_MAX)
        return "has too many digits";
    if ((*p == 'e' || *p == 'E') && decimal_take_exponent(decimal, p))
        return NULL;
    return *p == '\0' ? NULL : "is not a number";
}

/* The digit at a power of ten below the point (0: tenths) or, negative, above it. */
static guint
decimal_digit(const Decimal *decimal, gint64 place)
{
    gint64 index = decimal->point + place;

    return index < 0 || index >= (gint64)decimal->digits->len
               ? 0
               : (guint)(decimal->digits->str[index] - '0');
}

/* Doubles the digits behind the point; the carry goes before it. */
static guint
fraction_double(GString *fraction)
{
    guint carry = 0;

    for (gsize i = fraction->len; i > 0; i--) {
        guint doubled = 2 * (guint)(fraction->str[i - 1] - '0') + carry;

        fraction->str[i - 1] = (char)('0' + doubled % 10);
        carry = doubled / 10;
    }
    return carry;
}

static const char *
decimal_scale(const Decimal *decimal, guint shift, guint64 *ret_value, bool *ret_is_cut)
{
    g_autoptr(GString) fraction = g_string_new(NULL);
    gint64 n_digits = (gint64)decimal->digits->len;
    guint64 value = 0;

    for (gint64 place = -MAX(decimal->point, 0); place < 0; place++)
        if (!g_uint64_checked_mul(&value, value, 10) ||
            !g_uint64_checked_add(&value, value, decimal_digit(decimal, place)))
            return TOO_LARGE;
    for (gint64 place = 0; place < n_digits - decimal->point; place++)
        g_string_append_c(fraction, (char)('0' + decimal_digit(decimal, place)));
    for (guint i = 0; i < shift; i++)
        if (!g_uint64_checked_mul(&value, value, 2) ||
            !g_uint64_checked_add(&value, value, fraction_double(fraction)))
            return TOO_LARGE;
    if (value > G_MAXINT64)
        return TOO_LARGE;
    *ret_value = value;
    *ret_is_cut = strspn(fraction->str, "0") < fraction->len;
    return NULL;
}

const char *
number_parse_scaled(const char *text, guint shift, guint64 *ret_value)
{
    g_autoptr(GString) digits = g_string_new(NULL);
    Decimal decimal = {.digits = digits};
    const char *wrong = decimal_parse(text, &decimal);
    bool is_cut = false;

    return wrong != NULL ? wrong : decimal_scale(&decimal, shift, ret_value, &is_cut);
}

const char *
number_parse_up(const char *text, guint shift, guint64 *ret_value)
{
    g_autoptr(GString) digits = g_string_new(NULL);
    Decimal decimal = {.digits = digits};
    const char *wrong = decimal_parse(text, &decimal);
    bool is_cut = false;

    if (wrong == NULL)
        wrong = decimal_scale(&decimal, shift, ret_value, &is_cut);
    if (wrong == NULL && is_cut) /* at most G_MAXINT64 before */
        ++*ret_value;
    return wrong;
}

/* With seven places a step is a tenth of a byte, so there is a decimal that reads as these bytes
 * and is less than nine tenths of one above them: that far from the next byte the double of a rate
 * below 2^50 does not reach it either. */
char *
number_format_mebi(guint64 bytes)
{
    const guint64 mebi = 1 << MEBI_SHIFT;
    guint64 whole = bytes / mebi, rest = bytes % mebi, ten = 1;

    if (rest == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT, whole);
    for (int places = 1;; places++) {
        guint64 fraction, above;

        ten *= 10;
        fraction = (rest * ten + mebi - 1) / mebi;
        above = fraction * mebi - rest * ten;
        if (fraction < ten && above < ten / 10 * 9)
            return g_strdup_printf("%" G_GUINT64_FORMAT ".%0*" G_GUINT64_FORMAT, whole, places,
                                   fraction);
    }
}
