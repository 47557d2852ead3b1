/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Commands to a domain's QEMU through its libvirtd (virDomainQemuMonitorCommand), in a worker
 * thread. libvirt marks a domain that was asked so as tainted, for its lifetime, and it takes a
 * connection that may write: only where the policy allows it, and only by who has checked that.
 * Its library is loaded when it is first needed. */

#include "libvirt-work.h"

/* Name, and why it is there, as in libvirt-calls.h; all only on a suspect. */
#define LIBVIRT_PASSTHROUGH_CALLS(ROW)                                                             \
    ROW(virConnectOpen, "a read-only connection may not pass commands on")                         \
    ROW(virConnectClose, "leaves")                                                                 \
    ROW(virConnectIsAlive, "looks at the socket, asks nobody")                                     \
    ROW(virDomainLookupByUUIDString, "libvirtd's own memory")                                      \
    ROW(virDomainQemuMonitorCommand, "the command; waits for a held job")                          \
    ROW(virDomainFree, "memory")                                                                   \
    ROW(virGetLastErrorMessage, "why the last call of this thread failed")

/* Used by several threads at once. */
typedef struct Passthrough Passthrough;
/* A connection that may write; used by one thread at a time. */
typedef struct PassthroughLink PassthroughLink;

Passthrough *passthrough_new(void);
void passthrough_free(Passthrough *passthrough);

/* Sends errand->commands one after the other and fills reply->answers, as many as there were
 * commands. false: *ret_problem, a new printable string, says why not. *link NULL: opens one;
 * a broken one is closed and left NULL. */
bool passthrough_ask(Passthrough *passthrough, PassthroughLink **link, const LibvirtErrand *errand,
                     LibvirtReply *reply, char **ret_problem) G_GNUC_WARN_UNUSED_RESULT;
/* link may be NULL. */
void passthrough_close(Passthrough *passthrough, PassthroughLink *link);
/* Adds names and counts of the calls made, as libvirt_library_calls(). */
void passthrough_add_calls(const Passthrough *passthrough, GPtrArray *calls);
