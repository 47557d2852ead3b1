/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One question or one write about the limits that QEMU holds for one disk. It is served by the VM's
 * next sample, which knows the newest facts and owns the connection: the value in force is read,
 * and only where it is what the writer believed, nothing runs on the VM that a write could disturb,
 * and the sample itself is calm, the new one is sent and read back. */

#include "throttle.h"
#include "vm.h"

typedef struct LimitsRequest LimitsRequest;

/* Exactly once; borrowed. value: what is in force, NULL when it could not be read; was_written: the
 * write was sent, so that it may have changed. problem: NULL, or one sentence. */
typedef void (*LimitsRequestFunc)(bool was_written, const char *value, const char *problem,
                                  gpointer data);

/* Limits as one line, "mbps_wr=60,iops_rd=100", "none"; a new string. Without the group. */
char *limits_print(const Throttle *throttle);
/* NULL for text that limits_print() does not make. */
Throttle *limits_parse(const char *text);

/* old and new as limits_print() gives them; new NULL: only read. disk: as in drift. is_group: the
 * limits are those of a throttle-group object with that id, else of a -drive. false, and func is
 * not called, while another one of this VM is under way. */
bool limits_request_begin(Vm *vm, const Host *host, const char *id, bool is_group, const char *old,
                          const char *new, LimitsRequestFunc func,
                          gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* The same, only to know that nothing runs on the VM that a write by somebody else's hand would
 * disturb: problem says what does, value is NULL. */
bool limits_request_begin_calm(Vm *vm, const Host *host, LimitsRequestFunc func,
                               gpointer data) G_GNUC_WARN_UNUSED_RESULT;
/* Before every sample: one that nobody serves ends. */
void limits_request_check(Vm *vm, gint64 now_us);
/* Before the VM ends: an open one ends with a problem. */
void limits_request_forget(Vm *vm);

/* For the samples. What is to be asked to know the value in force: a class above theirs is only
 * raised for it. */
bool limits_request_is_group(const Vm *vm, const char **ret_group);
bool limits_request_is_drive(const Vm *vm);
bool limits_request_is_calm(const Vm *vm);
void limits_request_take_jobs(Vm *vm, const GArray *jobs);
void limits_request_take_migration(Vm *vm, const char *status);
/* names and values of qom-get or query-block; NULL: refused. The first time the old value, then
 * what was read back. */
void limits_request_take_value(Vm *vm, char **pairs);
/* The arguments of the write, a new string, which is sent now; NULL: nothing is to be written, or
 * not now. */
char *limits_request_arguments(Vm *vm, bool *ret_is_group);
void limits_request_refused(Vm *vm);
/* Is what was written to be read back? */
bool limits_request_wants_read_back(const Vm *vm);
const char *limits_request_id(const Vm *vm);
