/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which disk a block job runs on. QEMU names a job, not a disk: by default after the drive, libvirt
 * after the disk and the block node ("backup-vda-libvirt-3-format"), anybody else as he likes. With
 * one disk it is that disk's. */

#include "sample-private.h"

#include "query.h"

#include <string.h>

/* Whether a job runs: a stalled one is told from one that never moves only by having seen it move.
 */
#define JOBS_ROUND_US (10 * G_USEC_PER_SEC)

static void
take_jobs(Sampling *sampling, JsonNode *result, guint index)
{
    sampling->jobs = result ? qmp_parse_block_jobs(result) : NULL;
    sampling->vm->has_jobs = sampling->jobs && sampling->jobs->len > 0;
    sampling->vm->jobs_us = sampling->context.now_us;
}

void
sample_ask_jobs(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    gint64 now = sampling->context.now_us;

    if (vm->jobs_us == 0) /* the first sample has enough to ask */
        vm->jobs_us = now;
    if (sampling->context.wants_all_evidence || vm->has_jobs ||
        now - vm->jobs_us >= JOBS_ROUND_US || freeze_is_suspect(&vm->track))
        sampling_ask(sampling, QMP_QUERY_BLOCK_JOBS, NULL, take_jobs, 0);
}

static bool
ends_with_node(const char *job, const char *node_name)
{
    gsize length = strlen(job), node_length = node_name ? strlen(node_name) : 0;

    return node_length > 0 && length > node_length && job[length - node_length - 1] == '-' &&
           g_str_has_suffix(job, node_name);
}

static bool
job_is_of_disk(const char *job, const DiskSample *disk, const DiskOrigin *origin)
{
    return strcmp(job, disk->id) == 0 || strcmp(job, disk->label) == 0 ||
           g_strcmp0(job, origin->device) == 0 || g_strcmp0(job, origin->node_name) == 0 ||
           ends_with_node(job, origin->node_name);
}

void
sample_jobs_apply(Sampling *sampling)
{
    Sample *sample = &sampling->sample;

    for (guint i = 0; sampling->jobs && i < sampling->jobs->len; i++) {
        const QmpBlockJob *job = &g_array_index(sampling->jobs, QmpBlockJob, i);

        for (guint j = 0; job->has_progress && job->is_working && j < sample->n_disks; j++) {
            DiskSample *disk = &sample->disks[j];
            bool is_named =
                job->device && job_is_of_disk(job->device, disk, sample_disk_origin(sampling, j));

            if (!is_named && sample->n_disks > 1)
                continue;
            disk->has_job = true;
            disk->job_offset_bytes = job->offset_bytes;
            disk->job_speed_bps = job->speed_bps;
        }
    }
}
