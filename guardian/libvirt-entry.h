/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What libvirt.c and libvirt-entry.c share: the libvirtds that are asked. */

#include "libvirt-socket.h"
#include "libvirt.h"

/* A libvirtd that is asked. */
typedef struct {
    Libvirt *libvirt;
    char *word;            /* of the configuration; NULL: found by a VM */
    LibvirtSocket *socket; /* owned by libvirt->sockets; NULL: a URI */
    LibvirtEvents *events; /* NULL: nobody wants to hear */
    LibvirtDaemon *daemon;
    GPtrArray *listed; /* of LibvirtListed, the newest; NULL none yet */
    gint64 listed_us;  /* tick's */
    bool is_listing, has_figures_in_flight;
    bool is_list_wanted; /* a VM was found while a list was on its way: it may not be in it */
} LibvirtEntry;

struct Libvirt {
    const Host *host;
    GMainContext *context;
    const GPtrArray *vms;
    LibvirtLibrary *library; /* NULL: not needed yet */
    LibvirtNewsFunc news;
    gpointer news_data;
    LibvirtStartedFunc started; /* NULL: nobody wants to hear */
    gpointer started_data;
    char **words; /* of the configuration, without "auto" */
    bool is_auto;
    GPtrArray *sockets; /* of LibvirtSocket */
    GPtrArray *entries; /* of LibvirtEntry */
    char *problem;      /* with a word of the configuration; NULL */
    gint64 looked_us;
};

void libvirt_entry_free(gpointer entry);
/* A LibvirtEventFunc: data is the entry of who told it. */
void libvirt_entry_hear(const LibvirtEvent *event, gpointer data);
/* Finds those that are needed and not there yet: by the configuration, by all VMs. */
void libvirt_find_entries(Libvirt *libvirt);
/* The same by one VM. */
void libvirt_find_entries_of(Libvirt *libvirt, const Vm *vm);
/* Drops those that nobody needs any more. */
void libvirt_drop_entries(Libvirt *libvirt);
/* Is any VM one of its domains? */
bool libvirt_entry_is_used(const Libvirt *libvirt, const LibvirtEntry *entry);
/* Is it a VM of libvirt without a libvirtd that answers? */
bool libvirt_is_needed_by(const Vm *vm);
