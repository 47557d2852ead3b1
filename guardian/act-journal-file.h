/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The journal's part that runs in a child: only async-signal-safe calls. */

#include "child.h"

/* "0001795274000123-000004242-000007.json" fits twice. */
#define ACT_NAME_BYTES_MAX 80
#define ACT_FILE_SUFFIX ".json"

typedef struct {
    int root_fd; /* HOST_VAR */
    char *file;  /* to write; NULL: none */
    char *text;
    char *drop;                      /* another one to remove; NULL */
    char cursor[ACT_NAME_BYTES_MAX]; /* read: names after this one */
    gint64 stale_s; /* read: what was left half-written before this time is removed */
} ActFileJob;

/* Answers with nothing, or with what is wrong. */
void act_file_put(int answer_fd, gconstpointer job);
/* Answers with as many files after the cursor as fit, in the order of their names, each as
 * "<name> <length>\n<text>\n"; one that cannot be read has length 0. Nothing: there are no more. */
void act_file_read(int answer_fd, gconstpointer job);
/* A name that we gave: digits and dashes, then the suffix. */
bool act_file_name_is_valid(const char *name);
