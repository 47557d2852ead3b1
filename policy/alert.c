/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert.h"

#include <string.h>

/* News waits this long for its like: the VMs of one dead storage are named within two periods of
 * each other. */
#define GATHER_US (4 * (gint64)G_USEC_PER_SEC)
/* What comes back within ten minutes flaps, and its end must then hold for as long as nobody is
 * told. */
#define FLAP_US (600 * (gint64)G_USEC_PER_SEC)
#define FLAP_HOLD_US (300 * (gint64)G_USEC_PER_SEC)
/* After a restart a freeze is named again within a minute, or it is over. */
#define RESTORED_US (60 * (gint64)G_USEC_PER_SEC)

#define MINUTE_US (60 * (gint64)G_USEC_PER_SEC)
/* Nobody forgets a frozen VM after ten minutes; after a day somebody decided to live with it. */
static const gint64 reminder_gaps_us[] = {10 * MINUTE_US, 60 * MINUTE_US, 360 * MINUTE_US,
                                          1440 * MINUTE_US};

struct Alerts {
    GPtrArray *list; /* of Alert, owned */
};

static void
alert_free(gpointer data)
{
    Alert *alert = data;

    g_free(alert->key);
    g_free(alert->vm);
    g_free(alert->disk);
    g_free(alert->storage);
    g_free(alert->text);
    g_free(alert);
}

static Alert *
alert_copy(const Alert *alert)
{
    Alert *copy = g_new(Alert, 1);

    *copy = *alert;
    copy->key = g_strdup(alert->key);
    copy->vm = g_strdup(alert->vm);
    copy->disk = g_strdup(alert->disk);
    copy->storage = g_strdup(alert->storage);
    copy->text = g_strdup(alert->text);
    return copy;
}

Alerts *
alerts_new(void)
{
    Alerts *alerts = g_new0(Alerts, 1);

    alerts->list = g_ptr_array_new_with_free_func(alert_free);
    return alerts;
}

void
alerts_free(Alerts *alerts)
{
    if (!alerts)
        return;
    g_ptr_array_unref(alerts->list);
    g_free(alerts);
}

static Alert *
find_alert(const Alerts *alerts, const char *key)
{
    for (guint i = 0; i < alerts->list->len; i++) {
        Alert *alert = alerts->list->pdata[i];

        if (strcmp(alert->key, key) == 0)
            return alert;
    }
    return NULL;
}

static void
plan_reminder(Alert *alert, gint64 now_us)
{
    guint i = MIN(alert->reminders, G_N_ELEMENTS(reminder_gaps_us) - 1);

    alert->next_us = now_us + reminder_gaps_us[i];
}

static void
alert_begin(Alerts *alerts, const Alert *identity, const Verdict *verdict, gint64 now_us)
{
    Alert *alert = alert_copy(identity);

    alert->raised_us = now_us;
    alert->layer = verdict->layer;
    alert->cause = verdict->cause;
    alert->is_paged = verdict->is_paged;
    alert->since_us = verdict->since_us;
    plan_reminder(alert, now_us);
    g_ptr_array_add(alerts->list, alert);
}

static void
alert_go_on(Alert *alert, const Verdict *verdict, gint64 now_us)
{
    if (alert->ended_us > 0)
        alert->flaps++;
    if (alert->is_close_told) { /* it came back after everybody was told that it is over: that is
                                   news */
        alert->is_told = alert->is_close_told = alert->is_page_told = alert->is_paged = false;
        alert->is_acked = false;
        alert->reminders = 0;
        alert->raised_us = now_us;
        alert->since_us = verdict->since_us;
    }
    alert->ended_us = 0;
    alert->is_restored = false;
    alert->is_paged = alert->is_paged || verdict->is_paged;
    if (verdict->state != STATE_UNKNOWN) {
        alert->layer = verdict->layer;
        alert->cause = verdict->cause;
    }
}

