/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-events.h"

#include "ready-source.h"

struct LibvirtEvents {
    gint references;
    GMutex lock;
    GQueue waiting; /* of LibvirtEvent; under the lock */
    GSource *wake;  /* the context's; after the end waking it means nothing */
    LibvirtEventFunc func;
    gpointer data;
};

void
libvirt_event_free(LibvirtEvent *event)
{
    g_free(event->uuid);
    g_free(event->target);
    g_strfreev(event->limits);
    g_free(event);
}

static gboolean
deliver(gpointer data)
{
    LibvirtEvents *events = data;
    GQueue batch;

    g_source_set_ready_time(events->wake, -1);
    g_mutex_lock(&events->lock);
    batch = events->waiting;
    g_queue_init(&events->waiting);
    g_mutex_unlock(&events->lock);
    for (GList *at = batch.head; at; at = at->next)
        events->func(at->data, events->data);
    g_queue_clear_full(&batch, (GDestroyNotify)libvirt_event_free);
    return G_SOURCE_CONTINUE;
}

LibvirtEvents *
libvirt_events_new(GMainContext *context, LibvirtEventFunc func, gpointer data)
{
    LibvirtEvents *events = g_new0(LibvirtEvents, 1);

    events->references = 1;
    events->func = func;
    events->data = data;
    g_mutex_init(&events->lock);
    g_queue_init(&events->waiting);
    events->wake = ready_source_new(deliver, events);
    g_source_attach(events->wake, context);
    return events;
}

void
libvirt_events_end(LibvirtEvents *events)
{
    g_source_destroy(events->wake);
    libvirt_events_unref(events);
}

LibvirtEvents *
libvirt_events_ref(LibvirtEvents *events)
{
    g_atomic_int_inc(&events->references);
    return events;
}

void
libvirt_events_unref(LibvirtEvents *events)
{
    if (!g_atomic_int_dec_and_test(&events->references))
        return;
    g_queue_clear_full(&events->waiting, (GDestroyNotify)libvirt_event_free);
    g_source_unref(events->wake);
    g_mutex_clear(&events->lock);
    g_free(events);
}

void
libvirt_events_add(LibvirtEvents *events, LibvirtEvent *event)
{
    g_mutex_lock(&events->lock);
    if (events->waiting.length < LIBVIRT_EVENTS_MAX)
        g_queue_push_tail(&events->waiting, g_steal_pointer(&event));
    g_mutex_unlock(&events->lock);
    if (event)
        libvirt_event_free(event);
    g_source_set_ready_time(events->wake, 0);
}
