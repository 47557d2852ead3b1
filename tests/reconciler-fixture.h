/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A reconciler at virtual time, with one VM whose monitor is a real socket. Include t.h first. */

#include "reconciler.h"
#include "sample-fixture.h"

typedef struct {
    SampleFixture *samples;
    Children *children;
    GPtrArray *vms; /* of Vm; the first one is that of samples */
    Reconciler *reconciler;
    GString *told;  /* lines of the reconciler */
    GString *asked; /* by the monitor, as fake_monitor_take_asked() gives it */
    gint64 now_us;
} ReconcilerFixture;

int reconciler_fixture_set_up(void **state);
int reconciler_fixture_tear_down(void **state);
/* The VM with these words on its command line; mode: of it, and of its limits. */
Vm *reconciler_fixture_vm(ReconcilerFixture *fixture, const char *const *words, Mode mode);
/* One line of limits for that disk of it; key NULL: none. */
void reconciler_fixture_policy(ReconcilerFixture *fixture, const char *name, const char *key,
                               const char *value);
/* Turns of the loop at virtual time, so far apart: what is due, a sample, the reconciler, until all
 * is quiet. */
void reconciler_fixture_turns(ReconcilerFixture *fixture, guint n, gint64 apart_us);
/* One of them: up to what the reconciler begins, and until that is over. */
void reconciler_fixture_begin_turn(ReconcilerFixture *fixture, gint64 after_us);
void reconciler_fixture_end_turn(ReconcilerFixture *fixture);
/* How often is that word in it? */
guint reconciler_fixture_count(const GString *text, const char *word);
void assert_drift_explained(ReconcilerFixture *fixture, const char *disk, const char *why);

#define WITH_RECONCILER(test)                                                                      \
    cmocka_unit_test_setup_teardown(test, reconciler_fixture_set_up, reconciler_fixture_tear_down)
