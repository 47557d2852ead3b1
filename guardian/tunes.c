/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tunes.h"

#include "throttle.h"

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

/* NULL: that disk, or its limits, cannot be read. */
static Throttle *
limits_of(const DomainXml *xml, const char *target)
{
    static const char *const none[] = {NULL};
    const DomainDisk *disk = xml ? domain_xml_disk(xml, target) : NULL;
    g_autofree char *wrong = NULL;

    if (!disk)
        return NULL;
    return throttle_parse(THROTTLE_LIBVIRT, disk->iotune ? (const char *const *)disk->iotune : none,
                          &wrong);
}

void
tunes_note(Tunes *tunes, const DomainXml *xml, const char *target, const Write *write,
           gint64 now_us)
{
    Throttle *before = tunes->open->len < TUNES_MAX ? limits_of(xml, target) : NULL;
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
        now = limits_of(xml, tune->target);
        if (now) {
            tune->write.effect = throttle_equal(tune->before, now) ? WRITE_EQUAL : WRITE_CHANGED;
            writers_add(writers, &tune->write);
        }
        g_ptr_array_remove_index(tunes->open, i);
    }
}
