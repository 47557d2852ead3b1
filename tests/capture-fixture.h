/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A VM in a fixture tree, with process 42 and two virtio disks, and a place for its captures. */

#include "capture-private.h"
#include "fake-qmp.h"
#include "tree.h"

#define CAPTURE_SECOND ((gint64)G_USEC_PER_SEC)

typedef struct {
    Tree *tree;
    Host *host;
    GMainContext *context;
    Captures *captures;
    Vm *vm;
    FakeQmp *fake; /* NULL: the monitor is silent */
} CaptureFixture;

CaptureFixture *capture_fixture_new(const char *vm_name);
void capture_fixture_free(CaptureFixture *fixture);
/* A scripted monitor of our own that has been negotiated with. */
void capture_fixture_connect(CaptureFixture *fixture);
/* One more sample, 2 s after the last: both disks, or none, complete something. */
void capture_fixture_sample(CaptureFixture *fixture, bool is_moving);

/* Runs one capture to its end; the manifest as it lies on disk, or in memory when it stayed there.
 * list NULL: all steps. */
JsonNode *capture_fixture_run(CaptureFixture *fixture, const CaptureStepList *list);
JsonObject *capture_fixture_step(JsonNode *manifest, const char *name);
/* Of that step; fails the test when there is none. "" for no error. */
const char *capture_fixture_end(JsonNode *manifest, const char *name);
const char *capture_fixture_error(JsonNode *manifest, const char *name);
/* A file of the bundle; new string. */
char *capture_fixture_file(JsonNode *manifest, const char *file);
