/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Would QEMU come back from looking at its files? A child asks for the attributes of everything the
 * process has open, as query-block makes QEMU do, but from the storage itself and never from a
 * cache: a dead file system hangs the child instead of the VM. */

#include "child.h"
#include "proc.h"

/* Exactly once. wrong: why not all answered, printable; NULL: each of them did, just now. */
typedef void (*MediaFunc)(const char *wrong, gpointer data);

/* false: it could not be started, and func is not called. */
bool media_look(const Proc *proc, Children *children, gint64 deadline_us, MediaFunc func,
                gpointer data) G_GNUC_WARN_UNUSED_RESULT;
