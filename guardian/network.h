/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What passes through the tap devices of a VM. Their names come from the command line, or from the
 * fdinfo of QEMU's /dev/net/tun descriptors, read in a child process because that waits for the
 * kernel's network lock. The counters lie in sysfs; those of a process in a network namespace of
 * its own (a pod) in its net/dev. */

#include "child.h"
#include "vm.h"

/* Looks for the tap devices of a VM that has none that are known, at most once a minute. */
void network_look_up(Vm *vm, const Host *host, Children *children, gint64 now_us);
/* Before the VM ends: an answer that still comes is dropped. */
void network_forget(Vm *vm);
/* NULL is fine. */
void network_free(Network *network);
/* Received and sent by all of them. false: it has none, or one is gone; it is then looked for
 * again. */
bool network_read(Vm *vm, guint64 *ret_bytes) G_GNUC_WARN_UNUSED_RESULT;

/* The name in a tun descriptor's fdinfo ("iff:\ttap0"), new string; NULL: it has none yet. */
char *network_parse_tun(const char *text);
/* Received and sent bytes of one interface in the text of net/dev. false: it is not in there. */
bool network_parse_dev(const char *text, const char *name, guint64 *ret_bytes);
