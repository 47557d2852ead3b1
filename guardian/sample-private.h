/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files that make one Sample share: sample.c the order of questions, sample-disk.c disks,
 * sample-process.c process and memory, sample-queue.c virtqueues, sample-canary.c canaries,
 * sample-job.c block jobs, sample-limits.c limits of disks, sample-libvirt.c what libvirt tells,
 * sample-passthrough.c what QEMU tells through it, sample-evidence.c what is seen from outside. */

#include "sample.h"

typedef enum {
    PHASE_START,
    PHASE_BASE,
    PHASE_LIST,
    PHASE_SIZES,
    PHASE_QUEUES,
    PHASE_LIMITS,
    PHASE_WRITE,
    PHASE_READ_BACK,
    PHASE_CANARY,
    PHASE_DONE
} Phase;

/* Where a disk of the sample comes from, beside it under the same index. */
typedef struct {
    const ArgvDisk *argv;     /* NULL: added later, or not recognized */
    char *device, *node_name; /* as QEMU says; NULL none */
} DiskOrigin;

typedef struct Sampling {
    Vm *vm;
    SampleContext context;
    Sample sample;
    Phase phase;
    guint open;         /* questions without an answer */
    bool is_cancelled;  /* nobody waits for it, its VM is ending */
    bool is_asking;     /* an answer from within the ask must not begin the next phase */
    gint64 deadline_us; /* of the whole sample, g_get_monotonic_time() scale */
    GArray *origins;    /* of DiskOrigin; NULL without disks */
    GArray *jobs;       /* of QmpBlockJob; NULL: not asked, or no answer */
    GArray *queues;     /* of QueueTotal, one a virtio device; NULL: no evidence asked */
    GPtrArray *passing; /* questions of this phase that go through libvirt; NULL: to a monitor */
    SampleDoneFunc done;
    gpointer data;
} Sampling;

/* result NULL: QEMU refused the command. */
typedef void (*QuestionTakeFunc)(Sampling *sampling, JsonNode *result, guint index);

typedef struct {
    Sampling *sampling;
    QuestionTakeFunc take;
    guint index;
} Question;

void sampling_ask(Sampling *sampling, QmpCommand command, const char *arguments,
                  QuestionTakeFunc take, guint index);

/* One question that was asked beside the monitor is answered; may end the sampling. */
void sampling_answered(Sampling *sampling);
/* After libvirt's answer: is QEMU itself asked, too, through libvirt? The phases of evidence follow
 * then. */
bool sample_pass_begin(Sampling *sampling);
void sample_pass_ask(Sampling *sampling, QmpCommand command, const char *arguments,
                     QuestionTakeFunc take, guint index);
/* Sends what the phase has asked; the answer is counted in `open`. */
void sample_pass_flush(Sampling *sampling);
/* Asks libvirt in place of a monitor; the answer is counted in `open`. false: it cannot be. */
bool sample_ask_domain(Sampling *sampling);

void sample_fill_process(Sampling *sampling);
/* stats is of QmpBlockStats. */
void sample_fill_disks(Sampling *sampling, const GArray *stats);
/* Of DiskOrigin, with its clear function. */
GArray *sample_origins_new(guint n);
const DiskOrigin *sample_disk_origin(const Sampling *sampling, guint index);

/* Is costly evidence of that disk, of any disk, worth its price in this sample? */
bool sample_disk_wants_evidence(const Sampling *sampling, const DiskSample *disk);
bool sample_anyone_wants_evidence(const Sampling *sampling);
/* Threads, rings and the host's devices, for disks without a virtqueue or with requests in it.
 * After sample_queues_apply(). */
void sample_fill_evidence(Sampling *sampling);

/* In the base phase: now and then, and always while there is a job or a suspicion. */
void sample_ask_jobs(Sampling *sampling);
/* Gives each job's offset to the disk that it runs on. */
void sample_jobs_apply(Sampling *sampling);

void sample_ask_list(Sampling *sampling);
void sample_ask_sizes(Sampling *sampling);
void sample_ask_queues(Sampling *sampling);
/* A limit that was set after the start, by Proxmox' configuration or in a throttle-group that the
 * command line does not name: of a suspect's disks, whose patience depends on it. What may be in
 * force can only tighten what is known. */
void sample_tighten_limits(Sampling *sampling);
/* The limits of throttle-groups, in the slow round; those of the old kind, when a person asks. */
void sample_ask_groups(Sampling *sampling);
void sample_ask_block(Sampling *sampling);
/* What the next samples are for of an act on limits, see limits-request.h. */
void sample_write_limits(Sampling *sampling);
void sample_read_limits_back(Sampling *sampling);
void sample_ask_canaries(Sampling *sampling);
/* Sums the queues into the disks they carry. */
void sample_queues_apply(Sampling *sampling);
void sample_queues_free(Sampling *sampling);
