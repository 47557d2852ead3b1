/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-trip.h"

void
trip_free(gpointer data)
{
    Trip *trip = data;

    if (trip->reply && trip->reply->link)
        trip->close(trip->reply->link, trip->data);
    libvirt_reply_free(trip->reply);
    libvirt_errand_free(trip->errand);
    if (trip->release)
        trip->release(trip->data);
    g_free(trip);
}

gpointer
trip_run(gpointer data)
{
    Trip *trip = data;

    trip->reply = trip->work(trip->errand, trip->data);
    return trip;
}

Trip *
trip_new(const LibvirtLibrary *library, LibvirtErrand *errand)
{
    Trip *trip = g_new0(Trip, 1);

    trip->errand = errand;
    trip->work = library->work;
    trip->close = library->close;
    trip->data = library->hold ? library->hold(library->data) : library->data;
    trip->release = library->release;
    return trip;
}

static gpointer
trip_run_nothing(gpointer data)
{
    return data;
}

static void
trip_done_for_nobody(gpointer result, bool is_late, gpointer user_data)
{
    if (result)
        trip_free(result);
}

void
trip_close_later(const LibvirtLibrary *library, GMainContext *context, LibvirtLink *link)
{
    g_autoptr(Workers) closer = workers_new(context, 1);
    Trip *trip = trip_new(library, g_new0(LibvirtErrand, 1));
    WorkerCall call = {.run = trip_run_nothing,
                       .data = trip,
                       .free_result = trip_free,
                       .done = trip_done_for_nobody,
                       .deadline_us = G_USEC_PER_SEC};

    trip->reply = g_new0(LibvirtReply, 1);
    trip->reply->link = link;
    (void)!workers_run(closer, "close", &call);
}
