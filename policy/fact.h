/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The facts of a Sample by name: one row per field, from which the scenario reader and writer are
 * made. Nothing here knows a line or a file; every function is total on hostile text. */

#include "model.h"

/* Which nouns a row belongs to; the record of FACT_OF_VM is a Sample, of FACT_OF_DISK a DiskFacts.
 */
typedef enum { FACT_OF_VM, FACT_OF_DISK } FactScope;

typedef enum {
    FACT_RUN,     /* a RunState by name; unknown is RUN_UNKNOWN */
    FACT_STAGE,   /* a MonitorStage by name */
    FACT_LETTER,  /* one byte; unknown is 0 */
    FACT_FLAG,    /* one of two words */
    FACT_COUNT32, /* an integer */
    FACT_COUNT,   /* an integer */
    FACT_SIZE,    /* bytes, as units.h reads them */
    FACT_TIME_US, /* 1.5s, 20ms, 3h; at most FACT_TIME_MAX_US */
    FACT_AGE_US,  /* the same; negative is unknown */
    FACT_TIME_NS, /* the same, nanoseconds, all 64 bits */
    FACT_TEXT,    /* bytes; what is not plain is written \xNN */
} FactKind;

/* A hundred years: sums of three such times stay far from 63 bits, no VM lives longer. */
#define FACT_TIME_MAX_US (G_GINT64_CONSTANT(100) * 365 * 86400 * G_USEC_PER_SEC)

typedef struct {
    const char *word[2]; /* false, true */
    const char *wrong;   /* the phrase for any other word */
} FactWords;

typedef struct {
    const char *name;
    FactKind kind;
    gsize offset;           /* of the value in its record */
    gsize has_offset;       /* of the has_ bit it shares with its group, or FACT_NO_BIT */
    const FactWords *words; /* of a FACT_FLAG */
} Fact;

#define FACT_NO_BIT G_MAXSIZE

/* A disk and whether it is in the sample at all. */
typedef struct {
    DiskSample disk;
    bool is_present;
} DiskFacts;

typedef struct {
    bool is_unknown; /* "?" */
    bool is_sum;     /* "+N": number is added to the last value */
    guint64 number;
    char *text; /* owned */
} FactValue;

/* All rows of a scope, in the order in which they are written. */
const Fact *fact_table(FactScope scope, guint *ret_n_facts);
/* NULL when there is no such fact. */
const Fact *fact_find(FactScope scope, const char *name);

/* NULL, or a static phrase that says what is wrong with the text ("needs a unit: ..."). The caller
 * frees ret_value->text. */
const char *fact_parse(const Fact *fact, const char *text,
                       FactValue *ret_value) G_GNUC_WARN_UNUSED_RESULT;
/* Stores the value `times` times (a sum counts each time); the record borrows its text. NULL, or a
 * static phrase: a sum on an unknown value or past the type's range; the record is then untouched.
 */
const char *fact_store(const Fact *fact, const FactValue *value, guint64 times, void *record);

/* The value as a number (0 for a text), and as a text (NULL for a number); borrowed. */
guint64 fact_number(const Fact *fact, const void *record);
const char *fact_text(const Fact *fact, const void *record);
bool fact_is_known(const Fact *fact, const void *record);
/* Unknown equals unknown, whatever the bytes below. */
bool fact_equals(const Fact *fact, const void *left, const void *right);
/* Appends the value as fact_parse() reads it back; "?" when unknown. */
void fact_format(const Fact *fact, const void *record, GString *text);

/* A duration: digits with an optional fraction, then ns, us, ms, s, m, h or d. NULL or a phrase. */
const char *fact_parse_time_ns(const char *text, guint64 *ret_ns) G_GNUC_WARN_UNUSED_RESULT;
const char *fact_parse_time_us(const char *text, gint64 *ret_us) G_GNUC_WARN_UNUSED_RESULT;
void fact_format_time_ns(guint64 ns, GString *text);
/* Undoes \xNN. NULL for a broken or a zero escape; else a new string. */
char *fact_decode(const char *token);
void fact_encode(const char *raw, GString *text);
