/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Discovery in a tree of processes, each scan run to its end. Include t.h first. */

#include "discover.h"
#include "fake-host.h"

#define PATIENT_US (10 * G_USEC_PER_SEC)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Workers *workers;
    Discovery *discovery;
    GPtrArray *found; /* of Vm, the newest knowledge of each process */
    guint n_found;
    bool wants_none;
} DiscoverFixture;

int discover_set_up(void **state);
int discover_tear_down(void **state);
#define WITH_DISCOVERY(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, discover_set_up, discover_tear_down)

/* In found; -1 where it is not there. */
int find_index(const DiscoverFixture *fixture, pid_t pid, guint64 start_ticks);
/* One scan, to its end; how many VMs it brought. */
guint scan(DiscoverFixture *fixture);
Vm *only_vm(const DiscoverFixture *fixture);
