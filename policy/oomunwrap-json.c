/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oomunwrap.h"

#include <string.h>

/* No parser of JSON: one that finds the strings in what may be cut, or be JSON only in part. A
 * string behind a key is a field of a record, which ends at "}"; any other string is a line of its
 * own. A line end within a string ends a line. */

static void
token_append(OomJson *json, char byte)
{
    if (json->token_length < OOM_LINE_BYTES_MAX)
        json->token[json->token_length++] = byte;
}

static void
token_append_character(OomJson *json, gunichar character)
{
    char bytes[6];
    int n = character == 0 || (character >= 0xd800 && character < 0xe000)
                ? 0
                : g_unichar_to_utf8(character, bytes);

    for (int i = 0; i < n; i++)
        token_append(json, bytes[i]);
}

static void
token_clear(OomJson *json)
{
    json->token_length = 0;
    json->has_token = false;
}

static void
value_end(OomUnwrap *unwrap)
{
    OomJson *json = &unwrap->json;

    json->token[json->token_length] = '\0';
    if (json->key[0] != '\0')
        (void)oomrecord_take(unwrap, json->key, json->token);
    else if (json->has_token && json->token_length > 0)
        unwrap->take(json->token, unwrap->data);
    token_clear(json);
}

/* A line end inside of a string. The last line of a record waits: the time may come behind it. */
static void
string_break(OomUnwrap *unwrap)
{
    OomJson *json = &unwrap->json;
    char key[sizeof json->key];

    memcpy(key, json->key, sizeof key);
    json->has_token = true;
    value_end(unwrap);
    memcpy(json->key, key, sizeof key);
}

static void
take_escaped(OomUnwrap *unwrap, char byte)
{
    OomJson *json = &unwrap->json;

    json->is_escape = false;
    if (byte == 'n')
        string_break(unwrap);
    else if (byte == 'u')
        json->n_hex = 4;
    else if (byte == 't')
        token_append(json, '\t');
    else if (strchr("\"\\/", byte))
        token_append(json, byte);
}

static void
take_in_string(OomUnwrap *unwrap, char byte)
{
    OomJson *json = &unwrap->json;

    if (json->n_hex > 0 && g_ascii_isxdigit(byte)) {
        json->character = json->character * 16 + (gunichar)g_ascii_xdigit_value(byte);
        if (--json->n_hex > 0)
            return;
        token_append_character(json, json->character & 0xffff);
        json->character = 0;
        return;
    }
    json->n_hex = 0;
    json->character = 0;
    if (json->is_escape) {
        take_escaped(unwrap, byte);
    } else if (byte == '\\') {
        json->is_escape = true;
    } else if (byte == '"') {
        json->is_string = false;
        json->has_token = true;
    } else {
        token_append(json, byte);
    }
}

static void
key_set(OomJson *json)
{
    gsize length = json->has_token ? MIN(json->token_length, sizeof json->key - 1) : 0;

    memcpy(json->key, json->token, length);
    json->key[length] = '\0';
    token_clear(json);
}

void
oomjson_feed(OomUnwrap *unwrap, const char *bytes, gsize length)
{
    OomJson *json = &unwrap->json;

    for (gsize i = 0; i < length; i++) {
        char byte = bytes[i];

        if (json->is_string) {
            take_in_string(unwrap, byte);
        } else if (byte == '"') {
            token_clear(json);
            json->is_string = true;
        } else if (byte == ':') {
            key_set(json);
        } else if (strchr(",{}[]", byte)) {
            value_end(unwrap);
            json->key[0] = '\0';
            if (byte == '}')
                oomrecord_flush(unwrap);
        } else if (!g_ascii_isspace(byte)) {
            token_append(json, byte); /* a number */
        }
    }
}

void
oomjson_end_line(OomUnwrap *unwrap)
{
    OomJson *json = &unwrap->json;

    json->has_token = json->has_token || json->is_string;
    value_end(unwrap);
    json->is_string = json->is_escape = false;
    json->n_hex = 0;
    json->character = 0;
    json->key[0] = '\0';
}

const char *
oomjson_find(const char *line)
{
    const char *at = line + strspn(line, " \t\x1e"), *inside;

    if (strncmp(at, "data: ", 6) == 0) /* server-sent events */
        at += 6;
    if (strncmp(at, "- \"", 3) == 0) /* YAML */
        return at + 2;
    inside = at + 1 + (*at ? strspn(at + 1, " \t") : 0);
    if (*at == '{' || *at == '}' || *at == '"')
        return at;
    if ((*at == '[' || *at == ']') && (*inside == '\0' || strchr("{[\",", *inside)))
        return at;
    return strstr(line, "{\"");
}