void
alerts_update(Alerts *alerts, const Alert *identity, const Verdict *verdict, gint64 now_us)
{
    Alert *alert = find_alert(alerts, identity->key);

    if (verdict->has_alert) {
        if (!alert) {
            alert_begin(alerts, identity, verdict, now_us);
            return;
        }
        alert_go_on(alert, verdict, now_us);
        if (identity->text) { /* the newest numbers */
            g_free(alert->text);
            alert->text = g_strdup(identity->text);
        }
        return;
    }
    if (!alert || alert->ended_us > 0)
        return;
    if (alert->is_restored && now_us - alert->raised_us < RESTORED_US &&
        verdict->layer != LAYER_PROCESS_GONE)
        return;
    alert->ended_us = now_us;
}

static bool
is_due(const Alert *alert, AlertKind kind, gint64 now_us)
{
    gint64 hold = alert->flaps > 0 ? FLAP_HOLD_US : 0;

    if (kind != ALERT_CLOSED && alert->is_quiet)
        return false;
    if ((kind == ALERT_PAGED || kind == ALERT_REMINDED) && alert->is_acked)
        return false;
    switch (kind) {
    case ALERT_RAISED:
        return !alert->is_told && now_us - alert->raised_us >= GATHER_US;
    case ALERT_PAGED:
        return alert->is_told && alert->is_paged && !alert->is_page_told && alert->ended_us == 0;
    case ALERT_REMINDED:
        return alert->is_told && alert->ended_us == 0 && now_us >= alert->next_us;
    case ALERT_CLOSED:
        return alert->is_told && !alert->is_close_told && alert->ended_us > 0 &&
               now_us - alert->ended_us >= MAX(GATHER_US / 2, hold);
    }
    return false;
}

static void
mark_told(Alert *alert, AlertKind kind, gint64 now_us)
{
    alert->is_told = true;
    alert->is_page_told = alert->is_page_told || kind == ALERT_PAGED;
    alert->is_close_told = kind == ALERT_CLOSED;
    if (kind == ALERT_REMINDED)
        alert->reminders++;
    if (kind == ALERT_RAISED || kind == ALERT_REMINDED)
        plan_reminder(alert, now_us);
}

static void
news_free(gpointer data)
{
    AlertNews *news = data;

    g_ptr_array_unref(news->alerts);
    g_free(news);
}

static AlertNews *
news_add(GPtrArray *all, AlertKind kind)
{
    AlertNews *news = g_new0(AlertNews, 1);

    news->kind = kind;
    news->alerts = g_ptr_array_new();
    g_ptr_array_add(all, news);
    return news;
}

static bool
is_of_another_vm(const AlertNews *news, const Alert *alert)
{
    for (guint i = 0; i < news->alerts->len; i++)
        if (g_strcmp0(((const Alert *)news->alerts->pdata[i])->vm, alert->vm) != 0)
            return true;
    return false;
}

/* All that is due and lies on the storage of the first one, when they are of several VMs; else the
 * first one alone. */
static void
gather(GPtrArray *due, AlertKind kind, GPtrArray *ret_news)
{
    const Alert *first = due->pdata[0];
    AlertNews *news = news_add(ret_news, kind);

    g_ptr_array_add(news->alerts, due->pdata[0]);
    g_ptr_array_remove_index(due, 0);
    for (guint i = 0; first->storage && i < due->len;) {
        const Alert *alert = due->pdata[i];

        if (g_strcmp0(alert->storage, first->storage) != 0 ||
            (!news->storage && !is_of_another_vm(news, alert))) {
            i++;
            continue;
        }
        news->storage = first->storage;
        g_ptr_array_add(news->alerts, due->pdata[i]);
        g_ptr_array_remove_index(due, i);
        i = 0; /* what the first VM has there besides now belongs to it, too */
    }
}

/* What waits for its like has found it: the rest of a storage need not wait until its own time is
 * over. */
static void
add_companions(const Alerts *alerts, GPtrArray *due)
{
    guint n = due->len;

    for (guint i = 0; i < alerts->list->len; i++) {
        Alert *alert = alerts->list->pdata[i];

        if (alert->is_told || alert->ended_us > 0 || !alert->storage || alert->is_quiet)
            continue;
        for (guint j = 0; j < n; j++) {
            const Alert *other = due->pdata[j];

            if (other != alert && g_strcmp0(other->storage, alert->storage) == 0 &&
                !g_ptr_array_find(due, alert, NULL))
                g_ptr_array_add(due, alert);
        }
    }
}

