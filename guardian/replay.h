/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Plays one scenario through the judges in virtual time and keeps what they said: every change of a
 * verdict, and whether each expectation held. Needs no host, no daemon, no root. */

#include "scenario.h"
#include "settings.h"

typedef struct {
    gint64 at_us; /* scenario time */
    char *disk;   /* printable label; NULL = the VM */
    State state;
    Layer layer;
    const char *cause; /* static; "" for none */
} ReplayVerdict;

typedef struct {
    guint line;
    char *text;  /* as told, printable */
    char *wrong; /* NULL: it held; else what came out instead, the first time */
} ReplayExpectation;

typedef struct {
    GArray *verdicts;     /* of ReplayVerdict, by time */
    GArray *expectations; /* of ReplayExpectation, by line */
    State final_state;    /* of the VM */
    Layer final_layer;
    bool is_passed; /* all expectations held */
} Replay;

/* NULL and *ret_error (a new string, "line 3: ...") when the text cannot be read as a scenario. */
Replay *replay_text(const char *text, gsize length, const Limits *limits, char **ret_error);
void replay_free(Replay *replay);
/* Scenario time for a reader: "26.5s", "30d"; no finer than a millisecond. New string. */
char *replay_format_time(gint64 at_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Replay, replay_free)
