/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one table of monitor commands, and their replies as plain structs with has_ bits. A command
 * that is not in the table cannot be sent. Structs own their strings; *_clear frees them. A reply
 * of another shape than documented gives false, or a field without its has_ bit: never a guess. */

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/* What a command is good for, and how much it may disturb; a client allows one class and those
 * before it. */
typedef enum {
    QMP_CLASS_TICK,    /* every tick, on every VM */
    QMP_CLASS_SUSPECT, /* costly evidence, on a suspect or a slow round */
    QMP_CLASS_CANARY,  /* injects one read, where the policy allows it */
    QMP_CLASS_CAPTURE, /* once, for the evidence; what is not safe in a freeze last, if at all */
    QMP_CLASS_ENFORCE, /* changes the VM */
} QmpClass;

typedef enum {
    QMP_CAPABILITIES,
    QMP_QUERY_STATUS,
    QMP_QUERY_BLOCKSTATS,
    QMP_QUERY_BLOCK_JOBS,
    QMP_QUERY_MEMDEV,
    QMP_QUERY_BALLOON,
    QMP_QUERY_VERSION,
    QMP_QOM_GET,
    QMP_VIRTIO_LIST,         /* x-query-virtio */
    QMP_VIRTIO_STATUS,       /* x-query-virtio-status */
    QMP_VIRTIO_QUEUE_STATUS, /* x-query-virtio-queue-status */
    QMP_QUERY_JOBS,
    QMP_QUERY_IOTHREADS,
    QMP_QUERY_CPUS, /* query-cpus-fast */
    QMP_QUERY_BLOCK,
    QMP_QUERY_NODES, /* query-named-block-nodes */
    QMP_CANARY,      /* human-monitor-command, for qemu-io's asynchronous read and nothing else */
    QMP_QUERY_MIGRATE,
    QMP_SET_GROUP, /* qom-set, for the limits of a throttle-group and nothing else */
    QMP_SET_DRIVE, /* block_set_io_throttle, never with all zeros */
    QMP_N_COMMANDS,
} QmpCommand;

typedef struct {
    const char *name;
    QmpClass class;
    const char *since;      /* first QEMU that has it */
    bool is_safe_in_freeze; /* answers while the block path is frozen, measured */
    const char *why;        /* one sentence: why this class */
} QmpCommandInfo;

const QmpCommandInfo *qmp_command_info(QmpCommand command);
/* false for a name that is not in the table. */
bool qmp_command_find(const char *name, QmpCommand *ret_command);

typedef struct {
    char *device, *node_name, *qdev; /* NULL when absent or empty */
    bool has_medium;                 /* false: an empty CD drive */
    bool has_counters;
    guint64 rd_ops, wr_ops, flush_ops, unmap_ops, rd_bytes, wr_bytes;
    guint64 total_time_ns; /* rd + wr + flush + unmap */
    guint64 failed_ops;    /* failed_* + invalid_* */
    bool has_idle_time;
    guint64 idle_time_ns;
} QmpBlockStats;

typedef struct {
    char *id; /* NULL when absent */
    bool has_size;
    guint64 size_bytes;
    bool has_share, is_shared;
} QmpMemdev;

typedef struct {
    char *path, *name; /* /machine/peripheral/x/virtio-backend, virtio-blk */
} QmpVirtio;

typedef struct {
    char *device, *type; /* of a job on `device` (drive id, or the job's id) */
    guint64 offset_bytes, length_bytes;
    bool has_progress;
    bool is_working;   /* not paused, not ready, not waiting to be finished: it should move */
    guint64 speed_bps; /* its own limit; 0 none */
} QmpBlockJob;

typedef struct {
    guint32 inuse;
    guint32 used_idx;
} QmpQueueStatus;

/* Arrays of structs, freed with g_array_unref (a clear function is set); NULL for another shape. */
GArray *qmp_parse_blockstats(JsonNode *result);
GArray *qmp_parse_memdev(JsonNode *result);
/* What the balloon leaves the guest. */
bool qmp_parse_balloon(JsonNode *result, guint64 *ret_bytes);
GArray *qmp_parse_virtio_list(JsonNode *result);
GArray *qmp_parse_block_jobs(JsonNode *result);
/* The status word ("running"), borrowed from result; NULL for another shape. */
const char *qmp_parse_status(JsonNode *result);
/* "7.2.22", a new string; NULL for another shape. */
char *qmp_parse_version(JsonNode *result);
bool qmp_parse_virtio_status(JsonNode *result, guint *ret_num_queues);
bool qmp_parse_queue_status(JsonNode *result, QmpQueueStatus *ret_status);

/* A throttle-group's `limits` property: bytes/s and operations/s, 0 = none. The tightest of total,
 * read and write counts, because any of them can hold a write. */
typedef struct {
    guint64 bps, iops;
} QmpThrottle;
bool qmp_parse_throttle_limits(JsonNode *result, QmpThrottle *ret_throttle);
