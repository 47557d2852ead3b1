/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "query.h"

#include "message.h"

#include <string.h>

/* What may be believed of a reply, and what becomes of the rest:
 *
 *   - a reply that is not the list or the object it should be is no answer: NULL or false;
 *   - an element of a list that is not an object names nothing and is passed over;
 *   - a counter that is missing, negative, past 2^63 - 1 or whose sum overflows makes all counters
 *     of that disk unknown: half of a disk's counters cannot tell progress from none;
 *   - empty strings are absent: QEMU prints "device": "" for -blockdev disks;
 *   - two records with one name are both kept: which of them is the disk is not known here;
 *   - past RECORDS_MAX records the rest is passed over. */

/* QEMU limits neither; a machine with more disks than this does not boot, and a hostile reply of
 * 10 MiB could otherwise make half a million records. */
#define RECORDS_MAX 1024
/* VIRTIO_QUEUE_MAX of QEMU. */
#define VIRTIO_QUEUES_MAX 1024

static const QmpCommandInfo commands[QMP_N_COMMANDS] = {
    [QMP_CAPABILITIES] = {"qmp_capabilities", QMP_CLASS_TICK, "0.13", true,
                          "Opens the conversation; changes nothing in the VM."},
    [QMP_QUERY_STATUS] = {"query-status", QMP_CLASS_TICK, "0.14", true,
                          "Reads one variable; only a running VM can be frozen."},
    [QMP_QUERY_BLOCKSTATS] = {"query-blockstats", QMP_CLASS_TICK, "0.14", true,
                              "Reads counters in memory, 22 us a disk; the heart of every tick."},
    [QMP_QUERY_BLOCK_JOBS] = {"query-block-jobs", QMP_CLASS_TICK, "1.1", true,
                              "Reads the jobs' offsets; a stuck backup target shows only here."},
    [QMP_QUERY_MEMDEV] = {"query-memdev", QMP_CLASS_TICK, "2.1", true,
                          "Reads sizes that rarely change; asked on slow rounds."},
    [QMP_QUERY_BALLOON] = {"query-balloon", QMP_CLASS_TICK, "0.14", true,
                           "Reads one number of the balloon device; asked on slow rounds."},
    [QMP_QUERY_VERSION] = {"query-version", QMP_CLASS_TICK, "0.14", true,
                           "A constant; asked once a connection."},
    [QMP_QOM_GET] = {"qom-get", QMP_CLASS_SUSPECT, "1.2", true,
                     "Runs a getter of the object asked; only throttle limits, on slow rounds."},
    [QMP_VIRTIO_LIST] = {"x-query-virtio", QMP_CLASS_SUSPECT, "7.2", true,
                         "Walks every virtio device; unstable name, needed before the queues."},
    [QMP_VIRTIO_STATUS] = {"x-query-virtio-status", QMP_CLASS_SUSPECT, "7.2", true,
                           "A long reply for one number, how many queues there are."},
    [QMP_VIRTIO_QUEUE_STATUS] = {"x-query-virtio-queue-status", QMP_CLASS_SUSPECT, "7.2", true,
                                 "Requests in flight, 0.7 ms a queue: too dear for every tick."},
    [QMP_QUERY_JOBS] = {"query-jobs", QMP_CLASS_CAPTURE, "3.0", true,
                        "Reads the states of all jobs; evidence, but no signal of its own."},
    [QMP_QUERY_IOTHREADS] = {"query-iothreads", QMP_CLASS_CAPTURE, "2.0", true,
                             "Reads thread ids; tells which of /proc's threads serves a disk."},
    [QMP_QUERY_CPUS] = {"query-cpus-fast", QMP_CLASS_CAPTURE, "2.12", true,
                        "Reads thread ids without stopping a vCPU, as query-cpus did."},
    [QMP_CANARY] = {"human-monitor-command", QMP_CLASS_CANARY, "0.14", true,
                    "Only as qemu-io's aio_read of 512 bytes: 1 ms, never drains."},
    [QMP_QUERY_BLOCK] = {"query-block", QMP_CLASS_CAPTURE, "0.14", false,
                         "Stats every medium in the main loop: one on dead storage hangs the VM."},
    [QMP_QUERY_MIGRATE] = {"query-migrate", QMP_CLASS_SUSPECT, "0.14", true,
                           "Reads one state; asked before a write, which a migration forbids."},
    [QMP_SET_GROUP] = {"qom-set", QMP_CLASS_ENFORCE, "1.2", true,
                       "Only as limits of a throttle-group, one of them above zero: 1 ms."},
    [QMP_SET_DRIVE] = {"block_set_io_throttle", QMP_CLASS_ENFORCE, "1.1", true,
                       "Only with a rate above zero: all zeros drain, which can hang QEMU."},
    [QMP_QUERY_NODES] = {"query-named-block-nodes", QMP_CLASS_CAPTURE, "2.0", false,
                         "Stats every image of every chain in the main loop, as query-block."},
};

