/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "set-limits.h"

#include <string.h>

#define GROUP_BEGIN "{\"path\":\"/objects/"
#define GROUP_MIDDLE "\",\"property\":\"limits\",\"value\":{"
#define GROUP_END "}}"
#define DRIVE_BEGIN "{\"device\":\""
#define DRIVE_MIDDLE "\","
#define DRIVE_END "}"

static const char *const group_rates[] = {"bps-total",  "bps-read",  "bps-write",
                                          "iops-total", "iops-read", "iops-write"};
static const char *const drive_rates[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};

#define N_RATES G_N_ELEMENTS(group_rates)

static gsize
id_length(const char *text)
{
    gsize length =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

    return g_ascii_isalpha(*text) ? length : 0;
}

static gsize
name_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz-_");
}

static gsize
digits_length(const char *text)
{
    return strspn(text, "0123456789");
}

/* A rate and which; N_RATES for another number. */
static guint
rate_index(const char *const rates[N_RATES], const char *name, gsize length)
{
    for (guint i = 0; i < N_RATES; i++)
        if (strlen(rates[i]) == length && strncmp(rates[i], name, length) == 0)
            return i;
    return N_RATES;
}

/* `"name":digits` with commas between, up to the end. Every rate must be there, one above zero. */
static bool
are_numbers(const char *text, const char *end, const char *const rates[N_RATES])
{
    guint seen = 0;
    bool is_limited = false;

    for (;;) {
        gsize name, digits;
        guint rate;

        if (*text++ != '"')
            return false;
        name = name_length(text);
        rate = rate_index(rates, text, name);
        text += name;
        if (name == 0 || text[0] != '"' || text[1] != ':')
            return false;
        text += 2;
        digits = digits_length(text);
        if (digits == 0)
            return false;
        if (rate < N_RATES) {
            seen |= 1u << rate;
            is_limited = is_limited || strspn(text, "0") < digits;
        }
        text += digits;
        if (strcmp(text, end) == 0)
            return is_limited && seen == (1u << N_RATES) - 1;
        if (*text++ != ',')
            return false;
    }
}

static bool
are_of(const char *arguments, const char *begin, const char *middle, const char *end,
       const char *const rates[N_RATES])
{
    gsize id;

    if (!arguments || !g_str_has_prefix(arguments, begin))
        return false;
    arguments += strlen(begin);
    id = id_length(arguments);
    arguments += id;
    return id > 0 && g_str_has_prefix(arguments, middle) &&
           are_numbers(arguments + strlen(middle), end, rates);
}

bool
qmp_arguments_are_limits(const char *arguments)
{
    return are_of(arguments, GROUP_BEGIN, GROUP_MIDDLE, GROUP_END, group_rates) ||
           are_of(arguments, DRIVE_BEGIN, DRIVE_MIDDLE, DRIVE_END, drive_rates);
}

/* NULL when it is not what may be sent. */
static char *
build(const char *begin, const char *id, const char *middle, const char *const *pairs,
      const char *end)
{
    GString *text = g_string_new(begin);
    bool is_first = true, is_good = true;

    g_string_append_printf(text, "%s%s", id, middle);
    for (; *pairs; pairs += 2) {
        if (strcmp(pairs[0], "group") == 0)
            continue;
        g_string_append_printf(text, "%s\"%s\":%s", is_first ? "" : ",", pairs[0], pairs[1]);
        is_first = false;
        is_good = is_good && strlen(pairs[1]) == digits_length(pairs[1]);
    }
    g_string_append(text, end);
    if (!is_good || !qmp_arguments_are_limits(text->str))
        return g_string_free(text, TRUE);
    return g_string_free(text, FALSE);
}

char *
qmp_arguments_set_group(const char *group, const char *const *pairs)
{
    return build(GROUP_BEGIN, group, GROUP_MIDDLE, pairs, GROUP_END);
}

char *
qmp_arguments_set_drive(const char *drive, const char *const *pairs)
{
    return build(DRIVE_BEGIN, drive, DRIVE_MIDDLE, pairs, DRIVE_END);
}
