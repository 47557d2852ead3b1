/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "settings.h"

#include "units.h"

#include <string.h>

/* PATH_MAX of Linux, less room for what is put behind it while it is written. */
#define PATH_BYTES_MAX 4000

static const char *
parse_word(const char *const *words, const char *text, gint64 *ret_index)
{
    for (gint64 i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return NULL;
        }
    }
    return "is unknown";
}

static const char *
parse_bool(const char *text, gint64 *ret_value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1", NULL};
    const char *wrong = parse_word(words, text, ret_value);

    if (wrong == NULL)
        *ret_value %= 2;
    return wrong;
}

static const char *
parse_integer(const char *text, gint64 *ret_value)
{
    if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, ret_value, NULL))
        return "is not a whole number";
    return NULL;
}

static const char *
parse_size(const char *text, gint64 *ret_bytes)
{
    guint64 bytes = 0;
    const char *wrong = units_parse_size(text, &bytes);

    if (wrong != NULL)
        return wrong;
    if (bytes > G_MAXINT64)
        return "is too large";
    *ret_bytes = (gint64)bytes;
    return NULL;
}

static const char *
parse_version(const char *text, gint64 *ret_value)
{
    gint32 version = 0;
    const char *wrong = units_parse_version(text, &version);

    if (wrong == NULL)
        *ret_value = version;
    return wrong;
}

static const char *
parse_score(const char *text, gint64 *ret_value)
{
    gint64 value;

    if (strcmp(text, "keep") == 0) {
        *ret_value = SCORE_KEEP;
        return NULL;
    }
    if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &value, NULL))
        return "is neither keep nor a whole number";
    if (value < SCORE_MIN)
        return "is below -900: the host's own daemons would be killed before the VM";
    if (value > SCORE_MAX)
        return "is above 1000";
    *ret_value = value;
    return NULL;
}

static const char *
parse_value(const Setting *setting, const char *text, gint64 *ret_value)
{
    switch (setting->type) {
    case SETTING_BOOL:
        return parse_bool(text, ret_value);
    case SETTING_DURATION:
        return units_parse_duration(text, ret_value);
    case SETTING_SIZE:
        return parse_size(text, ret_value);
    case SETTING_INTEGER:
        return parse_integer(text, ret_value);
    case SETTING_RATIO:
        return units_parse_ratio(text, ret_value);
    case SETTING_VERSION:
        return parse_version(text, ret_value);
    case SETTING_SCORE:
        return parse_score(text, ret_value);
    case SETTING_CHOICE:
        return parse_word(setting->choices, text, ret_value);
    case SETTING_LIST:
    case SETTING_PATH:
        break;
    }
    g_assert_not_reached();
}

/* 1500 -> "1.5" */
static char *
format_ratio(gint64 thousandths)
{
    char *text =
        g_strdup_printf("%" G_GINT64_FORMAT ".%03d", thousandths / 1000, (int)(thousandths % 1000));
    gsize length = strlen(text);

    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    text[length] = '\0';
    return text;
}

static char *
format_value(const Setting *setting, gint64 value)
{
    switch (setting->type) {
    case SETTING_BOOL:
        return g_strdup(value ? "yes" : "no");
    case SETTING_DURATION:
        return units_format_duration(value);
    case SETTING_SIZE:
        return units_format_size((guint64)value);
    case SETTING_INTEGER:
        return g_strdup_printf("%" G_GINT64_FORMAT, value);
    case SETTING_RATIO:
        return format_ratio(value);
    case SETTING_VERSION:
        return units_format_version((gint32)value);
    case SETTING_SCORE:
        return value == SCORE_KEEP ? g_strdup("keep") : g_strdup_printf("%d", (int)value);
    case SETTING_CHOICE:
        return g_strdup(setting->choices[value]);
    case SETTING_LIST:
    case SETTING_PATH:
        break;
    }
    g_assert_not_reached();
}

static bool
has_range(const Setting *setting)
{
    return setting->min != 0 || setting->max != 0;
}

char *
setting_describe_values(const Setting *setting)
{
    static const char *const by_type[] = {
        [SETTING_BOOL] = "yes or no",
        [SETTING_DURATION] = "a duration such as 1500ms, 2s, 5m, 1h or 1d",
        [SETTING_SIZE] = "a size such as 512Mi or 2G",
        [SETTING_INTEGER] = "a whole number",
        [SETTING_RATIO] = "a number such as 1.5",
        [SETTING_VERSION] = "a version such as 1.2, or main",
        [SETTING_SCORE] = "keep, or a whole number from -900 to 1000",
        [SETTING_LIST] = "words separated by blanks or commas",
        [SETTING_PATH] = "an absolute path",
    };

    if (setting->type == SETTING_CHOICE)
        return g_strjoinv(" or ", (char **)setting->choices);
    if (has_range(setting)) {
        g_autofree char *min = format_value(setting, setting->min);
        g_autofree char *max = format_value(setting, setting->max);

        return g_strdup_printf("%s to %s", min, max);
    }
    return g_strdup(by_type[setting->type]);
}

