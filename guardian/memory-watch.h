/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is remembered of one VM's memory between two readings: its domain's signals, the last page
 * count, and what the judge of policy/pressure.h thinks. */

#include "group-signals.h"
#include "meminfo.h"
#include "pagecount.h"
#include "reservation.h"
#include "vm.h"
#include "worker.h"

typedef struct MemoryWatch {
    GroupReader *reader; /* of the group that carries the limit, else of its own; NULL none */
    GArray *backends;    /* of guint64: their sizes in bytes; empty: not asked yet */
    bool has_balloon;
    guint64 balloon_bytes;
    gint64 counted_us; /* last page count, also one that failed; 0 none */
    PageCount count;
    PressureTrack pressure;
    Reservation reservation;
    bool reservation_is_kept; /* what an earlier daemon had learned is in it */
} MemoryWatch;

MemoryWatch *memory_watch_new(void);
void memory_watch_free(MemoryWatch *watch);
void memory_watch_forget_backends(MemoryWatch *watch);
void memory_watch_add_backend(MemoryWatch *watch, guint64 size_bytes);

/* Completes vm->memory, which was just read, with what is remembered and what its group says.
 * group_path is raw, the one that vm->memory's limit is on, else its own; NULL none. */
void memory_watch_complete(Vm *vm, const char *group_path, const HostMemory *host);
/* When the next reading must come: in a period, or at once while its end is near. */
gint64 memory_watch_due_us(const Vm *vm);
/* Judges the newest reading, and begins a page count when that is worth its price. vms is all of
 * them, of Vm. true: the verdict's level or reason has changed. */
bool memory_watch_follow(Vm *vm, const GPtrArray *vms, Workers *workers, gint64 realtime_us);
/* Its pages would be told apart by a count, the first of which is under way or still to begin. */
bool memory_watch_lacks_count(const Vm *vm);
/* What should be set aside beside the guest's RAM, by the policy of this VM. */
ReservationResult memory_watch_reservation(const Vm *vm);
/* The VM has ended, or is not watched any more: nothing is forecast of it. */
void memory_watch_end(Vm *vm);
