/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A key is a run of letters, digits, '-', '_', '.' at the start or after a separator, followed by
 * '=' or, in JSON, by a quote and ':'. Its value ends
 *
 *   - in JSON at the closing quote,
 *   - in a guest's kernel command line (-append) at a blank,
 *   - else at a single comma; a doubled one is part of it. Lists inside a value (rbd's ':', a
 *     URL's '&') go whole: what is lost there is less than what could be shown.
 *
 * Of a URL the part before the '@' goes: "https://user:word@host". */

#include "redact.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define MASK "***"

/* What the whole key must be, or how it must end; option NULL: of any. */
typedef struct {
    const char *option, *key;
    bool is_suffix;
} Secret;

static const Secret secrets[] = {
    {NULL, "password", true},
    {NULL, "passwd", true},
    {NULL, "passphrase", true},
    {NULL, "pass", false},
    {NULL, "key", false},
    {NULL, "data", false}, /* -object secret */
    {NULL, "secret", false},
    {NULL, "token", true},
    {NULL, "cookie", false},
    {NULL, "osk", false},
    {"-fw_cfg", "string", false},
    {"-smbios", "value", false}, /* OEM strings carry systemd's credentials */
    {"-append", "key", true},
    {"-append", "secret", true},
    {"-append", "credential", true},
};

static bool
is_key_byte(char byte)
{
    return g_ascii_isalnum(byte) || byte == '-' || byte == '_' || byte == '.';
}

static bool
option_is(const char *option, const char *name)
{
    if (!option)
        return false;
    return strcmp(option, name) == 0 || (option[0] == '-' && strcmp(option + 1, name) == 0);
}

static bool
is_secret(const char *option, const char *key, gsize length)
{
    for (guint i = 0; i < G_N_ELEMENTS(secrets); i++) {
        const Secret *secret = &secrets[i];
        gsize want = strlen(secret->key);
        bool fits = secret->is_suffix ? length >= want : length == want;

        if (fits && g_ascii_strncasecmp(key + length - want, secret->key, want) == 0 &&
            (!secret->option || option_is(option, secret->option)))
            return true;
    }
    return false;
}

static bool
is_switch(const char *value, gsize length)
{
    static const char *const words[] = {"on", "off", "yes", "no", "true", "false"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (strlen(words[i]) == length && strncmp(value, words[i], length) == 0)
            return true;
    return false;
}

/* Where the value that begins here ends; *value moves past an opening quote. */
static char *
value_end(char **value, bool is_json, bool ends_at_blank)
{
    char *end;

    if (is_json && **value == '"') {
        for (end = ++*value; *end && *end != '"'; end++)
            if (*end == '\\' && end[1])
                end++;
        return end;
    }
    if (ends_at_blank)
        return *value + strcspn(*value, " \t\n");
    for (end = *value; *end; end++) {
        if (*end == ',' && end[1] != ',')
            break;
        end += *end == ',';
    }
    return end;
}

/* Returns where the text goes on. */
static char *
mask(char *from, char *to)
{
    gsize length = MIN((gsize)(to - from), strlen(MASK));

    memset(from, MASK[0], length);
    memmove(from + length, to, strlen(to) + 1);
    return from + length;
}

/* At the key; returns where to go on. */
static char *
redact_key(const char *option, char *key)
{
    gsize length = 0;
    bool is_json;
    char *value, *end;

    while (is_key_byte(key[length]))
        length++;
    value = key + length;
    is_json = *value == '"';
    value += is_json;
    value += strspn(value, is_json ? " \t\n" : "");
    if (*value != (is_json ? ':' : '='))
        return key + length;
    value++;
    value += strspn(value, is_json ? " \t\n" : "");
    if (!is_secret(option, key, length))
        return value;
    end = value_end(&value, is_json, option_is(option, "-append"));
    return is_switch(value, (gsize)(end - value)) ? end : mask(value, end);
}

static void
redact_urls(char *argument)
{
    char *at = argument;

    while ((at = strstr(at, "://"))) {
        char *end, *user = NULL;

        at += strlen("://");
        end = at + strcspn(at, "/,\" \t\n?");
        for (char *p = at; p < end; p++)
            if (*p == '@')
                user = p;
        if (user)
            at = mask(at, user);
    }
}

void
redact_argument(const char *option, char *argument)
{
    for (char *at = argument; *at;) {
        bool is_start = at == argument || !is_key_byte(at[-1]);

        at = is_start && is_key_byte(*at) ? redact_key(option, at) : at + 1;
    }
    redact_urls(argument);
}
