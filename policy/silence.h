/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Silences: for how long, of which VM or which cause, nobody is told. A silence always ends,
 * because one without an end is how an alarm dies; what is still open then is told. It changes no
 * verdict: status and the list of alerts show what is silenced. Times are of day (realtime): a
 * silence is agreed upon between people, and outlives a restart. Pure. */

#include "alert.h"

#define SILENCE_MAX_US (30 * 24 * 3600 * (gint64)G_USEC_PER_SEC)
/* More than anybody can remember. */
#define SILENCES_MAX 64

typedef enum { SILENCE_VM, SILENCE_CAUSE } SilenceKind;

typedef struct {
    SilenceKind kind;
    char *subject; /* printable: a VM's name, or the name of a cause or layer */
    char *why;     /* printable */
    gint64 from_us, until_us;
} Silence;

/* Of Silence, owned. */
GPtrArray *silences_new(void);
/* Copied; takes the place of one with the same kind and subject. false when SILENCES_MAX are there.
 */
bool silences_add(GPtrArray *silences, const Silence *silence) G_GNUC_WARN_UNUSED_RESULT;
/* false: there was none. */
bool silences_remove(GPtrArray *silences, const char *subject);
/* Ends what is over; false when nothing was. */
bool silences_expire(GPtrArray *silences, gint64 now_us);
/* The one that ends last of those that apply to the alert, borrowed; NULL for none. */
const Silence *silences_of(const GPtrArray *silences, const Alert *alert);
/* When the next one ends; G_MAXINT64: there is none. */
gint64 silences_next_us(const GPtrArray *silences);
/* Is it the name of a layer or of a cause that alerts can have? */
bool silence_is_cause(const char *word);
