/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Samples of one VM, whose monitor is a real socket of this process in a fixture tree. Include t.h
 * first. */

#include "fake-host.h"
#include "fake-monitor.h"
#include "sample.h"

/* Of what will be answered: only a broken sample lets a test wait so long. */
#define PATIENT_US (10 * G_USEC_PER_SEC)
/* Of what will not. The monitor lives in this process: a machine that stands still for so long
 * makes it late with what comes before the silence. */
#define SHORT_US (300 * G_GINT64_CONSTANT(1000))
#define SECOND G_USEC_PER_SEC
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define STATS(wr)                                                                                  \
    "{\"rd_operations\": 5, \"wr_operations\": " #wr ", \"flush_operations\": 1, "                 \
    "\"unmap_operations\": 0, \"rd_bytes\": 4096, \"wr_bytes\": 8192, "                            \
    "\"rd_total_time_ns\": 10, \"wr_total_time_ns\": 20, \"flush_total_time_ns\": 30, "            \
    "\"unmap_total_time_ns\": 0, \"failed_rd_operations\": 0, \"failed_wr_operations\": 2, "       \
    "\"failed_flush_operations\": 0, \"failed_unmap_operations\": 0, "                             \
    "\"invalid_rd_operations\": 0, \"invalid_wr_operations\": 0, "                                 \
    "\"invalid_flush_operations\": 0, \"invalid_unmap_operations\": 0, \"idle_time_ns\": 7}"
#define DISK(qdev, wr)                                                                             \
    "{\"device\": \"\", \"node-name\": \"node-" qdev "\", \"qdev\": \"" qdev                       \
    "\", \"stats\": " STATS(wr) "}"
#define BACKEND(id) "/machine/peripheral/" id "/virtio-backend"
#define RUNNING "{\"status\": \"running\", \"running\": true, \"singlestep\": false}"

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    FakeMonitor *monitor; /* answers with one disk, v0, and a running guest */
    Vm *vm;
    guint n_done;
    gint64 now_us, period_us;
    bool wants_all_evidence;
} SampleFixture;

int sample_fixture_set_up(void **state);
int sample_fixture_tear_down(void **state);
/* The VM, with these words on its command line beside its monitor; NULL for none. */
Vm *sample_fixture_vm(SampleFixture *fixture, bool monitor_is_ours, const char *const *words);
/* Begins a sample; runs what is ready; ends the one that was begun; both in one. */
void sample_fixture_begin(SampleFixture *fixture);
void sample_fixture_run_idle(SampleFixture *fixture);
const Sample *sample_fixture_end(SampleFixture *fixture);
const Sample *sample_fixture_take(SampleFixture *fixture);
/* What was asked since the last time, each command with a blank after it. */
void assert_asked(SampleFixture *fixture, const char *expected);

/* A test that starts with a fixture. */
#define WITH_SAMPLES(test)                                                                         \
    cmocka_unit_test_setup_teardown(test, sample_fixture_set_up, sample_fixture_tear_down)
