/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fact.h"

#include <string.h>

#include "units.h"

#define NS_PER_MS G_GUINT64_CONSTANT(1000000)
#define NS_PER_S G_GUINT64_CONSTANT(1000000000)

static const struct {
    const char *name;
    guint64 ns;
} time_units[] = {
    {"d", G_GUINT64_CONSTANT(86400000000000)},
    {"h", G_GUINT64_CONSTANT(3600000000000)},
    {"m", G_GUINT64_CONSTANT(60000000000)},
    {"s", NS_PER_S},
    {"ms", NS_PER_MS},
    {"us", 1000},
    {"ns", 1},
};

static const char *
count_parse(const char *text, guint64 *ret_number)
{
    guint64 number = 0;

    if (!*text)
        return "is empty";
    for (; *text; text++) {
        if (!g_ascii_isdigit(*text))
            return "is not a number";
        if (!g_uint64_checked_mul(&number, number, 10) ||
            !g_uint64_checked_add(&number, number, (guint64)(*text - '0')))
            return "is out of range";
    }
    *ret_number = number;
    return NULL;
}

/* What the digits after the point are of a unit; false when finer than a nanosecond. */
static bool
fraction_parse(const char *digits, gsize n_digits, guint64 unit_ns, guint64 *ret_ns)
{
    guint64 ns = 0, place_ns = unit_ns;

    for (gsize i = 0; i < n_digits; i++) {
        place_ns = place_ns % 10 == 0 ? place_ns / 10 : 0;
        if (place_ns == 0 && digits[i] != '0')
            return false;
        ns += place_ns * (guint64)(digits[i] - '0');
    }
    *ret_ns = ns;
    return true;
}

const char *
fact_parse_time_ns(const char *text, guint64 *ret_ns)
{
    gsize n_whole = strspn(text, "0123456789");
    gsize n_fraction = text[n_whole] == '.' ? strspn(text + n_whole + 1, "0123456789") : 0;
    const char *unit = text + n_whole + (text[n_whole] == '.' ? 1 + n_fraction : 0);
    g_autofree char *whole = g_strndup(text, n_whole);
    guint64 ns = 0, fraction_ns;
    const char *wrong = count_parse(whole, &ns);

    if (n_whole == 0 || (text[n_whole] == '.' && n_fraction == 0))
        return "is not a time such as 2s or 1.5h";
    if (wrong)
        return wrong;
    for (guint i = 0; i < G_N_ELEMENTS(time_units); i++) {
        if (strcmp(time_units[i].name, unit) != 0)
            continue;
        if (!fraction_parse(text + n_whole + 1, n_fraction, time_units[i].ns, &fraction_ns))
            return "is finer than can be kept";
        if (!g_uint64_checked_mul(&ns, ns, time_units[i].ns) ||
            !g_uint64_checked_add(&ns, ns, fraction_ns))
            return "is out of range";
        *ret_ns = ns;
        return NULL;
    }
    return "needs a unit: ns, us, ms, s, m, h or d";
}

const char *
fact_parse_time_us(const char *text, gint64 *ret_us)
{
    guint64 ns;
    const char *wrong = fact_parse_time_ns(text, &ns);

    if (wrong)
        return wrong;
    if (ns % 1000 != 0)
        return "is finer than a microsecond";
    if (ns / 1000 > (guint64)FACT_TIME_MAX_US)
        return "is out of range: no VM lives a hundred years";
    *ret_us = (gint64)(ns / 1000);
    return NULL;
}

/* ns as a decimal of unit_ns, which has n_digits zeros. */
static void
decimal_format(guint64 ns, guint64 unit_ns, int n_digits, GString *text)
{
    g_string_append_printf(text, "%" G_GUINT64_FORMAT, ns / unit_ns);
    if (ns % unit_ns == 0)
        return;
    g_string_append_printf(text, ".%0*" G_GUINT64_FORMAT, n_digits, ns % unit_ns);
    while (text->str[text->len - 1] == '0')
        g_string_truncate(text, text->len - 1);
}

void
fact_format_time_ns(guint64 ns, GString *text)
{
    for (guint i = 0; i < 3 && ns > 0; i++) {
        if (ns % time_units[i].ns == 0) {
            decimal_format(ns, time_units[i].ns, 0, text);
            g_string_append(text, time_units[i].name);
            return;
        }
    }
    if (ns == 0 || ns >= NS_PER_S) {
        decimal_format(ns, NS_PER_S, 9, text);
        g_string_append_c(text, 's');
    } else {
        decimal_format(ns, NS_PER_MS, 6, text);
        g_string_append(text, "ms");
    }
}

