/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A few small files of the host's, read in a child: a dead disk, or a file system of a process
 * (/etc/pve), holds a read for ever. Nothing is written, nothing but a regular file is read. */

#include "child.h"
#include "host.h"

#define FILES_READ_MAX 24

typedef struct {
    HostRoot root; /* not HOST_CONFIG */
    char *path;    /* below it */
    gsize bytes_max;
    bool follows_links; /* where only root makes them */
} FileWanted;

typedef struct {
    int error_number;  /* of the open or the read; EFBIG: no room in the answer; 0 none */
    const char *text;  /* borrowed, not terminated; NULL with an error */
    gsize length;      /* bytes_max: there may be more of it */
    gint64 written_us; /* its modification time, wall clock; 0 with an error */
} FileRead;

/* Exactly once, as many as were wanted, in their order; NULL: the child was late or was killed. */
typedef void (*FilesReadFunc)(const FileRead *reads, gpointer data);

/* At most FILES_READ_MAX; wanted is copied. false: it could not be started, and func is not called.
 * deadline_us from now. */
bool files_read(const Host *host, Children *children, const FileWanted *wanted, guint n_wanted,
                gint64 deadline_us, FilesReadFunc func, gpointer data) G_GNUC_WARN_UNUSED_RESULT;
