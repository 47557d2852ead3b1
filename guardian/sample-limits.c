/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arguments.h"
#include "block.h"
#include "drift-look.h"
#include "limits-request.h"
#include "message.h"
#include "pairs.h"
#include "pve-look.h"
#include "sample-private.h"

#include "freeze.h"

#include <string.h>

static void
ask_group(Sampling *sampling, const char *group, QuestionTakeFunc take, guint index)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", group);
    g_autofree char *arguments = qmp_arguments_path_property(path, "limits");

    sampling_ask(sampling, QMP_QOM_GET, arguments, take, index);
}

static void
take_throttle(Sampling *sampling, JsonNode *result, guint index)
{
    Vm *vm = sampling->vm;
    const ArgvDisk *disk = vm->argv->disks->pdata[index];
    QmpThrottle throttle;

    if (result && qmp_parse_throttle_limits(result, &throttle))
        g_hash_table_replace(vm->throttles, g_strdup(disk->throttle_group),
                             g_memdup2(&throttle, sizeof throttle));
    drift_look_take_group(vm, disk->throttle_group, result,
                          host_realtime_us(sampling->context.host));
}

static void
take_probe(Sampling *sampling, JsonNode *result, guint index)
{
    const GPtrArray *probes = drift_look_probed(sampling->vm->drift);

    drift_look_take_group(sampling->vm, probes->pdata[index], result,
                          host_realtime_us(sampling->context.host));
}

static bool
argv_has_group(const Argv *argv, const char *group)
{
    for (guint i = 0; i < argv->disks->len; i++)
        if (g_strcmp0(((const ArgvDisk *)argv->disks->pdata[i])->throttle_group, group) == 0)
            return true;
    return false;
}

void
sample_ask_groups(Sampling *sampling)
{
    const Argv *argv = sampling->vm->argv;
    const GPtrArray *probes = drift_look_probes(sampling->vm);

    for (guint i = 0; i < argv->disks->len; i++) {
        const ArgvDisk *disk = argv->disks->pdata[i];

        if (disk->throttle_group)
            ask_group(sampling, disk->throttle_group, take_throttle, i);
    }
    for (guint i = 0; i < probes->len; i++)
        if (!argv_has_group(argv, probes->pdata[i]))
            ask_group(sampling, probes->pdata[i], take_probe, i);
}

/* Names and values of the -drive's limits in query-block's answer; borrowed, NULL: it is not there.
 */
static char **
drive_pairs(const Vm *vm)
{
    gint64 asked_us;
    const GArray *blocks = drift_look_blocks(vm->drift, &asked_us);

    for (guint i = 0; blocks && i < blocks->len; i++) {
        const QmpBlock *block = &g_array_index(blocks, QmpBlock, i);

        if (g_strcmp0(block->device, limits_request_id(vm)) == 0)
            return block->inserted;
    }
    return NULL;
}

static void
take_block(Sampling *sampling, JsonNode *result, guint index)
{
    Vm *vm = sampling->vm;

    drift_look_take_block(vm, result, host_realtime_us(sampling->context.host));
    if (limits_request_is_drive(vm))
        limits_request_take_value(vm, result ? drive_pairs(vm) : NULL);
}

static void
take_value(Sampling *sampling, JsonNode *result, guint index)
{
    g_auto(GStrv) pairs = result && JSON_NODE_HOLDS_OBJECT(result)
                              ? pairs_from_object(json_node_get_object(result))
                              : NULL;
    const char *group;

    if (!limits_request_is_group(sampling->vm, &group))
        return;
    drift_look_take_group(sampling->vm, group, result, host_realtime_us(sampling->context.host));
    limits_request_take_value(sampling->vm, pairs);
}

static void
take_jobs(Sampling *sampling, JsonNode *result, guint index)
{
    g_autoptr(GArray) jobs = result ? qmp_parse_block_jobs(result) : NULL;

    limits_request_take_jobs(sampling->vm, jobs);
}

static void
take_migration(Sampling *sampling, JsonNode *result, guint index)
{
    JsonObject *object =
        result && JSON_NODE_HOLDS_OBJECT(result) ? json_node_get_object(result) : NULL;
    const char *status = object ? message_get_string(object, "status") : NULL;

    /* Of a VM that never migrated the answer is empty. */
    limits_request_take_migration(sampling->vm, object ? status ? status : "none" : NULL);
}

static void
ask_block(Sampling *sampling)
{
    qmp_client_set_class(sampling->vm->client, QMP_CLASS_CAPTURE);
    sampling_ask(sampling, QMP_QUERY_BLOCK, NULL, take_block, 0);
    if (sampling->vm->client) /* an answer from within may have ended it */
        qmp_client_set_class(sampling->vm->client, QMP_CLASS_SUSPECT);
}

