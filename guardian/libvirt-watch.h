/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hears what a libvirtd tells by itself, on a connection that is there for other questions. libvirt
 * wants an event loop of its own for it: one thread for all connections, from the first time that
 * somebody wants to hear until the process ends. It runs in GLib's default context, which nothing
 * else here may use. Neither asks QEMU anything. */

#include "libvirt-events.h"

/* Name, and what it is good for, as in libvirt-calls.h. */
#define LIBVIRT_WATCH_CALLS(ROW)                                                                   \
    ROW(virEventRegisterDefaultImpl, "before the first connection is opened")                      \
    ROW(virEventRunDefaultImpl, "in its thread; waits")                                            \
    ROW(virConnectDomainEventRegisterAny, "libvirtd's own memory")                                 \
    ROW(virConnectDomainEventDeregisterAny, "the same")                                            \
    ROW(virDomainGetUUIDString, "the handle's own memory")

/* Used by several threads at once. */
typedef struct LibvirtWatch LibvirtWatch;
/* What is heard on one connection. */
typedef struct LibvirtHearing LibvirtHearing;

LibvirtWatch *libvirt_watch_new(void);
/* The thread stays. */
void libvirt_watch_free(LibvirtWatch *watch);
/* Before a connection is opened that is to hear anything. false: nothing can be heard here. */
bool libvirt_watch_start(LibvirtWatch *watch);
/* connection: a virConnectPtr. NULL: this libvirtd tells nothing. */
LibvirtHearing *libvirt_watch_hear(LibvirtWatch *watch, gpointer connection, LibvirtEvents *events);
/* Before its connection is closed, which it would keep open; hearing may be NULL. */
void libvirt_watch_end(LibvirtWatch *watch, gpointer connection, LibvirtHearing *hearing);
/* Adds names and counts of the calls made, as libvirt_library_calls(). */
void libvirt_watch_add_calls(const LibvirtWatch *watch, GPtrArray *calls);