char *
fact_decode(const char *token)
{
    g_autoptr(GString) raw = g_string_new(NULL);

    for (; *token; token++) {
        if (*token != '\\') {
            g_string_append_c(raw, *token);
            continue;
        }
        int high = token[1] == 'x' ? g_ascii_xdigit_value(token[2]) : -1;
        int low = high >= 0 ? g_ascii_xdigit_value(token[3]) : -1;
        if (low < 0 || high + low == 0)
            return NULL;
        g_string_append_c(raw, (char)(high * 16 + low));
        token += 3;
    }
    return g_strdup(raw->str);
}

void
fact_encode(const char *raw, GString *text)
{
    for (gsize i = 0; raw[i]; i++) {
        bool is_plain = g_ascii_isgraph(raw[i]) && !strchr("\\#=", raw[i]);

        /* "?" alone would read as unknown */
        if (is_plain && !(i == 0 && raw[i] == '?'))
            g_string_append_c(text, raw[i]);
        else
            g_string_append_printf(text, "\\x%02x", (guint8)raw[i]);
    }
}

static const char *
text_parse(const Fact *fact, const char *text, FactValue *ret_value)
{
    g_autofree char *raw = fact_decode(text);

    if (!raw)
        return "has a broken escape: a byte is written \\xNN, and never zero";
    if (fact->kind == FACT_LETTER) {
        if (strlen(raw) != 1)
            return "is not one letter";
        ret_value->number = (guint8)raw[0];
        return NULL;
    }
    ret_value->text = g_steal_pointer(&raw);
    return NULL;
}

static const char *
word_parse(const Fact *fact, const char *text, guint64 *ret_number)
{
    RunState run;
    MonitorStage stage;

    switch (fact->kind) {
    case FACT_RUN:
        if (!run_state_from_name(text, &run))
            return "is not a run state";
        *ret_number = run;
        return NULL;
    case FACT_STAGE:
        if (!monitor_stage_from_name(text, &stage))
            return "is not a stage of the monitor";
        *ret_number = stage;
        return NULL;
    default:
        *ret_number = strcmp(text, fact->words->word[1]) == 0;
        return *ret_number || strcmp(text, fact->words->word[0]) == 0 ? NULL : fact->words->wrong;
    }
}

static const char *
number_parse(const Fact *fact, const char *text, guint64 *ret_number)
{
    const char *wrong;
    gint64 us;

    switch (fact->kind) {
    case FACT_TIME_US:
    case FACT_AGE_US:
        wrong = fact_parse_time_us(text, &us);
        if (!wrong)
            *ret_number = (guint64)us;
        return wrong;
    case FACT_TIME_NS:
        return fact_parse_time_ns(text, ret_number);
    case FACT_SIZE:
        return units_parse_size(text, ret_number);
    default:
        wrong = count_parse(text, ret_number);
        if (!wrong && fact->kind == FACT_COUNT32 && *ret_number > G_MAXUINT32)
            wrong = "is out of range";
        return wrong;
    }
}

const char *
fact_parse(const Fact *fact, const char *text, FactValue *ret_value)
{
    FactValue value = {0};
    const char *wrong = NULL;

    if (strcmp(text, "?") == 0) {
        value.is_unknown = true;
    } else if (fact->kind == FACT_TEXT || fact->kind == FACT_LETTER) {
        wrong = text_parse(fact, text, &value);
    } else if (fact->kind <= FACT_FLAG) {
        wrong = word_parse(fact, text, &value.number);
    } else {
        value.is_sum = text[0] == '+';
        wrong = number_parse(fact, text + value.is_sum, &value.number);
    }
    if (!wrong)
        *ret_value = value;
    return wrong;
}

static void
size_format(guint64 bytes, GString *text)
{
    g_autofree char *size = units_format_size(bytes);

    g_string_append(text, size);
}

void
fact_format(const Fact *fact, const void *record, GString *text)
{
    guint64 number = fact_number(fact, record);
    char letter[] = {(char)number, '\0'};

    if (!fact_is_known(fact, record)) {
        g_string_append_c(text, '?');
        return;
    }
    switch (fact->kind) {
    case FACT_RUN:
        g_string_append(text, run_state_name((RunState)number));
        break;
    case FACT_STAGE:
        g_string_append(text, monitor_stage_name((MonitorStage)number));
        break;
    case FACT_LETTER:
        fact_encode(letter, text);
        break;
    case FACT_FLAG:
        g_string_append(text, fact->words->word[number]);
        break;
    case FACT_TEXT:
        fact_encode(fact_text(fact, record), text);
        break;
    case FACT_SIZE:
        size_format(number, text);
        break;
    case FACT_TIME_US:
    case FACT_AGE_US:
        fact_format_time_ns(number * 1000, text);
        break;
    case FACT_TIME_NS:
        fact_format_time_ns(number, text);
        break;
    default:
        g_string_append_printf(text, "%" G_GUINT64_FORMAT, number);
        break;
    }
}
