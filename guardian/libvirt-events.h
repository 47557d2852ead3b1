/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a libvirtd tells by itself, on its way from libvirt's thread into a context. A storm of it
 * costs EVENTS_MAX places: what comes while they are taken is dropped, because polling goes on. */

#include <glib.h>
#include <stdbool.h>

/* All VMs of a large host that start at once, a few events each. */
#define LIBVIRT_EVENTS_MAX 1024u

typedef enum {
    LIBVIRT_STARTED,
    LIBVIRT_STOPPED,
    LIBVIRT_CHANGED, /* paused, resumed, shut down, crashed */
    LIBVIRT_TUNED,   /* somebody set limits of a disk, to new values or to what they were */
} LibvirtEventKind;

typedef struct {
    LibvirtEventKind kind;
    char *uuid;
    char *target;  /* of LIBVIRT_TUNED: libvirt's name of the disk, raw; else NULL */
    char **limits; /* of LIBVIRT_TUNED: names as in <iotune> and values in turn, raw; else NULL */
} LibvirtEvent;

typedef struct LibvirtEvents LibvirtEvents;
/* In the context. event is borrowed. */
typedef void (*LibvirtEventFunc)(const LibvirtEvent *event, gpointer data);

LibvirtEvents *libvirt_events_new(GMainContext *context, LibvirtEventFunc func, gpointer data);
/* func is not called any more. Gives back the reference of libvirt_events_new(). */
void libvirt_events_end(LibvirtEvents *events);
LibvirtEvents *libvirt_events_ref(LibvirtEvents *events);
void libvirt_events_unref(LibvirtEvents *events);
/* In any thread. Takes event. */
void libvirt_events_add(LibvirtEvents *events, LibvirtEvent *event);
void libvirt_event_free(LibvirtEvent *event);
