/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host in a tree with two VMs, 42 (guilty) and 43 (innocent), in v2 groups /pod42/vm and
 * /pod43/vm of 64 MiB each, and an engine that acts on them. */

#include "act.h"
#include "fake-host.h"

#define ACT_OLD "67108864"
#define ACT_NEW "134217728"
#define ACT_START_TICKS 4242

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Acts *acts;
    /* The newest outcome. */
    bool is_done, has_tripped;
    ActLeave leave;
    guint n_names, n_applied;
    char *problem;
} ActFixture;

/* tree NULL: a new one. */
ActFixture *act_fixture_new(Tree *tree);
/* keep_tree: the tree lives on. */
void act_fixture_free(ActFixture *fixture, bool keep_tree);
/* A new engine, as after a restart. */
void act_fixture_restart(ActFixture *fixture);

/* What the VM's group, or its pod's, has in memory.max; a new string. */
char *act_fixture_limit(ActFixture *fixture, const char *group);
void act_fixture_set_limit(ActFixture *fixture, const char *group, const char *value);
/* One write: group's memory.max from ACT_OLD to ACT_NEW, for process pid. */
ActRecord *act_fixture_step(ActFixture *fixture, pid_t pid, const char *group);
/* An empty plan with these steps, up to NULL. */
GPtrArray *act_fixture_plan(ActRecord *first, ...) G_GNUC_NULL_TERMINATED;
/* What a daemon that enforces gives, with a budget that is never spent. */
extern const ActTerms act_fixture_terms;
/* Until the outcome is there. */
void act_fixture_run(ActFixture *fixture, const ActTerms *terms, GPtrArray *steps);
void act_fixture_load(ActFixture *fixture);
/* How many files the journal has. */
guint act_fixture_files(ActFixture *fixture);

/* cmocka's set-up and tear-down of a fixture with a tree of its own. */
int act_fixture_set_up(void **state);
int act_fixture_tear_down(void **state);
#define WITH_ACTS(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, act_fixture_set_up, act_fixture_tear_down)

void limit_is(ActFixture *fixture, const char *group, const char *wanted);
/* A plan that raises the limit of VM 42. */
GPtrArray *one_step(ActFixture *fixture);
const ActRecord *newest(ActFixture *fixture);
void set_text(char **text, const char *value);

/* A means that says what it is told to: act_scripted() adds it, run_scripted() has it answer. */
typedef struct {
    bool was_written;
    const char *value, *problem;
} Script;

void act_scripted(ActFixture *fixture);
void run_scripted(ActFixture *fixture, Script answer);
