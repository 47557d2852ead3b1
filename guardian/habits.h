/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is usual for each disk, kept over a restart of the guardian and of the VM: without it a
 * guardian that was updated during an incident would take the dead disk for one that is always
 * quiet. A VM is known by its uuid, else its id, else its name, never by its process. In
 * vm-guardian/habits.json below HOST_RUN, so it ends with the host's boot. */

#include "vm.h"

typedef struct Habits Habits;

/* Borrows host; reads what an earlier guardian of this boot has saved. What is not of that shape is
 * passed over. */
Habits *habits_new(const Host *host);
void habits_free(Habits *habits);
/* After a sample of the VM was judged: a disk that has just come gets its old habit back, and what
 * was learned of the others is taken over; and saved where that may be, every HABITS_SAVE_US. */
void habits_follow(Habits *habits, Vm *vm, bool may_save);
void habits_save(Habits *habits);

/* A guardian that is killed forgets five minutes, which hardly ever hold the longest gap. */
#define HABITS_SAVE_US (300 * G_USEC_PER_SEC)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Habits, habits_free)
