/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Connecting to a VM's monitor, for its samples and its captures alike: one connection of ours at a
 * time, kept in vm->client. */

#include "vm.h"

/* Connects; not while vm->client. A socket at the right path is the VM's only when the VM's own
 * process listens on it. false: *ret_stage is what a sample shall say, vm->client_error says why.
 */
bool monitor_connect(Vm *vm, const Host *host, GMainContext *context,
                     MonitorStage *ret_stage) G_GNUC_WARN_UNUSED_RESULT;
