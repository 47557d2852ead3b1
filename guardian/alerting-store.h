/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was told, and what people agreed upon, on /run: memory, so that a dead disk holds nobody up.
 */

#include "alert.h"
#include "host.h"
#include <json-glib/json-glib.h>

/* An alert that is over. Times of day; texts printable, disk and storage NULL for none. */
typedef struct {
    char *vm, *disk, *storage, *cause;
    Layer layer;
    gint64 since_us, ended_us;
} PastAlert;

/* As many as a person scrolls through. */
#define PAST_ALERTS_MAX 32

typedef struct {
    const GPtrArray *open;      /* of Alert, to save */
    Alerts *alerts;             /* to load into */
    GPtrArray *silences, *past; /* of Silence, of PastAlert; both ways */
} AlertingMemory;

GPtrArray *past_alerts_new(void);
/* Copied; the oldest go. */
void past_alerts_add(GPtrArray *past, const PastAlert *alert);

/* Replaces the file whole; a failure costs a repeated line after a restart, and nothing else. */
void alerting_store_save(const Host *host, const AlertingMemory *memory);
/* Of this boot only; an unreadable file is no file. */
void alerting_store_load(const Host *host, const AlertingMemory *memory);
