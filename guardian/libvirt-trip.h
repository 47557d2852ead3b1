/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One errand on its way through a thread and back. It carries all that it takes to close its link,
 * because when it comes back nobody may be left to take that. Only libvirt-daemon.c uses it. */

#include "libvirt-work.h"
#include "worker.h"

typedef struct {
    LibvirtErrand *errand;
    LibvirtReply *reply; /* NULL before it was run */
    LibvirtWorkFunc work;
    void (*close)(LibvirtLink *link, gpointer data);
    void (*release)(gpointer data);
    gpointer data;
} Trip;

/* Takes errand, copies what it needs of library. */
Trip *trip_new(const LibvirtLibrary *library, LibvirtErrand *errand);
/* Closes the link of a reply that still has one. */
void trip_free(gpointer trip);
/* A WorkerFunc: the trip itself is the result. */
gpointer trip_run(gpointer trip);
/* To close is a call too, and may hang: in a thread that nobody waits for. Takes link. */
void trip_close_later(const LibvirtLibrary *library, GMainContext *context, LibvirtLink *link);
