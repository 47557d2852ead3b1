/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "keyfile.h"

#include <string.h>

/* The grammar, line by line; blanks at both ends of a line, a key and a value do not count, nor
 * does a carriage return at the end:
 *
 *   line    = "" | comment | section | value
 *   comment = ( "#" | ";" ) anything
 *   section = "[" name "]"
 *   value   = key "=" anything
 *
 * A value goes to the end of its line: no quotes, no escapes, no continuation. A comment stands on
 * a line of its own; "#" or ";" at the start of a value or after a blank in it is refused, because
 * "20s ; was 10s" is a comment to its writer. A section may be left and entered again. */

#define NEITHER "is neither [section], key = value nor a comment"
#define COMMENT "has a comment behind its value: a comment stands on its own line"

void
keyfile_init(Keyfile *ret_keyfile, char *text, gsize length)
{
    *ret_keyfile = (Keyfile){.next = text, .end = text + length};
}

static bool
is_comment(const char *text)
{
    return *text == '#' || *text == ';';
}

static bool
has_comment_behind(const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if (is_comment(p) && (p == value || g_ascii_isspace(p[-1])))
            return true;
    }
    return false;
}

/* Cuts off the next line and trims it. *ret_wrong is set when it is no text. */
static char *
take_line(Keyfile *keyfile, const char **ret_wrong)
{
    char *line = keyfile->next;
    char *newline = memchr(line, '\n', (gsize)(keyfile->end - line));
    char *end = newline != NULL ? newline : keyfile->end;

    *end = '\0';
    keyfile->next = newline != NULL ? newline + 1 : keyfile->end;
    keyfile->line++;
    *ret_wrong = NULL;
    if (strlen(line) < (gsize)(end - line))
        *ret_wrong = "holds a NUL byte";
    else if (!g_utf8_validate(line, end - line, NULL))
        *ret_wrong = "is not valid UTF-8";
    return g_strstrip(line);
}

/* "[name]"; NULL when it is not. */
static const char *
parse_section(char *line)
{
    gsize length = strlen(line);

    if (length < 3 || line[length - 1] != ']')
        return NULL;
    line[length - 1] = '\0';
    return line + 1;
}

static const char *
parse_value(char *line, KeyfileEntry *entry)
{
    char *equals = strchr(line, '=');

    if (equals == NULL || equals == line)
        return NEITHER;
    *equals = '\0';
    entry->key = g_strchomp(line);
    entry->value = g_strchug(equals + 1);
    return has_comment_behind(entry->value) ? COMMENT : NULL;
}

/* What a line says, unless it is wrong already; false when that is nothing. */
static bool
parse_line(Keyfile *keyfile, char *line, KeyfileEntry *entry)
{
    if (entry->wrong == NULL && (*line == '\0' || is_comment(line)))
        return false;
    if (*line == '[') {
        keyfile->section = entry->wrong == NULL ? parse_section(line) : NULL;
        keyfile->section_is_broken = keyfile->section == NULL;
        entry->kind = KEYFILE_SECTION;
        entry->section = keyfile->section;
        if (entry->section == NULL && entry->wrong == NULL)
            entry->wrong = NEITHER;
        return true;
    }
    if (entry->wrong != NULL)
        return true;
    if (keyfile->section_is_broken)
        return false;
    entry->kind = KEYFILE_VALUE;
    entry->section = keyfile->section;
    entry->wrong = parse_value(line, entry);
    if (entry->wrong == NULL && entry->section == NULL)
        entry->wrong = "stands before any [section]";
    return true;
}

bool
keyfile_next(Keyfile *keyfile, KeyfileEntry *ret_entry)
{
    while (keyfile->next < keyfile->end) {
        KeyfileEntry entry = {0};
        char *line = take_line(keyfile, &entry.wrong);

        entry.line = keyfile->line;
        if (!parse_line(keyfile, line, &entry))
            continue;
        if (entry.wrong != NULL)
            entry.kind = KEYFILE_WRONG;
        *ret_entry = entry;
        return true;
    }
    return false;
}
