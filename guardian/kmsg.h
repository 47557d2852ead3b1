/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Follows the kernel's log, from the oldest message that is still in it. Reading never blocks, and
 * a flood of messages waits for everything else the loop has to do: what the kernel overwrites
 * meanwhile is lost, and that is told. Format: Documentation/ABI/testing/dev-kmsg of Linux. */

#include "host.h"

typedef struct Kmsg Kmsg;

typedef struct {
    /* One line as dmesg(1) prints it, "[ 8758.123456] text\n"; printable or not. */
    void (*line)(const char *line, gsize length, gpointer data);
    void (*lost)(gpointer data);                   /* messages were overwritten, unread */
    void (*ended)(const char *why, gpointer data); /* nothing more will come */
    gpointer data;
} KmsgFuncs;

/* The log of this host, at its beginning. -1 with error set. */
int kmsg_open(const Host *host, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes fd, which is non-blocking. */
Kmsg *kmsg_new(int fd, GMainContext *context, const KmsgFuncs *funcs);
void kmsg_free(Kmsg *kmsg);
/* One record "4,348,4156294529,-;text", its newlines and other bytes escaped as \xNN, as the lines
 * of dmesg(1); NULL when it is none. New string. */
char *kmsg_record_text(const char *record, gsize length);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kmsg, kmsg_free)
