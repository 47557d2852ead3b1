/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The libvirt source: which libvirtds are there, which domains they have, and which VM is which
 * domain. A libvirtd is looked for when a VM of libvirt is found (its command line says so) or the
 * configuration names it; to connect to one that nobody needs would start it.
 *
 * A domain is a VM when the uuid agrees, the domain's id agrees with the command line where it is
 * there, both live in one pid namespace (in a local migration the same uuid exists twice), and the
 * libvirtd is root's or belongs to the VM's own user. */

#include "libvirt-domain.h"
#include "report-build.h"
#include "vm.h"

/* Borrows all; vms: of Vm, those that are watched. library NULL: libvirt's own, loaded when it is
 * first needed. */
Libvirt *libvirt_new(const Host *host, GMainContext *context, const GPtrArray *vms,
                     LibvirtLibrary *library);
/* After the VMs. */
void libvirt_free(Libvirt *libvirt);
/* Lines for the journal, when a libvirtd comes, goes or falls silent. */
void libvirt_set_news_func(Libvirt *libvirt, LibvirtNewsFunc news, gpointer data);
/* Before the first look: from then on what libvirtds tell by themselves is heard, too. started is
 * called when a domain has started that is no VM yet. */
typedef void (*LibvirtStartedFunc)(gpointer data);
void libvirt_set_started_func(Libvirt *libvirt, LibvirtStartedFunc started, gpointer data);
void libvirt_configure(Libvirt *libvirt, const Limits *limits);

/* A VM was found: asks its libvirtd which domain it is. */
void libvirt_look_for(Libvirt *libvirt, const Vm *vm, gint64 now_us);
/* Finds libvirtds, asks each for its domains and their figures. Once a discovery. */
void libvirt_look(Libvirt *libvirt, gint64 now_us);
/* Calls that are on their way within their deadline. */
guint libvirt_pending(const Libvirt *libvirt);
/* Members "problem", "daemons" and "calls" of an open object. */
void libvirt_report(const Libvirt *libvirt, JsonBuilder *builder, const ReportClocks *clocks);