/* A member of "stats" and the field it adds to. */
typedef struct {
    const char *member;
    gsize offset;
} Counter;

#define FIELD(name) offsetof(QmpBlockStats, name)

static const Counter counters[] = {
    {"rd_operations", FIELD(rd_ops)},
    {"wr_operations", FIELD(wr_ops)},
    {"flush_operations", FIELD(flush_ops)},
    {"unmap_operations", FIELD(unmap_ops)},
    {"rd_bytes", FIELD(rd_bytes)},
    {"wr_bytes", FIELD(wr_bytes)},
    {"rd_total_time_ns", FIELD(total_time_ns)},
    {"wr_total_time_ns", FIELD(total_time_ns)},
    {"flush_total_time_ns", FIELD(total_time_ns)},
    {"unmap_total_time_ns", FIELD(total_time_ns)},
    {"failed_rd_operations", FIELD(failed_ops)},
    {"failed_wr_operations", FIELD(failed_ops)},
    {"failed_flush_operations", FIELD(failed_ops)},
    {"failed_unmap_operations", FIELD(failed_ops)},
    {"invalid_rd_operations", FIELD(failed_ops)},
    {"invalid_wr_operations", FIELD(failed_ops)},
    {"invalid_flush_operations", FIELD(failed_ops)},
    {"invalid_unmap_operations", FIELD(failed_ops)},
};

typedef void (*RecordFunc)(JsonObject *object, gpointer record);

const QmpCommandInfo *
qmp_command_info(QmpCommand command)
{
    g_assert(command < QMP_N_COMMANDS);
    return &commands[command];
}

bool
qmp_command_find(const char *name, QmpCommand *ret_command)
{
    for (guint i = 0; i < QMP_N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *ret_command = i;
            return true;
        }
    }
    return false;
}

