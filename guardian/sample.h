/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One VM -> one Sample before the deadline. Cheap facts always; costly evidence (virtqueues) only
 * for disks whose judge wants it. A late answer is a fact in the Sample, not an error. Nothing here
 * blocks: answers arrive on the main context, and one silent VM delays no other. */

#include "child.h"
#include "hostmemory.h"
#include "vm.h"

typedef struct {
    const Host *host;
    GMainContext *context;
    Children *children;         /* for what may block; NULL: such facts stay unknown */
    gint64 now_us, boottime_us; /* the tick's one stamp */
    gint64 period_us;           /* this VM's present one */
    HostMemory memory;          /* of the host, at the last look */
    bool wants_all_evidence;    /* a check in the middle of an incident: look into every queue */
} SampleContext;

/* The sample is in vm->sample when done is called, once, from the main context or from within
 * sample_begin(). */
typedef void (*SampleDoneFunc)(Vm *vm, gpointer data);

/* Not while vm->sampling. */
void sample_begin(Vm *vm, const SampleContext *context, SampleDoneFunc done, gpointer data);
/* Reads its memory only, between two samples: a few small files, nobody is asked. */
void sample_read_memory(Vm *vm, const SampleContext *context);
/* Ends a sample in the making without calling done. */
void sample_cancel(Vm *vm);

/* Of a qdev path, drive id and node name: what a person calls that disk; printable, new string. */
char *sample_disk_label(const char *qdev, const char *device, const char *node_name);
