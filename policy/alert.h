/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who is told what, and when: an alert is raised once, paged once, reminded with growing gaps and
 * closed once. What happens to several VMs of one storage at once is one piece of news that names
 * the storage and lists the VMs. Pure: the caller gives the time and speaks the news. */

#include "model.h"

typedef struct {
    char *key;                 /* of VM and disk, the same after a restart of the guardian */
    char *vm, *disk, *storage; /* printable; disk NULL: the whole VM; storage NULL: unknown */
    char *text; /* what is wrong in a phrase, printable; NULL: layer and cause say it */
    Layer layer;
    const char *cause;
    gint64 since_us;  /* begin of what is alerted */
    gint64 raised_us; /* when this alert began, for us */
    gint64 ended_us;  /* when it was over; 0 = it is not */
    gint64 next_us;   /* next reminder */
    guint reminders;
    guint flaps;                 /* came back soon after it was over */
    bool is_told, is_close_told; /* that it began, that it is over */
    bool is_paged, is_page_told;
    bool is_quiet;    /* the caller's: nobody is told that it began or goes on (silence.h) */
    bool is_acked;    /* somebody knows: neither paged nor reminded, its end is told */
    bool is_restored; /* from before a restart, and not seen again yet */
} Alert;

typedef enum { ALERT_RAISED, ALERT_PAGED, ALERT_REMINDED, ALERT_CLOSED } AlertKind;

typedef struct {
    AlertKind kind;
    const char *storage; /* not NULL: of several VMs on that storage */
    GPtrArray *alerts;   /* of Alert, borrowed until the next call; owned array */
} AlertNews;

typedef struct Alerts Alerts;

Alerts *alerts_new(void);
void alerts_free(Alerts *alerts);
/* The verdict of one disk (or VM) at its newest sample; identity says whose. Strings are copied. */
void alerts_update(Alerts *alerts, const Alert *identity, const Verdict *verdict, gint64 now_us);
/* What is due to be told now: of AlertNews, owned by the caller; empty most of the time. */
GPtrArray *alerts_take_news(Alerts *alerts, gint64 now_us);
/* When news may be due next; G_MAXINT64: not without an update. */
gint64 alerts_next_us(const Alerts *alerts);
/* Every alert that is open, of Alert; owned array, borrowed entries. For the state and for saving.
 */
GPtrArray *alerts_open(const Alerts *alerts);
/* Somebody knows of the open alerts that were told of the VM called so; how many he had not known
 * of. */
guint alerts_acknowledge(Alerts *alerts, const char *vm);
/* After a restart: it was told before, and is neither told again nor lost. Copied. */
void alerts_restore(Alerts *alerts, const Alert *alert, gint64 now_us);
const char *alert_kind_name(AlertKind kind);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Alerts, alerts_free)
