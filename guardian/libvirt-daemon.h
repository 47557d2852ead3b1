/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One libvirtd (or virtqemud) and our connections to it. Each connection is a lane with one call in
 * flight, in a worker thread. A call that takes longer than a moment lets a spare lane overtake it,
 * one past its deadline is set aside with its lane until it comes back, and there are never more
 * than LIBVIRT_LANES_MAX lanes: libvirtd has 20 workers for all its clients. When it is down or
 * silent, it is tried again after a pause that doubles. */

#include "libvirt-work.h"

/* A fifth of libvirtd's 20 workers, should all of them hang. */
#define LIBVIRT_LANES_MAX 4u
/* A healthy libvirtd answers in a millisecond or two; others must not wait longer than this behind
 * a call that hangs. */
#define LIBVIRT_OVERTAKE_US (100 * 1000)

typedef struct LibvirtDaemon LibvirtDaemon;

typedef enum {
    DAEMON_UNTRIED,
    DAEMON_CONNECTED,
    DAEMON_DOWN,   /* no connection, or it broke */
    DAEMON_SILENT, /* asked for its domains, which needs no QEMU, it does not answer */
} LibvirtDaemonState;

/* Exactly once an ask, unless it is forgotten. reply is borrowed, but its parts may be stolen; NULL
 * with is_late: past its deadline, the call may still be in flight; NULL without: it was never
 * made, problem says why. */
typedef void (*LibvirtAnswerFunc)(LibvirtReply *reply, bool is_late, const char *problem,
                                  gpointer data);
/* The call that was late has come back; what it brought is dropped, but for its problem (NULL). */
typedef void (*LibvirtBackFunc)(const char *problem, gpointer data);
/* Connected, down or silent: a line for the journal. */
typedef void (*LibvirtNewsFunc)(const char *line, gpointer data);

typedef struct {
    GMainContext *context;
    const LibvirtLibrary *library; /* outlives it */
    LibvirtEvents *events;         /* NULL: nobody wants to hear; outlives it */
    LibvirtNewsFunc news;          /* may be NULL */
    gpointer news_data;
} LibvirtDaemonContext;

/* label: printable, what people see. */
LibvirtDaemon *libvirt_daemon_new(const LibvirtDaemonContext *context, const char *label,
                                  const char *uri);
/* Where it may be written to, for ERRAND_PASS and ERRAND_TUNE; NULL: nowhere, as without. */
void libvirt_daemon_set_write_uri(LibvirtDaemon *daemon, const char *uri);
bool libvirt_daemon_may_write(const LibvirtDaemon *daemon);
/* Calls in flight close their connections when they come back. */
void libvirt_daemon_free(LibvirtDaemon *daemon);

/* Takes errand, which has no uris and no link. May answer from within. */
void libvirt_daemon_ask(LibvirtDaemon *daemon, LibvirtErrand *errand, gint64 deadline_us,
                        LibvirtAnswerFunc answer, LibvirtBackFunc back, gpointer data);
/* Nothing is told to data any more. */
void libvirt_daemon_forget(LibvirtDaemon *daemon, gpointer data);

const char *libvirt_daemon_label(const LibvirtDaemon *daemon);
LibvirtDaemonState libvirt_daemon_state(const LibvirtDaemon *daemon);
const char *libvirt_daemon_state_name(LibvirtDaemonState state);
/* When the state became what it is, and when it last answered anything (0 never);
 * g_get_monotonic_time() scale. */
gint64 libvirt_daemon_since_us(const LibvirtDaemon *daemon);
gint64 libvirt_daemon_answered_us(const LibvirtDaemon *daemon);
/* Printable; NULL when connected. */
const char *libvirt_daemon_problem(const LibvirtDaemon *daemon);
/* Does it tell by itself what happens? */
bool libvirt_daemon_tells_events(const LibvirtDaemon *daemon);
guint libvirt_daemon_lanes(const LibvirtDaemon *daemon);
guint libvirt_daemon_set_aside(const LibvirtDaemon *daemon);
/* Asks in flight within their deadline, or waiting for a lane. */
guint libvirt_daemon_open(const LibvirtDaemon *daemon);
