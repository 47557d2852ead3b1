/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A VM as its libvirtd knows it: asked for its state and counters once a sample, for its XML once a
 * minute. One call in flight; while one is past its deadline no other is made. What was read last
 * is kept, with its age. */

#include "libvirt-daemon.h"
#include "tunes.h"

typedef struct LibvirtDomain LibvirtDomain;

/* Exactly once a look or a pass. reply is borrowed; NULL: there was none, and problem says why, or
 * is_late. waited_us counts from the call that is in flight. */
typedef void (*LibvirtSeenFunc)(const LibvirtReply *reply, bool is_late, gint64 waited_us,
                                const char *problem, gpointer data);

/* Borrows daemon. */
LibvirtDomain *libvirt_domain_new(LibvirtDaemon *daemon, const char *uuid);
/* Cancels first. */
void libvirt_domain_free(LibvirtDomain *domain);

/* Not while a look or a pass is open. May answer from within. now_us is the tick's. */
void libvirt_domain_look(LibvirtDomain *domain, gint64 now_us, gint64 deadline_us,
                         LibvirtSeenFunc seen, gpointer data);
/* The next look reads the XML, too. */
void libvirt_domain_want_xml(LibvirtDomain *domain);
/* Takes commands, QMP for its QEMU, which taint it; the rest as libvirt_domain_look(). */
void libvirt_domain_pass(LibvirtDomain *domain, char **commands, gint64 deadline_us,
                         LibvirtSeenFunc seen, gpointer data);
/* One disk's limits, beside a look that may be open; see ERRAND_TUNE. tune: names of iotune.h and
 * numbers in turn, taken; NULL: only looks. */
typedef struct {
    const char *target;
    char **tune;
    bool tunes_live, tunes_configured;
} LibvirtTuning;
/* false, and seen is not called: another one is open, or libvirt does not answer for this domain.
 * seen as above. */
bool libvirt_domain_tune(LibvirtDomain *domain, const LibvirtTuning *tuning, gint64 deadline_us,
                         LibvirtSeenFunc seen, gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* An open one is late from now on; told from within. */
void libvirt_domain_forget_tuning(LibvirtDomain *domain);
/* Answers what is open from within, without a reply. */
void libvirt_domain_cancel(LibvirtDomain *domain);

LibvirtDaemon *libvirt_domain_daemon(const LibvirtDomain *domain);
/* The live XML read last, borrowed until the next look; NULL: none yet. *ret_us: its tick; may be
 * NULL. */
const DomainXml *libvirt_domain_xml(const LibvirtDomain *domain, gint64 *ret_us);
/* The configuration of its next start, read with it; NULL: it has none (a transient domain). */
const DomainXml *libvirt_domain_persistent(const LibvirtDomain *domain);
/* Limits that somebody else set through its libvirtd; borrowed. */
Tunes *libvirt_domain_tunes(const LibvirtDomain *domain);
/* Takes the newest figures of GetAllDomainStats. */
void libvirt_domain_set_figures(LibvirtDomain *domain, const LibvirtFigures *figures,
                                gint64 now_us);
/* NULL: none yet. */
const LibvirtFigures *libvirt_domain_figures(const LibvirtDomain *domain, gint64 *ret_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtDomain, libvirt_domain_free)
