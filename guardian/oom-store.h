/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is kept of one OOM kill, and where: vm-guardian/oom.json of HOST_RUN. All texts are
 * printable. */

#include "host.h"

#include <json-glib/json-glib.h>

/* The newest are kept: a loop of kills shows its pattern in fewer. */
#define OOM_STORIES_MAX 32

typedef struct {
    char *vm;        /* as guardianctl calls it; NULL: of no VM that is watched */
    char *uuid, *id; /* NULL without */
    gint64 pid;      /* of its QEMU; 0 without vm */
    gint64 seen_us;  /* when the kernel said it, monotonic, and by the wall clock */
    gint64 seen_realtime_us;
    gint64 log_us;      /* the same by the log's own stamp */
    bool is_death;      /* QEMU itself was killed */
    guint n_kills;      /* of this VM within an hour, this one included */
    char *line;         /* one sentence */
    char *forecast;     /* what had been forecast of it until then; NULL nothing */
    char *text;         /* as `guardianctl oom` prints the report */
    JsonObject *report; /* oom_json(), its tasks shortened to the largest */
    bool is_open;       /* it is news */
} OomStory;

OomStory *oom_story_new(void);
void oom_story_free(gpointer story);
/* For the control socket and the file: the report with what is known besides. Transfer full. */
JsonObject *oom_story_json(const OomStory *story);

/* stories: of OomStory, oldest first. */
void oom_store_save(const Host *host, const GPtrArray *stories);
/* Appends what was kept in this boot; what is not readable is left out. */
void oom_store_load(const Host *host, GPtrArray *stories);
