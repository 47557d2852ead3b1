/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tunes.h"

#include "domain-limits.h"

/* Between two looks at the XML; more in a second is a storm, whose effects stay unknown. */
#define TUNES_MAX 32u

typedef struct {
    char *target, *who, *what;
    Write write;
    gint64 noted_us;
    Throttle *before;
} Tune;

struct Tunes {
    GPtrArray *open; /* of Tune */
};

static void
tune_free(gpointer data)
{
    Tune *tune = data;

    throttle_free(tune->before);
    g_free(tune->target);
    g_free(tune->who);
    g_free(tune->what);
    g_free(tune);
}

Tunes *
tunes_new(void)
{
    Tunes *tunes = g_new0(Tunes, 1);

    tunes->open = g_ptr_array_new_with_free_func(tune_free);
    return tunes;
}

void
tunes_free(Tunes *tunes)
{
    if (!tunes)
        return;
    g_ptr_array_unref(tunes->open);
    g_free(tunes);
}

void
tunes_note(Tunes *tunes, const DomainXml *xml, const char *target, const Write *write,
           gint64 now_us)
{
    Throttle *before = tunes->open->len < TUNES_MAX ? domain_xml_limits(xml, target) : NULL;
    Tune *tune;

    if (!before)
        return;
    tune = g_new0(Tune, 1);
    tune->before = before;
    tune->target = g_strdup(target);
    tune->who = g_strdup(write->who);
    tune->what = g_strdup(write->what);
    tune->write = *write;
    tune->write.who = tune->who;
    tune->write.what = tune->what;
    tune->noted_us = now_us;
    g_ptr_array_add(tunes->open, tune);
}

void
tunes_settle(Tunes *tunes, const DomainXml *xml, gint64 asked_us, Writers *writers)
{
    for (guint i = tunes->open->len; i-- > 0;) {
        Tune *tune = tunes->open->pdata[i];
        g_autoptr(Throttle) now = NULL;

        if (asked_us <= tune->noted_us)
            continue;
        now = domain_xml_limits(xml, tune->target);
        if (now) {
            tune->write.effect = throttle_equal(tune->before, now) ? WRITE_EQUAL : WRITE_CHANGED;
            writers_add(writers, &tune->write);
        }
        g_ptr_array_remove_index(tunes->open, i);
    }
}
