/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The evidence bundle of one VM: what can be known from outside before somebody kills the proof. A
 * directory <vm>-<UTC time> with one file a step and a manifest.json that tells of each step how
 * long it took and why it was not done. It never holds guest RAM, never sends a command that
 * drains, and ends within CAPTURE_TOTAL_US whatever hangs. The order of steps, and what may stop
 * it, stand at the head of capture.c.
 *
 * Bundles are built below HOST_RUN (memory) and moved below HOST_VAR by a child process: the disk
 * there may be the dead one. One that cannot be moved stays, and its manifest says so. */

#include "vm.h"
#include <json-glib/json-glib.h>

#define CAPTURE_TOTAL_US (30 * G_USEC_PER_SEC)
/* Below HOST_RUN and HOST_VAR. */
#define CAPTURE_DIRECTORY "vm-guardian/captures"
#define CAPTURE_MANIFEST "manifest.json"

typedef struct Captures Captures;
typedef struct Capture Capture;

typedef struct {
    bool wants_stacks; /* stop QEMU for less than a second to read the stacks of its threads */
    bool is_automatic; /* for an alert: refused again within ten minutes */
    bool is_sampled;   /* a loop goes on sampling the VM: wait for the samples after */
} CaptureOptions;

/* A capture is over; summary as captures_status() gives it. */
typedef void (*CaptureDoneFunc)(JsonObject *summary, gpointer data);

/* Borrows host. */
Captures *captures_new(const Host *host, GMainContext *context);
/* After the VMs, whose monitors may still owe an answer. What is under way stops where it is; its
 * manifest says that it is not complete. */
void captures_free(Captures *captures);

void captures_set_done_func(Captures *captures, CaptureDoneFunc func, gpointer data);

/* Starts one, or lines it up behind the one that runs; the name of its bundle in *ret_name, a new
 * string. false with error set: BUSY (one of this VM is under way, too many wait, or it is too soon
 * for an automatic one), or the directory below HOST_RUN cannot be made. */
bool captures_begin(Captures *captures, Vm *vm, const CaptureOptions *options, char **ret_name,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for the one of these VMs (of Vm) that is called so; GONE for none or more than one. */
bool captures_begin_named(Captures *captures, const GPtrArray *vms, const char *word,
                          const CaptureOptions *options, char **ret_name,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* {"schema": 1, "name", "vm", "complete", "directory", "problem", "steps_done", "steps_ended",
 * "bytes"}; NULL with error set for a name that is not remembered. Never touches a disk. */
JsonNode *captures_status(const Captures *captures, const char *name, GError **error);
/* Moves what an earlier time left below HOST_RUN below HOST_VAR, in a child; tries again while it
 * fails. */
void captures_rescue(Captures *captures);
/* Under way or waiting. */
guint captures_open(const Captures *captures);
/* Runs the context until none is. */
void captures_wait(Captures *captures);

/* Before the VM ends: its capture goes on with what needs no VM. */
void capture_forget_vm(Vm *vm);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Captures, captures_free)
