/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "owner.h"

#include "settings.h"

#include <string.h>

static void
word_free(gpointer data)
{
    OwnerWord *word = data;

    g_free(word->name);
    g_free(word->value);
    g_free(word->origin);
    g_free(word->problem);
    g_free(word);
}

GPtrArray *
owner_words_new(void)
{
    return g_ptr_array_new_with_free_func(word_free);
}

void
owner_words_add(GPtrArray *words, const char *name, const char *value, const char *origin)
{
    OwnerWord *word = g_new0(OwnerWord, 1);

    word->name = g_strdup(name);
    word->value = g_strdup(value);
    word->origin = g_strdup(origin);
    if (words->len < OWNER_WORDS_MAX)
        g_ptr_array_add(words, word);
    else
        word_free(word);
}

/* "a.b=c d.e=f": what has no "=" is a word without a value. */
static void
take_line(GPtrArray *words, const char *line, gsize length, const char *origin)
{
    const char *end = line + length;

    while (line < end) {
        gsize size = MIN(strcspn(line, SETTING_SEPARATORS "\r\n"), (gsize)(end - line));
        g_autofree char *word = g_strndup(line, size);
        char *equals = strchr(word, '=');

        if (equals)
            *equals = '\0';
        if (size > 0)
            owner_words_add(words, word, equals ? equals + 1 : "", origin);
        line += size + 1;
    }
}

void
owner_take_description(GPtrArray *words, const char *text, const char *origin)
{
    for (const char *line = text; line && *line;) {
        gsize length = strcspn(line, "\n");
        gsize blanks = strspn(line, " \t");

        if (strncmp(line + blanks, OWNER_MARK, strlen(OWNER_MARK)) == 0) {
            gsize head = blanks + strlen(OWNER_MARK);

            take_line(words, line + head, length - head, origin);
        }
        line += length + (line[length] == '\n');
    }
}

void
owner_take_domain(GPtrArray *words, const DomainXml *xml)
{
    for (guint i = 0; i < xml->notes->len; i++) {
        const DomainNote *note = xml->notes->pdata[i];
        const char *name = NULL;

        if (strcmp(note->space, OWNER_SPACE) != 0 || !g_str_has_suffix(note->path, "/set"))
            continue;
        for (guint j = 0; note->attributes[j] && note->attributes[j + 1]; j += 2)
            if (strcmp(note->attributes[j], "name") == 0)
                name = note->attributes[j + 1];
        owner_words_add(words, name ? name : "", note->text, "libvirt's metadata");
    }
}

bool
owner_words_equal(const GPtrArray *a, const GPtrArray *b)
{
    guint n = a ? a->len : 0;

    if (n != (b ? b->len : 0))
        return false;
    for (guint i = 0; i < n; i++) {
        const OwnerWord *left = a->pdata[i], *right = b->pdata[i];

        if (strcmp(left->name, right->name) != 0 || strcmp(left->value, right->value) != 0 ||
            strcmp(left->origin, right->origin) != 0)
            return false;
    }
    return true;
}
