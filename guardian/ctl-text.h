/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the offline verbs share that read a TEXT in one of several forms: where it comes from, and
 * how what is worth a word, and how a difference, is told. */

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/* TEXT itself, @FILE, or - for standard input. NULL after a line on stderr that names the verb. */
char *ctl_text_read(const char *verb, const char *word,
                    gsize *ret_length) G_GNUC_WARN_UNUSED_RESULT;
/* Lines on stderr, so that stdout is for scripts. about: "A", or "". */
void ctl_text_print_notes(const char *about, const GPtrArray *notes);
/* "notes": [...] */
void ctl_text_build_notes(JsonBuilder *builder, const GPtrArray *notes);

/* The members of one side; its object is open. */
typedef void (*CtlTextBuildFunc)(JsonBuilder *builder, gconstpointer side);

typedef struct {
    gconstpointer a, b;
    bool is_equal;
    CtlTextBuildFunc build_side;
    /* An object for each: "field", "a", "b"; the array is open. */
    void (*build_differences)(JsonBuilder *builder, gconstpointer a, gconstpointer b);
    const GPtrArray *notes; /* of what one side cannot say of the other */
} CtlTextDiff;

/* On stdout, for programs: one side, and two of them. */
void ctl_text_print_side_json(CtlTextBuildFunc build_side, gconstpointer side);
void ctl_text_print_diff_json(const CtlTextDiff *diff);
