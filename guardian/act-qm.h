/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Limits of a disk in Proxmox' configuration as means of the engine (act.h), by Proxmox' own tool:
 * `qm set ID --digest SHA1 --KEY DRIVE`. It is given the drive string that stands there with other
 * limits, and the SHA-1 of the file that string was read from, so that Proxmox itself refuses what
 * somebody else has changed meanwhile. It brings QEMU along. where is the drive's key ("scsi0"),
 * field is "limits", values are lines of limits-request.h.
 *
 * Never while a stall is suspected, the VM does not run, a block job or migration runs on it, the
 * configuration is locked or a change of the drive is pending; files below /etc/pve are read only.
 */

#include "act-means.h"
#include "vm.h"

#define ACT_MEANS_QM "qm"

/* vms: of Vm, borrowed; the VM of a record is looked for in it. */
ActMeans act_means_qm(const GPtrArray *vms);