/* Jobs and migration come before the value, which may end the request. */
void
sample_ask_block(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    bool wants_block = drift_look_wants_block(vm, sampling->context.now_us);
    const char *group = NULL;
    bool is_group = limits_request_is_group(vm, &group);

    if (is_group || limits_request_is_calm(vm) || (wants_block && limits_request_is_drive(vm))) {
        qmp_client_set_class(vm->client, QMP_CLASS_SUSPECT);
        sampling_ask(sampling, QMP_QUERY_BLOCK_JOBS, NULL, take_jobs, 0);
        sampling_ask(sampling, QMP_QUERY_MIGRATE, NULL, take_migration, 0);
    }
    if (is_group)
        ask_group(sampling, group, take_value, 0);
    if (wants_block)
        ask_block(sampling);
}

static void
take_written(Sampling *sampling, JsonNode *result, guint index)
{
    if (!result)
        limits_request_refused(sampling->vm);
}

void
sample_write_limits(Sampling *sampling)
{
    Vm *vm = sampling->vm;
    bool is_group = false;
    g_autofree char *arguments = limits_request_arguments(vm, &is_group);

    if (!arguments)
        return;
    qmp_client_set_class(vm->client, QMP_CLASS_ENFORCE);
    sampling_ask(sampling, is_group ? QMP_SET_GROUP : QMP_SET_DRIVE, arguments, take_written, 0);
    if (vm->client)
        qmp_client_set_class(vm->client, QMP_CLASS_SUSPECT);
}

/* The tightest of total, read and write: any of them can hold a request. 0 none. */
static guint64
tightest(const Throttle *throttle, ThrottleLimit first)
{
    guint64 least = 0;

    for (guint i = 0; i < 3; i++) {
        guint64 rate = throttle->fields[THROTTLE_FIELD(first + i, THROTTLE_RATE)];

        if (rate > 0 && (least == 0 || rate < least))
            least = rate;
    }
    return least;
}

static void
tighten(guint64 *limit, guint64 other)
{
    if (other > 0 && (*limit == 0 || other < *limit))
        *limit = other;
}

/* What query-block said of a -drive is newer than the command line, which may have been loosened.
 */
static void
take_live(DiskSample *disk, const Throttle *live)
{
    disk->limit_bps = tightest(live, THROTTLE_BPS_TOTAL);
    disk->limit_iops = tightest(live, THROTTLE_IOPS_TOTAL);
    disk->has_limit = disk->limit_bps > 0 || disk->limit_iops > 0;
    disk->limit_is_of_start = false;
}

/* A configuration that was written since QEMU told its limits may have reached QEMU, or not. */
static void
tighten_disk(DiskSample *disk, const DriftDisk *known, gint64 written_us)
{
    static const DriftSide sides[] = {DRIFT_LIVE, DRIFT_CONFIGURATION};
    bool is_told = g_strcmp0(known->live_source, DRIFT_LIVE_BLOCK) == 0;

    if (is_told)
        take_live(disk, known->sides[DRIFT_LIVE]);
    if (is_told && written_us <= known->live_us)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(sides); i++) {
        const Throttle *throttle = known->sides[sides[i]];
        guint64 bps = disk->has_limit ? disk->limit_bps : 0;
        guint64 iops = disk->has_limit ? disk->limit_iops : 0;

        if (!throttle)
            continue;
        tighten(&bps, tightest(throttle, THROTTLE_BPS_TOTAL));
        tighten(&iops, tightest(throttle, THROTTLE_IOPS_TOTAL));
        disk->has_limit = disk->has_limit || bps > 0 || iops > 0;
        disk->limit_bps = bps;
        disk->limit_iops = iops;
    }
}

void
sample_tighten_limits(Sampling *sampling)
{
    Sample *sample = &sampling->sample;
    g_autoptr(GPtrArray) known = NULL;

    if (!freeze_is_suspect(&sampling->vm->track))
        return;
    known = drift_look_disks(sampling->vm, host_realtime_us(sampling->context.host));
    for (guint i = 0; i < known->len; i++) {
        const DriftDisk *disk = known->pdata[i];

        for (guint j = 0; j < sample->n_disks; j++)
            if (strcmp(sample->disks[j].label, disk->name) == 0)
                tighten_disk(&sample->disks[j], disk, pve_look_written_us(sampling->vm->pve));
    }
}

void
sample_read_limits_back(Sampling *sampling)
{
    const char *group;

    if (!limits_request_wants_read_back(sampling->vm))
        return;
    if (limits_request_is_group(sampling->vm, &group))
        ask_group(sampling, group, take_value, 0);
    else
        ask_block(sampling);
}
