/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "canary.h"
#include "sample-private.h"

#include "arguments.h"
#include "query.h"

#include <string.h>

/* qemu-io answers an empty text when it took the command, else what it did not like. */
static void
take_canary(Sampling *sampling, JsonNode *result, guint index)
{
    const DiskSample *disk = &sampling->sample.disks[index];
    const char *text =
        result && JSON_NODE_HOLDS_VALUE(result) ? json_node_get_string(result) : NULL;

    if (text && !*text)
        canary_sent(sampling->vm, disk, sampling->context.now_us);
}

void
sample_ask_canaries(Sampling *sampling)
{
    Vm *vm = sampling->vm;

    for (guint i = 0; i < sampling->sample.n_disks; i++) {
        const DiskSample *disk = &sampling->sample.disks[i];
        const char *drive = sample_disk_origin(sampling, i)->device;
        /* without a drive id the id is the device's path, or a node name, which hangs QEMU */
        bool is_qdev = !drive && *disk->id == '/';
        g_autofree char *arguments = NULL;

        if (!canary_is_wanted(vm, disk, sampling->context.now_us) || (!drive && !is_qdev))
            continue;
        arguments = qmp_arguments_canary(drive ? drive : disk->id, is_qdev);
        if (!arguments)
            continue;
        qmp_client_set_class(vm->client, QMP_CLASS_CANARY);
        sampling_ask(sampling, QMP_CANARY, arguments, take_canary, i);
    }
}
