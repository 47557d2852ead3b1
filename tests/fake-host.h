/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host in a fixture tree, with processes as /proc shows them. */

#include "host.h"
#include "tree.h"

/* Roots are the directories proc, sys, run, etc, config, var and dev of the tree. */
Host *fake_host_new(Tree *tree);
/* comm, stat, status, cmdline of a sleeping process, and an executable that may not be seen; words
 * ends with NULL, and is NULL for one without command line and executable. A process that exists is
 * rewritten. */
void fake_host_process(Tree *tree, pid_t pid, guint64 start_ticks, const char *comm,
                       const char *const *words);
/* The same with another letter for its state. */
void fake_host_set_state(Tree *tree, pid_t pid, guint64 start_ticks, const char *comm, char state);
/* A QEMU called name, with more words after it; NULL for none. */
void fake_host_qemu(Tree *tree, pid_t pid, const char *name, const char *const *more);
