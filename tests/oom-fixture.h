/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A host in a tree whose kernel log is a FIFO, over virtual time, and a daemon that follows it: VM
 * 42 (guilty) and VM 43 (innocent), each in a pod of 96 MiB. Include t.h first. */

#include "fake-host.h"
#include "guardian.h"
#include "oom-watch.h"

#define S ((gint64)G_USEC_PER_SEC)
#define HOUR (3600 * S)

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Guardian *guardian;
    OomWatch *oom; /* the guardian's */
    int log_fd;
    gint64 now, behind; /* behind: the log's clock */
    guint n_records, n_told, n_closed, n_warned;
    char *told;
} OomFixture;

int oom_fixture_set_up(void **state);
int oom_fixture_tear_down(void **state);
/* A daemon begins, at the fixture's time, and reads the log from where it may. */
void oom_fixture_daemon(OomFixture *fixture);
void oom_fixture_clock(OomFixture *fixture, gint64 now);
/* Later, and what is due then. */
void oom_fixture_wait(OomFixture *fixture, gint64 seconds);
/* Until the daemon has read all that was written: it waits for more. */
void oom_fixture_flush(OomFixture *fixture);
/* A whole report of the pod of VM `pod`; the last line too where it has_kill. */
void oom_fixture_kill(OomFixture *fixture, int pod, const char *task, int pid, bool has_kill);
/* The same of a pod in which "beside" runs, too. */
void oom_fixture_kill_beside(OomFixture *fixture, int pod, const char *task, int pid,
                             const char *beside, int beside_pid);
/* status and explain as people see them; a new string. */
char *oom_fixture_status(OomFixture *fixture, int *ret_exit);
bool oom_fixture_is_told(OomFixture *fixture, const char *vm);

#define WITH_OOM(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, oom_fixture_set_up, oom_fixture_tear_down)
