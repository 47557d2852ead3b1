/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "incoming.h"

typedef struct {
    char *vm;
    gint64 at_us;
} Announcement;

struct Incoming {
    GPtrArray *list; /* of Announcement, the oldest first */
};

static void
announcement_free(gpointer data)
{
    Announcement *announcement = data;

    g_free(announcement->vm);
    g_free(announcement);
}

Incoming *
incoming_new(void)
{
    Incoming *incoming = g_new0(Incoming, 1);

    incoming->list = g_ptr_array_new_with_free_func(announcement_free);
    return incoming;
}

void
incoming_free(Incoming *incoming)
{
    if (!incoming)
        return;
    g_ptr_array_unref(incoming->list);
    g_free(incoming);
}

static void
drop_old(Incoming *incoming, gint64 now_us)
{
    for (guint i = incoming->list->len; i-- > 0;)
        if (now_us - ((const Announcement *)incoming->list->pdata[i])->at_us > INCOMING_VALID_US)
            g_ptr_array_remove_index(incoming->list, i);
}

void
incoming_announce(Incoming *incoming, const char *vm, gint64 at_us, gint64 now_us)
{
    Announcement *announcement;

    drop_old(incoming, now_us);
    if (at_us > now_us || now_us - at_us > INCOMING_VALID_US)
        return;
    if (incoming->list->len >= INCOMING_MAX)
        g_ptr_array_remove_index(incoming->list, 0);
    announcement = g_new0(Announcement, 1);
    announcement->vm = g_strdup(vm);
    announcement->at_us = at_us;
    g_ptr_array_add(incoming->list, announcement);
}

void
incoming_take(Incoming *incoming, Vm *vm, gint64 now_us)
{
    drop_old(incoming, now_us);
    for (guint i = incoming->list->len; i-- > 0;) {
        if (!vm_matches(vm, ((const Announcement *)incoming->list->pdata[i])->vm))
            continue;
        vm->is_incoming = true;
        g_ptr_array_remove_index(incoming->list, i);
    }
}

void
incoming_note(Vm *vm)
{
    const Sample *sample = &vm->sample;

    if (sample->monitor == MONITOR_ANSWERED && sample->run != RUN_INCOMING &&
        sample->run != RUN_PRELAUNCH && sample->run != RUN_UNKNOWN)
        vm->is_incoming = false;
}