static JsonObject *
node_object(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static char *
dup_string(JsonObject *object, const char *member)
{
    const char *text = message_get_string(object, member);

    return text && text[0] ? g_strdup(text) : NULL;
}

/* Every object of the list becomes one zeroed record that func fills. */
static GArray *
parse_records(JsonNode *result, gsize record_size, GDestroyNotify clear, RecordFunc func)
{
    if (!result || !JSON_NODE_HOLDS_ARRAY(result))
        return NULL;

    JsonArray *list = json_node_get_array(result);
    guint length = json_array_get_length(list);
    GArray *records = g_array_new(FALSE, TRUE, record_size);
    g_array_set_clear_func(records, clear);
    for (guint i = 0; i < length && records->len < RECORDS_MAX; i++) {
        JsonObject *object = node_object(json_array_get_element(list, i));
        if (!object)
            continue;
        g_array_set_size(records, records->len + 1);
        func(object, records->data + (records->len - 1) * record_size);
    }
    return records;
}

static bool
counter_add(JsonObject *stats, const Counter *counter, QmpBlockStats *disk)
{
    guint64 *sum = G_STRUCT_MEMBER_P(disk, counter->offset);
    guint64 value;

    return message_get_u64(stats, counter->member, &value) &&
           g_uint64_checked_add(sum, *sum, value);
}

/* All or nothing: the counters of disk are only set when every one of them was good. */
static void
parse_counters(JsonObject *stats, QmpBlockStats *disk)
{
    QmpBlockStats read = *disk;

    for (guint i = 0; i < G_N_ELEMENTS(counters); i++)
        if (!counter_add(stats, &counters[i], &read))
            return;
    read.has_counters = true;
    *disk = read;
}

static void
parse_disk(JsonObject *object, gpointer record)
{
    QmpBlockStats *disk = record;
    JsonObject *stats = message_get_object(object, "stats");

    disk->device = dup_string(object, "device");
    disk->node_name = dup_string(object, "node-name");
    disk->qdev = dup_string(object, "qdev");
    disk->has_medium = disk->node_name;
    if (!stats)
        return;
    parse_counters(stats, disk);
    disk->has_idle_time = message_get_u64(stats, "idle_time_ns", &disk->idle_time_ns);
}

static void
disk_clear(gpointer record)
{
    QmpBlockStats *disk = record;

    g_free(disk->device);
    g_free(disk->node_name);
    g_free(disk->qdev);
}

GArray *
qmp_parse_blockstats(JsonNode *result)
{
    return parse_records(result, sizeof(QmpBlockStats), disk_clear, parse_disk);
}

static void
parse_memdev(JsonObject *object, gpointer record)
{
    QmpMemdev *memdev = record;

    memdev->id = dup_string(object, "id");
    memdev->has_size = message_get_u64(object, "size", &memdev->size_bytes);
    memdev->has_share = message_get_bool(object, "share", &memdev->is_shared);
}

static void
memdev_clear(gpointer record)
{
    g_free(((QmpMemdev *)record)->id);
}

GArray *
qmp_parse_memdev(JsonNode *result)
{
    return parse_records(result, sizeof(QmpMemdev), memdev_clear, parse_memdev);
}

static void
parse_virtio(JsonObject *object, gpointer record)
{
    QmpVirtio *virtio = record;

    virtio->path = dup_string(object, "path");
    virtio->name = dup_string(object, "name");
}

static void
virtio_clear(gpointer record)
{
    QmpVirtio *virtio = record;

    g_free(virtio->path);
    g_free(virtio->name);
}

GArray *
qmp_parse_virtio_list(JsonNode *result)
{
    return parse_records(result, sizeof(QmpVirtio), virtio_clear, parse_virtio);
}

/* The status is told since QEMU 2.12, paused and ready for longer. */
static bool
job_is_working(JsonObject *object)
{
    const char *status = message_get_string(object, "status");
    bool is_paused = false, is_ready = false;

    (void)message_get_bool(object, "paused", &is_paused);
    (void)message_get_bool(object, "ready", &is_ready);
    return !is_paused && !is_ready && (!status || strcmp(status, "running") == 0);
}

static void
parse_job(JsonObject *object, gpointer record)
{
    QmpBlockJob *job = record;
    guint64 offset, length;

    job->device = dup_string(object, "device");
    job->type = dup_string(object, "type");
    job->is_working = job_is_working(object);
    (void)message_get_u64(object, "speed", &job->speed_bps);
    if (!message_get_u64(object, "offset", &offset) || !message_get_u64(object, "len", &length))
        return;
    job->offset_bytes = offset;
    job->length_bytes = length;
    job->has_progress = true;
}

static void
job_clear(gpointer record)
{
    QmpBlockJob *job = record;

    g_free(job->device);
    g_free(job->type);
}

GArray *
qmp_parse_block_jobs(JsonNode *result)
{
    return parse_records(result, sizeof(QmpBlockJob), job_clear, parse_job);
}

const char *
qmp_parse_status(JsonNode *result)
{
    JsonObject *object = node_object(result);

    return object ? message_get_string(object, "status") : NULL;
}

bool
qmp_parse_balloon(JsonNode *result, guint64 *ret_bytes)
{
    JsonObject *object = node_object(result);

    return object && message_get_u64(object, "actual", ret_bytes);
}

char *
qmp_parse_version(JsonNode *result)
{
    JsonObject *object = node_object(result);
    JsonObject *qemu = object ? message_get_object(object, "qemu") : NULL;
    guint64 major, minor, micro;

    if (!qemu || !message_get_u64(qemu, "major", &major) ||
        !message_get_u64(qemu, "minor", &minor) || !message_get_u64(qemu, "micro", &micro))
        return NULL;
    return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT, major,
                           minor, micro);
}

bool
qmp_parse_virtio_status(JsonNode *result, guint *ret_num_queues)
{
    JsonObject *object = node_object(result);
    guint64 queues;

    if (!object || !message_get_u64(object, "num-vqs", &queues) || queues > VIRTIO_QUEUES_MAX)
        return false;
    *ret_num_queues = queues;
    return true;
}

bool
qmp_parse_queue_status(JsonNode *result, QmpQueueStatus *ret_status)
{
    JsonObject *object = node_object(result);
    guint64 inuse, used_idx;

    if (!object || !message_get_u64(object, "inuse", &inuse) || inuse > G_MAXUINT32 ||
        !message_get_u64(object, "used-idx", &used_idx) || used_idx > G_MAXUINT16)
        return false;
    *ret_status = (QmpQueueStatus){.inuse = inuse, .used_idx = used_idx};
    return true;
}

/* The smallest of three limits that is one; 0 when none is. */
static bool
tightest_limit(JsonObject *object, const char *const members[3], guint64 *ret_limit)
{
    guint64 tightest = 0;

    for (guint i = 0; i < 3; i++) {
        guint64 value;
        if (!message_get_u64(object, members[i], &value))
            return false;
        if (value > 0 && (tightest == 0 || value < tightest))
            tightest = value;
    }
    *ret_limit = tightest;
    return true;
}

bool
qmp_parse_throttle_limits(JsonNode *result, QmpThrottle *ret_throttle)
{
    static const char *const bps[] = {"bps-total", "bps-read", "bps-write"};
    static const char *const iops[] = {"iops-total", "iops-read", "iops-write"};
    JsonObject *object = node_object(result);
    QmpThrottle throttle;

    if (!object || !tightest_limit(object, bps, &throttle.bps) ||
        !tightest_limit(object, iops, &throttle.iops))
        return false;
    *ret_throttle = throttle;
    return true;
}
