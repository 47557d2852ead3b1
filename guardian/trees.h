/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The groups at the top of the hierarchy of memory, user.slice and its like: what each holds that
 * cannot be reclaimed, how much of that is VMs', and whether a limit keeps the rest of it from
 * taking the host. None where the whole hierarchy is not in sight (a container). */

#include "handler.h"
#include "hostmemory.h"
#include "vm.h"

typedef struct Trees Trees;

/* Borrows host. */
Trees *trees_new(const Host *host);
void trees_free(Trees *trees);
/* vms: of Vm. Reads three small files of each. */
void trees_look(Trees *trees, const GPtrArray *vms, gint64 now_us);
/* The same, now and then. */
void trees_follow(Trees *trees, const GPtrArray *vms, gint64 now_us);
/* Of HostTree, the largest first. Borrowed, until the next look. */
GArray *trees_list(const Trees *trees);
/* Where a VM of KubeVirt runs; borrowed. */
const Handler *trees_handler(const Trees *trees);
/* Empty, with its clear function: labels are freed. */
GArray *trees_array_new(void);
/* What they hold beside VMs, in both of the last two looks: a VM that ends or begins is read at two
 * times. 0 unknown. */
guint64 trees_others_bytes(const Trees *trees);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Trees, trees_free)
