/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The alerts of this host: follows every verdict, speaks what policy/alert.c says is due, and keeps
 * what was told in vm-guardian/alerts.json below run, so that a restart neither repeats nor forgets
 * it. */

#include "guardian.h"

typedef struct Alerting Alerting;

/* One piece of news: step is "raised", "paged", "reminded" or "closed"; vm is NULL when it is of
 * several. */
typedef struct {
    const char *step, *line, *vm, *disk;
    State state;
    Layer layer;
} AlertingNews;
typedef void (*AlertingSpeakFunc)(const AlertingNews *news, gpointer data);

/* Reads what an earlier guardian of this boot had told. */
Alerting *alerting_new(const Host *host, GMainContext *context, AlertingSpeakFunc speak,
                       gpointer data);
void alerting_free(Alerting *alerting);
/* Every change the guardian tells of, also those in which nothing changed. */
void alerting_follow(Alerting *alerting, const GuardianChange *change);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Alerting, alerting_free)
