/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The scenario reader's place in the text, shared by its statements. Functions that return false
 * have set the error. */

#include "scenario-steps.h"

typedef struct {
    const char *text;
    guint line;
} Word;

typedef struct {
    Scenario *scenario;
    char *error; /* owned; NULL while all is well */
    bool has_header, has_vm;

    const Word *words; /* of the present statement */
    guint n_words, next;
    guint line; /* of the word taken last */

    GHashTable *disks; /* name -> index + 1 */
    gint64 last_us;    /* of the newest sample; < 0 before the first */
    guint64 n_samples; /* so far */
    guint n_used;      /* changes that belong to a step already */
    Sample state;      /* after the newest sample: what "+" adds to */
    GArray *states;    /* of DiskFacts */
} Reader;

/* "line 12: "word" phrase", without a word "line 12: phrase". Always false. */
bool reader_fail(Reader *reader, const char *word, const char *phrase);
/* The next word of the statement; NULL at its end. */
const char *reader_peek(const Reader *reader);
const char *reader_take(Reader *reader);
bool reader_take_if(Reader *reader, const char *expected);
bool reader_take_time(Reader *reader, gint64 *ret_us);

/* One statement each, its keyword taken. */
bool reader_read_vm(Reader *reader);
bool reader_read_disk(Reader *reader);
bool reader_read_at(Reader *reader);
bool reader_read_hold(Reader *reader);
bool reader_read_expect(Reader *reader);
/* At the end of the text: finds the disks that expectations named, perhaps before their disk line.
 */
bool reader_resolve(Reader *reader);
