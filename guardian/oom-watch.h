/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* OOM kills as they happen, and those that happened in this boot while nobody watched: follows the
 * kernel's log (kmsg.h), has its reports read (oomreader.h), finds the VM, also when it died of it
 * (policy/oomstory.h), and keeps what came out for those who ask later (oom-telling.h), over a
 * restart of the daemon, too. Reads nothing but the log, writes one small file below HOST_RUN after
 * a kill. */

#include "kmsg.h"
#include "oom-telling.h"
#include "vm.h"

typedef struct OomWatch OomWatch;

/* One sentence about the watching itself, printable. */
typedef void (*OomWatchWarnFunc)(const char *line, gpointer data);

/* Borrows host; loads what an earlier daemon of this boot kept. */
OomWatch *oom_watch_new(const Host *host);
void oom_watch_free(OomWatch *watch);
/* Tells of what is open, and follows the log from now on. */
void oom_watch_start(OomWatch *watch, GMainContext *context, OomToldFunc told,
                     OomWatchWarnFunc warn, gpointer data);
/* A VM that is watched, with its newest sample if it has one: it is known for a while after its
 * end. */
void oom_watch_note(OomWatch *watch, const Vm *vm);
/* A line of the log, as dmesg(1) prints it. */
void oom_watch_take(OomWatch *watch, const char *line, gsize length);
/* With every tick: ends reports that are complete, and what is no news any more. */
void oom_watch_follow(OomWatch *watch);
/* Newest last; of OomStory, borrowed. */
const GPtrArray *oom_watch_stories(const OomWatch *watch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OomWatch, oom_watch_free)
