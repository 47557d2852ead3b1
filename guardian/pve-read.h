/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Proxmox' configuration of one VM and the newest lines of the cluster's log, read in a child:
 * /etc/pve is a file system of a process, and a read there can hang for ever. Nothing is ever
 * written there. */

#include "child.h"
#include "host.h"

/* A live section has a few KiB; snapshots come behind it and are not needed. */
#define PVE_CONF_BYTES_MAX (40 * 1024)
/* The log's file holds the newest 50 lines, the newest first. */
#define PVE_LOG_BYTES_MAX (20 * 1024)

typedef struct {
    int error_number; /* of the open or the read; 0 none */
    const char *text; /* borrowed; NULL with an error */
    gsize length;
    bool is_cut;       /* there was more of it */
    gint64 written_us; /* its modification time, wall clock */
    const char *log;   /* borrowed; its lines as JSON objects; NULL: there is none */
    gsize log_length;
} PveRead;

/* Exactly once; read NULL: the child was late or was killed. */
typedef void (*PveReadFunc)(const PveRead *read, gpointer data);

/* Starts a read of the configuration of VM id (digits). false: it could not be started, and func is
 * not called. deadline_us from now. */
bool pve_read(const Host *host, Children *children, const char *id, gint64 deadline_us,
              PveReadFunc func, gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* Below HOST_ETC; a new string. */
char *pve_conf_path(const char *id);
