/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which unit of systemd's a group belongs to, and what systemd says of it. */

#include "child.h"
#include "host.h"

/* The unit around a group that the host's own systemd keeps, a new string; NULL: there is none, or
 * another manager (of a user, of a container) keeps units in it. *ret_is_unit: there is one. */
char *unit_around(const Host *host, const char *group, bool *ret_is_unit);

typedef struct {
    char *oom_policy; /* "" it has none */
    gint64 main_pid;  /* 0 none */
} UnitWords;

/* words: NULL when systemd did not answer, or could not be asked; borrowed. */
typedef void (*UnitWordsFunc)(const UnitWords *words, gpointer data);
/* `systemctl show`, by a child; false: it cannot be run now. */
bool unit_ask(Children *children, const char *unit, UnitWordsFunc func, gpointer data);
/* "Id=a.service\nOOMPolicy=stop\nMainPID=12\n"; the caller frees oom_policy. false: it is no
 * answer, which has an Id in any case. */
bool unit_words_parse(const char *text, UnitWords *ret_words);
