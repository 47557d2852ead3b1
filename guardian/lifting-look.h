/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What must be known of a hog before memory.high of a group around it is lifted. */

#include "child.h"
#include "host.h"
#include "lift.h"

typedef struct {
    char *oom_policy; /* "" it has none; NULL not told */
    gint64 main_pid;  /* 0 none */
} UnitWords;

/* words: NULL when systemd did not answer; borrowed. */
typedef void (*UnitWordsFunc)(const UnitWords *words, gpointer data);

/* *ret_group: the process's own group, raw, a new string; NULL when it is gone or not below path.
 * Sets what the groups from there up to path say of memory.oom.group. */
void lifting_look_groups(const Host *host, pid_t pid, const char *path, LiftFacts *facts,
                         char **ret_group);
/* The unit around a group that the host's own systemd keeps, a new string; NULL: there is none, or
 * another manager (of a user, of a container) keeps units in it. *ret_is_unit: there is one. */
char *lifting_look_unit(const Host *host, const char *group, bool *ret_is_unit);
/* `systemctl show`, by a child; false: it cannot be run now. */
bool lifting_look_ask(Children *children, const char *unit, UnitWordsFunc func, gpointer data);
/* "OOMPolicy=stop\nMainPID=12\n"; the caller frees oom_policy. */
void unit_words_parse(const char *text, UnitWords *ret_words);
