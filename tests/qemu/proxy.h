/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A recording monitor between clients and a real QEMU: it passes bytes both ways and writes down
 * every command with its time and class, and how long each client held the monitor. It serves one
 * client at a time as QEMU does; the next waits in the kernel's backlog. Every test with a real
 * QEMU looks through it and fails on a command outside its class.
 *
 * A client that asks for its peer (SO_PEERCRED) sees the process that called listen(): the proxy's,
 * or, through qmp-proxy, QEMU's own. */

#include "query.h"

#include <glib.h>
#include <sys/types.h>

typedef struct {
    guint n_connects;
    guint n_waited; /* of these, had to wait for the one before */
    guint n_dead;   /* of these, left without a word: entries in the backlog for nothing */
    guint n_commands;
    guint n_by_class[QMP_CLASS_ENFORCE + 1];
    guint n_foreign; /* commands that are not in the table, and garbage */
    gint64 held_median_us, held_p99_us, held_max_us; /* of the connections that ended; 0 if none */
} ProxySummary;

typedef struct Proxy Proxy;

/* A listening socket beside path (path with ".proxy"), for proxy_new(); whoever calls this is the
 * peer that clients see. -1 with error set. */
int proxy_listen_beside(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* listen_fd: of proxy_listen_beside(), moved to listen_path and taken; -1: listens by itself.
 * Listens at listen_path and connects each client to target_path (NULL: listen_path with ".real").
 * Where nothing is at target_path yet, listen_path is QEMU's own socket: it is moved there, and
 * back by proxy_free(). record_path (NULL: none) gets the record as it grows. Runs a thread of its
 * own. NULL with error set. */
Proxy *proxy_new(int listen_fd, const char *listen_path, const char *target_path,
                 const char *record_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Ends the connection in progress. */
void proxy_free(Proxy *proxy);

/* Whom a client sees as its peer. */
pid_t proxy_pid(void);
void proxy_get_summary(Proxy *proxy, ProxySummary *ret_summary);
/* The record so far, JSON lines, a new string:
 *   {"t_us":1,"dir":"connect"}
 *   {"t_us":2,"dir":"request","command":"query-status","class":"tick"}
 *   {"t_us":3,"dir":"close","held_us":2}
 * t_us is CLOCK_MONOTONIC; class is "foreign" for what is not in the table. */
char *proxy_dup_record(Proxy *proxy);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proxy, proxy_free)
