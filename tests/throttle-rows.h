/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "t.h"

#include "throttle.h"

/* What the tests of throttle settings share. Pairs of every form are written
 * "name=value,name=value". */

typedef struct {
    const char *name;
    ThrottleForm form;
    const char *text;
    const char *canonical; /* NULL: refused */
    const char *said;      /* why it is refused, or its notes, "; " between them */
} ThrottleRow;

/* A test whose state is a row; its canonical text is read again, too. */
void throttle_row_check(void **state);
/* NULL and a new string in *ret_wrong. */
Throttle *throttle_row_read(ThrottleForm form, const char *text, char **ret_wrong);
/* One side of a comparison, NULL for NULL; what cannot be read fails the test. */
Throttle *throttle_row_side(ThrottleForm form, const char *text);
/* The notes with "; " between them; a new string. */
char *throttle_row_join(const GPtrArray *notes);