/* Steps over one word of a list; NULL at its end. */
static const char *
list_next(const char **rest, gsize *ret_length)
{
    const char *word = *rest + strspn(*rest, SETTING_SEPARATORS);

    *ret_length = strcspn(word, SETTING_SEPARATORS);
    *rest = word + *ret_length;
    return *ret_length > 0 ? word : NULL;
}

/* The words with one blank between them; NULL when there is none. */
static char *
list_normalize(const char *text)
{
    g_autoptr(GString) list = g_string_new(NULL);
    const char *word = NULL;
    gsize length = 0;

    while ((word = list_next(&text, &length)) != NULL) {
        if (list->len > 0)
            g_string_append_c(list, ' ');
        g_string_append_len(list, word, (gssize)length);
    }
    return list->len > 0 ? g_strdup(list->str) : NULL;
}

bool
setting_is_text(const Setting *setting)
{
    return setting->type == SETTING_LIST || setting->type == SETTING_PATH;
}

/* Of a path that is to be written to: where it leads must be seen in it. NULL for a good one. */
static const char *
check_path(const char *text)
{
    if (*text != '\0' && *text != '/')
        return "is no absolute path";
    if (g_str_has_suffix(text, "/"))
        return "is the path of a directory";
    if (strstr(text, "/../") != NULL || g_str_has_suffix(text, "/.."))
        return "has .. in it";
    return strlen(text) < PATH_BYTES_MAX ? NULL : "is too long";
}

/* NULL, or what is wrong. */
static char *
apply_text(const Setting *setting, const char *text, Limits *limits)
{
    const char *wrong = setting->type == SETTING_PATH ? check_path(text) : NULL;
    g_autofree char *printable = units_printable(text, -1);

    if (wrong != NULL)
        return g_strdup_printf("\"%s\" %s", printable, wrong);
    g_free(G_STRUCT_MEMBER(char *, limits, setting->offset));
    if (setting->type == SETTING_LIST)
        G_STRUCT_MEMBER(char *, limits, setting->offset) = list_normalize(text);
    else
        G_STRUCT_MEMBER(char *, limits, setting->offset) = *text ? g_strdup(text) : NULL;
    return NULL;
}

char *
setting_apply(const Setting *setting, const char *text, Limits *limits)
{
    gint64 value = 0;
    const char *wrong = NULL;
    bool is_in_range = true;
    g_autofree char *printable = NULL;
    g_autofree char *values = NULL;

    if (setting_is_text(setting))
        return apply_text(setting, text, limits);
    wrong = parse_value(setting, text, &value);
    if (wrong == NULL && has_range(setting))
        is_in_range = value >= setting->min && value <= setting->max;
    if (wrong == NULL && is_in_range) {
        G_STRUCT_MEMBER(gint64, limits, setting->offset) = value;
        return NULL;
    }
    printable = units_printable(text, -1);
    if (wrong != NULL && setting->type != SETTING_BOOL && setting->type != SETTING_CHOICE)
        return g_strdup_printf("\"%s\" %s", printable, wrong);
    values = setting_describe_values(setting);
    return g_strdup_printf("\"%s\" %s: use %s", printable, wrong ? wrong : "is out of range",
                           values);
}

char *
setting_format(const Setting *setting, const Limits *limits)
{
    if (setting_is_text(setting))
        return g_strdup(G_STRUCT_MEMBER(char *, limits, setting->offset));
    return format_value(setting, G_STRUCT_MEMBER(gint64, limits, setting->offset));
}

/* Linear in glob times text, without recursion: neither can make it slow. */
static bool
glob_matches(const char *glob, gsize length, const char *text)
{
    const char *end = glob + length, *after_star = NULL, *retry = NULL;

    while (*text != '\0') {
        if (glob < end && *glob == '*') {
            after_star = ++glob;
            retry = text;
        } else if (glob < end && (*glob == '?' || *glob == *text)) {
            glob++;
            text++;
        } else if (after_star != NULL) {
            glob = after_star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (glob < end && *glob == '*')
        glob++;
    return glob == end;
}

bool
setting_list_matches(const char *list, const char *text)
{
    const char *word = NULL;
    gsize length = 0;

    if (list == NULL || text == NULL)
        return false;
    while ((word = list_next(&list, &length)) != NULL) {
        if (glob_matches(word, length, text))
            return true;
    }
    return false;
}
