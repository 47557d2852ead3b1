/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits of a disk of a VM of libvirt as means of the engine (act.h), through its own libvirtd:
 * virDomainSetBlockIoTune for QEMU and the next start in one call, but only for those of the two
 * that differ, and only with the families of numbers that do. where is the disk's target ("vda"),
 * field is "limits". A value is a line of limits-request.h, or two with "|" between where QEMU and
 * the next start differ.
 *
 * What is in force is libvirt's word, out of its XML: its own question to QEMU (domblkiotune) hangs
 * on a dead file system. Never while a stall is suspected, the VM does not run, or a job of libvirt
 * or of the disk is under way. A call that does not come back in time may have been done: it is
 * never tried again. */

#include "act-means.h"
#include "drift.h"
#include "vm.h"

#define ACT_MEANS_IOTUNE "iotune"

/* vms: of Vm, borrowed; the VM of a record is looked for in it. */
ActMeans act_means_iotune(const GPtrArray *vms);
/* Before the engine ends: what is open ends. */
void act_iotune_forget(const Vm *vm);
/* The value of those two sides, a new string; later NULL: there is none, or not that disk. */
char *act_iotune_value(const Throttle *live, const Throttle *later);
