/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known of the limits of one VM's disks: the policy's [disk NAME], the configuration (of
 * Proxmox: pve-look.h), and QEMU's own word: limits of throttle-group objects
 * from every slow round. Limits of the old kind, of a -drive, are shown by query-block only, which
 * hangs QEMU on a dead file system: it is asked only when a person asks for it, nothing is suspect,
 * and every file that QEMU has open has just answered a child from its storage, not from a cache.
 * Else what the command line says is all that is known. Of a VM of libvirt both configuration and
 * live are libvirt's word, from its XML, which asks QEMU nothing. */

#include "child.h"
#include "drift.h"
#include "vm.h"
#include "writers.h"

typedef struct DriftLook DriftLook;

/* Words for where the live limits come from. */
#define DRIFT_LIVE_GROUP "throttle-group"
#define DRIFT_LIVE_BLOCK "query-block"
#define DRIFT_LIVE_START "command-line"
#define DRIFT_LIVE_LIBVIRT "libvirt"

/* One disk as all three sides see it. */
typedef struct {
    char *name; /* printable */
    Throttle *sides[DRIFT_N_SIDES];
    Drift drift;             /* the same */
    const char *live_source; /* one of the words; NULL: live is not known */
    gint64 live_us;          /* wall clock, when QEMU said so; 0: at its start */
    GPtrArray *notes;        /* of char *, printable sentences */
} DriftDisk;

DriftLook *drift_look_new(void);
void drift_look_free(DriftLook *look);
/* After the configuration was read or reloaded; takes policies, of ConfigDisk. */
void drift_look_set_policies(DriftLook *look, GPtrArray *policies);
/* Before every sample: goes on with what a person wants. */
void drift_look_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us);
/* Before the VM ends: an answer that still comes is dropped. */
void drift_look_forget(Vm *vm);

/* A person wants QEMU's own word: all of it is looked at again from the next sample on. */
void drift_look_want(Vm *vm);
/* Is that still under way? */
bool drift_look_is_open(const DriftLook *look);
/* Why QEMU was not asked, printable; NULL: it was, or nobody wanted it. */
const char *drift_look_why_not(const DriftLook *look);

/* For the samples. Throttle-groups that may exist beside those of the command line: of char *,
 * borrowed until the next call. */
const GPtrArray *drift_look_probes(Vm *vm);
/* The same list again. */
const GPtrArray *drift_look_probed(const DriftLook *look);
/* A throttle-group's limits, or its refusal with NULL. */
void drift_look_take_group(Vm *vm, const char *group, JsonNode *result, gint64 realtime_us);
/* May and shall query-block be asked in this sample? */
bool drift_look_wants_block(Vm *vm, gint64 now_us);
void drift_look_take_block(Vm *vm, JsonNode *result, gint64 realtime_us);

/* libvirt has answered for the VM: was that what a person waits for? */
void drift_look_take_domain(Vm *vm);

/* Who else writes its limits; borrowed. */
Writers *drift_look_writers(const DriftLook *look);

/* Does QEMU keep the limits in throttle-group objects (as Proxmox does for machines of version 10
 * and later)? Found out by asking, not from a version. false: not known yet. */
bool drift_look_generation(const Vm *vm, bool *ret_has_objects);

/* What it is made of, borrowed: of ConfigDisk, NULL none; limits as names and values, NULL not
 * known; of QmpBlock, NULL never asked. Times are wall clock, of the newest answer. */
const GPtrArray *drift_look_policies(const DriftLook *look);
char **drift_look_group(const DriftLook *look, const char *group);
gint64 drift_look_groups_us(const DriftLook *look);
const GArray *drift_look_blocks(const DriftLook *look, gint64 *ret_realtime_us);

/* Of DriftDisk, new and owned: every disk that any side speaks of, in order. */
GPtrArray *drift_look_disks(const Vm *vm, gint64 realtime_us);
