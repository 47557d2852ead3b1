/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files that make one Sample share: sample.c the order of questions, sample-disk.c disks
 * and process and memory, sample-queue.c virtqueues. */

#include "sample.h"

typedef enum {
    PHASE_START,
    PHASE_BASE,
    PHASE_LIST,
    PHASE_SIZES,
    PHASE_QUEUES,
    PHASE_CANARY,
    PHASE_DONE
} Phase;

typedef struct Sampling {
    Vm *vm;
    SampleContext context;
    Sample sample;
    Phase phase;
    guint open;         /* questions without an answer */
    bool is_cancelled;  /* nobody waits for it, its VM is ending */
    bool is_asking;     /* an answer from within the ask must not begin the next phase */
    gint64 deadline_us; /* of the whole sample, g_get_monotonic_time() scale */
    GPtrArray *drives;  /* of char *: each disk's drive id, NULL without; NULL before blockstats */
    GArray *queues;     /* of QueueTotal, one a virtio device; NULL: no evidence asked */
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

void sample_fill_process(Sampling *sampling);
/* stats is of QmpBlockStats. */
void sample_fill_disks(Sampling *sampling, const GArray *stats);

void sample_ask_list(Sampling *sampling);
void sample_ask_sizes(Sampling *sampling);
void sample_ask_queues(Sampling *sampling);
void sample_ask_canaries(Sampling *sampling);
/* Sums the queues into the disks they carry. */
void sample_queues_apply(Sampling *sampling);
void sample_queues_free(Sampling *sampling);
