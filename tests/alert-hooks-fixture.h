/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Alert hooks in a tree, each a shell script, and an alert for them. Include t.h first. */

#include "alert-hooks.h"
#include "fake-host.h"

/* Of what ends by itself. */
#define PATIENT_US (60 * (gint64)G_USEC_PER_SEC)
/* What VMs call themselves. */
#define NASTY "web\\x0a$(reboot)`id`'\"; \\x1b[2J"

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    AlertHooks *hooks;
    GString *told;
    guint n_told;
} HooksFixture;

int hooks_set_up(void **state);
int hooks_tear_down(void **state);
#define WITH_HOOKS(test) cmocka_unit_test_setup_teardown(test, hooks_set_up, hooks_tear_down)

/* $OUT is where the tests look. */
void add_hook(HooksFixture *fixture, const char *name, const char *body);
void run_news(HooksFixture *fixture, const char *line);
/* Until nothing runs or waits. The longest turn of the loop, in microseconds. */
gint64 settle(HooksFixture *fixture);
/* What a hook wrote to $OUT/name; NULL where it wrote nothing. */
char *read_out(HooksFixture *fixture, const char *name);
