/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host in a tree with two VMs to audit: 102 (devvm), that of the founding incident, and 103
 * (clean), which is as it should be. Include t.h first. */

#include "run-ctl.h"
#include "tree.h"

typedef struct {
    Tree *tree;
} AuditFixture;

/* The command line of the clean VM, up to NULL. */
#define AUDIT_CLEAN_WORDS 24
extern const char *const audit_clean_words[AUDIT_CLEAN_WORDS];

int audit_fixture_set_up(void **state);
int audit_fixture_tear_down(void **state);
/* `guardianctl audit WORD`; word NULL: of all. */
Run audit_fixture_run(const AuditFixture *fixture, const char *word, bool is_json);
/* The findings of the VM with that name: "name disk running configured", a line each, in order; a
 * new string. */
char *audit_fixture_findings(const char *json, const char *vm_name);

#define WITH_AUDIT(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, audit_fixture_set_up, audit_fixture_tear_down)
