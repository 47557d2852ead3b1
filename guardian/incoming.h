/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Migrations that a hook announced before there was a process: the VM is told when it is found, and
 * forgets when it runs. Until then its silence is expected. */

#include "vm.h"

/* A storm of forged or failed announcements costs this many names; the oldest go. */
#define INCOMING_MAX 64
/* The hook comes just before the process starts; later a VM of that name is another one. */
#define INCOMING_VALID_US (60 * (gint64)G_USEC_PER_SEC)

typedef struct Incoming Incoming;

Incoming *incoming_new(void);
void incoming_free(Incoming *incoming);
/* What was said at at_us; too old, or in the future: it is dropped. */
void incoming_announce(Incoming *incoming, const char *vm, gint64 at_us, gint64 now_us);
/* A VM that has just been found. */
void incoming_take(Incoming *incoming, Vm *vm, gint64 now_us);
/* After each sample. */
void incoming_note(Vm *vm);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Incoming, incoming_free)
