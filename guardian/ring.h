/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The io_urings of a QEMU process: how many requests they hold that the kernel has taken and not
 * completed. No monitor is asked, and fdinfo takes no lock that a stuck request holds.
 *
 * A ring says nothing of files. Until QEMU 10.1 each AioContext has one ring for all of its disks
 * with aio=io_uring (the main loop's also when every disk lives in an iothread: it then stays at
 * 0), so what is in flight belongs to one of those disks, and its tail moves with any of them. From
 * 10.2 the event loop waits in the same ring: it then holds polls, which are told apart, and
 * timeouts, which are not. With anything but polls in flight such a ring says nothing. */

#include "proc.h"

typedef struct {
    guint32 inflight;  /* submitted, not completed, polls left out */
    guint32 polls;     /* descriptors it waits for: more than 0 in an event loop's ring */
    guint64 completed; /* its completion queue's tail, modulo 2^32 */
} Ring;

/* The text of a ring's fdinfo. false: a kernel before 5.16, or one that could not look into the
 * ring just now, or numbers that cannot be. */
bool ring_parse(const char *text, Ring *ret_ring);
/* All rings of the process together. false: it has none, or not all of them could be told. */
bool rings_read(const Proc *proc, Ring *ret_total);