static void
take_kind(Alerts *alerts, AlertKind kind, gint64 now_us, GPtrArray *ret_news)
{
    g_autoptr(GPtrArray) due = g_ptr_array_new();

    for (guint i = 0; i < alerts->list->len; i++)
        if (is_due(alerts->list->pdata[i], kind, now_us))
            g_ptr_array_add(due, alerts->list->pdata[i]);
    if (kind == ALERT_RAISED)
        add_companions(alerts, due);
    for (guint i = 0; i < due->len; i++)
        mark_told(due->pdata[i], kind, now_us);
    while (due->len > 0)
        gather(due, kind, ret_news);
}

/* What is over: nobody heard of it, or it was told and can no longer flap. */
static void
drop_old(Alerts *alerts, gint64 now_us)
{
    for (guint i = alerts->list->len; i-- > 0;) {
        const Alert *alert = alerts->list->pdata[i];

        if (alert->ended_us > 0 && (!alert->is_told || now_us - alert->ended_us >= FLAP_US))
            g_ptr_array_remove_index(alerts->list, i);
    }
}

GPtrArray *
alerts_take_news(Alerts *alerts, gint64 now_us)
{
    GPtrArray *news = g_ptr_array_new_with_free_func(news_free);

    drop_old(alerts, now_us);
    take_kind(alerts, ALERT_RAISED, now_us, news);
    take_kind(alerts, ALERT_PAGED, now_us, news);
    take_kind(alerts, ALERT_REMINDED, now_us, news);
    take_kind(alerts, ALERT_CLOSED, now_us, news);
    return news;
}

gint64
alerts_next_us(const Alerts *alerts)
{
    gint64 next = G_MAXINT64;

    for (guint i = 0; i < alerts->list->len; i++) {
        const Alert *alert = alerts->list->pdata[i];
        gint64 hold = alert->flaps > 0 ? FLAP_HOLD_US : 0;

        if (alert->ended_us == 0 && (alert->is_quiet || (alert->is_told && alert->is_acked)))
            continue;
        if (!alert->is_told && alert->ended_us == 0)
            next = MIN(next, alert->raised_us + GATHER_US);
        else if (alert->is_told && alert->ended_us > 0 && !alert->is_close_told)
            next = MIN(next, alert->ended_us + MAX(GATHER_US / 2, hold));
        else if (alert->ended_us == 0)
            next = MIN(next, alert->next_us);
    }
    return next;
}

GPtrArray *
alerts_open(const Alerts *alerts)
{
    GPtrArray *open = g_ptr_array_new();

    for (guint i = 0; i < alerts->list->len; i++)
        if (((const Alert *)alerts->list->pdata[i])->ended_us == 0)
            g_ptr_array_add(open, alerts->list->pdata[i]);
    return open;
}

guint
alerts_acknowledge(Alerts *alerts, const char *vm)
{
    guint n = 0;

    for (guint i = 0; i < alerts->list->len; i++) {
        Alert *alert = alerts->list->pdata[i];

        if (alert->ended_us > 0 || !alert->is_told || alert->is_acked || strcmp(alert->vm, vm) != 0)
            continue;
        alert->is_acked = true;
        n++;
    }
    return n;
}

void
alerts_restore(Alerts *alerts, const Alert *alert, gint64 now_us)
{
    Alert *restored = alert_copy(alert);

    restored->is_told = true;
    restored->is_close_told = false;
    restored->is_page_told = alert->is_paged;
    restored->is_restored = true;
    restored->raised_us = now_us;
    restored->ended_us = 0;
    plan_reminder(restored, now_us);
    g_ptr_array_add(alerts->list, restored);
}

const char *
alert_kind_name(AlertKind kind)
{
    static const char *const names[] = {
        [ALERT_RAISED] = "raised",
        [ALERT_PAGED] = "paged",
        [ALERT_REMINDED] = "reminded",
        [ALERT_CLOSED] = "closed",
    };

    return names[kind];
}
