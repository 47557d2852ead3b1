/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known of one VM's Proxmox configuration, read in a child once a minute. A file that was
 * written and reads the same is somebody's equal write, and is noted with the VM's writers; the
 * cluster's log says whose. */

#include "child.h"
#include "pveconf.h"
#include "vm.h"

typedef struct PveLook PveLook;

PveLook *pve_look_new(void);
void pve_look_free(PveLook *look);
/* Before every sample: reads what is due. Of a VM that is not Proxmox' nothing. */
void pve_look_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us);
/* Before the VM ends: an answer that still comes is dropped. */
void pve_look_forget(Vm *vm);
/* A person wants to know: read again before the next sample. */
void pve_look_want(PveLook *look);

/* Borrowed; NULL when there is none or it is not known. */
const PveConf *pve_look_conf(const PveLook *look);
/* Why it is not known, printable; NULL. */
const char *pve_look_problem(const PveLook *look);
/* Wall clock; 0 unknown. */
gint64 pve_look_read_us(const PveLook *look);
gint64 pve_look_written_us(const PveLook *look);
