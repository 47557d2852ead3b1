/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A memory limit that somebody else keeps is written by its owner's own client, in the child of the
 * act (act-cgroup.c): systemd by `systemctl set-property --runtime`, which is SetUnitProperties and
 * outlives a daemon-reload, as MemoryLimit= where that is what the unit has (v1); libvirt by `virsh
 * memtune --live`, which is virDomainSetMemoryParameters. What came of it is read from the kernel.
 *
 * Programs, not libraries: the child is the fork of a process with threads, in which neither sd-bus
 * nor libvirt may be called before an exec, and a call of either that hangs in a thread of ours
 * could not be ended. Both are there wherever their owner is used. */

#include "act-record.h"

/* false with errno set: it could not be run, or says no. */
bool act_client_write(const ActRecord *record);
/* What to say when it does not: "systemctl set-property failed"; NULL: no client writes this
 * record, its limit is a file of the group. */
const char *act_client_failure(const ActRecord *record);
