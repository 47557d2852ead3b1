/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The lines of one configuration text, one after the other, each with its number: what GKeyFile
 * does not tell. Knows no setting and opens no file. The grammar stands at the head of keyfile.c.
 */

#include <glib.h>
#include <stdbool.h>

typedef enum {
    KEYFILE_SECTION, /* section */
    KEYFILE_VALUE,   /* section, key and value */
    KEYFILE_WRONG,   /* wrong: a static sentence, "is not valid UTF-8" */
} KeyfileKind;

typedef struct {
    KeyfileKind kind;
    guint line; /* from 1 */
    const char *section, *key, *value;
    const char *wrong;
} KeyfileEntry;

typedef struct {
    char *next, *end;
    guint line;
    const char *section;    /* NULL before the first one, and in one whose head was wrong */
    bool section_is_broken; /* what stands in it was explained with its head */
} Keyfile;

/* text is cut to pieces in place, must stay while entries are used, and holds a NUL at length. */
void keyfile_init(Keyfile *ret_keyfile, char *text, gsize length);
/* The next line that says something; false at the end. */
bool keyfile_next(Keyfile *keyfile, KeyfileEntry *ret_entry);
