/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The alerts of this host: follows every verdict, speaks what policy/alert.c says is due, also to
 * the executables of alert.d, and keeps what was told in vm-guardian/alerts.json below run, so that
 * a restart neither repeats nor forgets it. */

#include "guardian.h"
#include <json-glib/json-glib.h>

typedef struct Alerting Alerting;

/* One piece of news, all of it printable: step is "raised", "paged", "reminded" or "closed"; vm is
 * NULL when it is of several, and disk when it is of a whole VM, too. */
typedef struct {
    const char *step, *line, *vm, *disk;
    State state;
    Layer layer;
    const char *cause;      /* "" for none */
    const char *storage;    /* NULL unknown */
    const char *since_utc;  /* NULL unknown */
    const char *const *vms; /* all of them, each once; ends with NULL; NULL for none */
    bool is_paged;          /* it is urgent, or was */
} AlertingNews;

typedef struct {
    void (*speak)(const AlertingNews *news, gpointer data);
    /* What keeps others from being told, printable. */
    void (*warn)(const char *line, gpointer data);
    gpointer data;
} AlertingFuncs;

/* Reads what an earlier guardian of this boot had told. */
Alerting *alerting_new(const Host *host, GMainContext *context, const AlertingFuncs *funcs);
void alerting_free(Alerting *alerting);
/* Every change the guardian tells of, also those in which nothing changed. */
void alerting_follow(Alerting *alerting, const GuardianChange *change);
/* Is it this change that makes it urgent, for the first time? Not where a disk says it for its VM
 * or a VM for its disk, and not after a restart for what had been paged before. Ask before
 * alerting_follow(). */
bool alerting_is_page(const Alerting *alerting, const GuardianChange *change);
/* Of the host; also after a reload. */
void alerting_set_limits(Alerting *alerting, const Limits *limits);

/* Nobody is told of the alerts of a VM (as guardianctl calls it) or of a cause or layer, for a
 * while. What is open when it ends is told then. */
typedef struct {
    const char *subject, *why;
    gint64 for_us;
} AlertingSilence;

/* vms: of Vm, to find the subject among. false with error set. */
bool alerting_silence(Alerting *alerting, const GPtrArray *vms, const AlertingSilence *wanted,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool alerting_end_silence(Alerting *alerting, const GPtrArray *vms, const char *word,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Somebody knows of the VM's alerts: no page, no reminder of them any more. */
bool alerting_acknowledge(Alerting *alerting, const GPtrArray *vms, const char *word,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* {"schema": 1, "alerts": [..], "recent": [..], "silences": [..], "hooks": {..}}, and the silences
 * alone. Transfer full. */
JsonNode *alerting_report(const Alerting *alerting);
JsonNode *alerting_silences_json(const Alerting *alerting);
/* The executables that are told, too: for their test and their count. */
struct AlertHooks *alerting_hooks(const Alerting *alerting);
/* The VM's forecast has changed: doomed is an alert, imminent a page. */
void alerting_follow_memory(Alerting *alerting, const Vm *vm);
/* What was to save a VM from its OOM kill (kind "limits"), or to make the kernel spare it
 * ("oom_score", "oom_group"), has failed, or is not tried any more: why, printable; NULL when that
 * is over. */
void alerting_follow_act(Alerting *alerting, const Vm *vm, const char *kind, const char *problem);
/* A group stands still, and lifting its memory.high has failed, or is not tried any more: why; NULL
 * when that is over. label: the band's. */
void alerting_follow_lift(Alerting *alerting, const char *label, const char *problem);
/* The same of the whole host. */
void alerting_follow_host(Alerting *alerting, const HostWatch *watch);
/* A group stands still, or does no more: a page at once. */
void alerting_follow_band(Alerting *alerting, const Band *band);
/* A VM, or a helper of it, was OOM-killed: a page when the VM died. */
void alerting_follow_oom(Alerting *alerting, const OomStory *story, bool is_open);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Alerting, alerting_free)
