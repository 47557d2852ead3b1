/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's hand over virtual time, on a host in a tree: VM 42, "guilty", is doomed by what its
 * group holds, VM 43 beside it, "innocent", is well. Each has a pod of its own with a group in it.
 */

#include "acting.h"
#include "fake-host.h"

#define HOUR ((gint64)3600 * G_USEC_PER_SEC)

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    Acting *acting;
    gint64 now;
    GString *told;
    guint n_told;
    GString *alerts; /* "guilty: why", "guilty: over", "guilty oom_score: why" */
} ActingFixture;

ActingFixture *acting_fixture_new(const char *configuration);
void acting_fixture_free(ActingFixture *fixture);
/* What a VM's groups hold, beside its guest of 1024 MiB that is fully touched. */
void acting_group_set(ActingFixture *fixture, pid_t pid, guint beside_mib);
/* The limits as they were at first, 1200 MiB each: set, and are they? is_inner: not the pod's. */
void acting_limit_set(ActingFixture *fixture, pid_t pid);
bool acting_limit_is_old(ActingFixture *fixture, pid_t pid, bool is_inner);
void acting_clock_to(ActingFixture *fixture, gint64 now);
/* One look at all VMs, and until nothing of it is under way. */
void acting_look(ActingFixture *fixture);
/* How many files the journal has. */
guint acting_files(ActingFixture *fixture);
guint times_in(const char *text, const char *what);
