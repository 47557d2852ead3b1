/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "message.h"
#include "query.h"

#include <string.h>

/* tests/data/qmp holds replies of QEMU 7.2.22 as they came over the wire: a q35 with a throttled
 * -blockdev disk, an empty CD drive and a scsi disk that is mirrored, and two virtio disks of
 * running guests, one frozen (its NBD server stopped) and one with failing writes. */
static char *
data_path(const char *name)
{
    const char *data = g_getenv("TEST_DATA");

    return g_build_filename(data ? data : "tests/data", "qmp", name, NULL);
}

static Message *
read_reply(const char *name)
{
    g_autofree char *path = data_path(name);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, &error))
        fail_msg("%s", error->message);
    Message *message = message_parse(text, length, &error);
    if (!message)
        fail_msg("%s: %s", name, error->message);
    assert_int_equal(message->kind, MESSAGE_REPLY);
    return message;
}

static Message *
reply_with(const char *value)
{
    g_autofree char *line = g_strdup_printf("{\"return\": %s, \"id\": 1}", value);
    g_autoptr(GError) error = NULL;
    Message *message = message_parse(line, strlen(line), &error);

    if (!message)
        fail_msg("%s: %s", line, error->message);
    return message;
}

static void
test_table(void **state)
{
    for (QmpCommand i = 0; i < QMP_N_COMMANDS; i++) {
        const QmpCommandInfo *info = qmp_command_info(i);
        QmpCommand found = QMP_N_COMMANDS;

        assert_non_null(info->name);
        assert_non_null(info->since);
        assert_true(info->why && info->why[0]);
        assert_true(qmp_command_find(info->name, &found));
        assert_int_equal(found, i);
        if (info->class <= QMP_CLASS_SUSPECT && !info->is_safe_in_freeze)
            fail_msg("%s would be asked of a suspect and is not safe in a freeze", info->name);
    }
}

static void
test_what_stats_images_is_for_captures(void **state)
{
    assert_int_equal(qmp_command_info(QMP_QUERY_BLOCK)->class, QMP_CLASS_CAPTURE);
    assert_false(qmp_command_info(QMP_QUERY_BLOCK)->is_safe_in_freeze);
    assert_int_equal(qmp_command_info(QMP_QUERY_NODES)->class, QMP_CLASS_CAPTURE);
    assert_false(qmp_command_info(QMP_QUERY_NODES)->is_safe_in_freeze);
    assert_int_equal(qmp_command_info(QMP_QUERY_BLOCKSTATS)->class, QMP_CLASS_TICK);
}

static void
test_unknown_commands(void **state)
{
    static const char *const harmful[] = {"stop", "quit",         "system_reset", "",
                                          "quer", "QUERY-STATUS", "query-cpus"};
    QmpCommand found = QMP_QUERY_STATUS;

    for (guint i = 0; i < G_N_ELEMENTS(harmful); i++)
        assert_false(qmp_command_find(harmful[i], &found));
    assert_int_equal(found, QMP_QUERY_STATUS);
}

static void
test_disks(void **state)
{
    g_autoptr(Message) reply = read_reply("blockstats.json");
    g_autoptr(GArray) disks = qmp_parse_blockstats(reply->body);

    assert_non_null(disks);
    assert_int_equal(disks->len, 3);
    const QmpBlockStats *blockdev = &g_array_index(disks, QmpBlockStats, 0);
    assert_null(blockdev->device);
    assert_string_equal(blockdev->qdev, "/machine/peripheral/v0/virtio-backend");
    assert_string_equal(blockdev->node_name, "t0");
    assert_true(blockdev->has_medium);
    assert_true(blockdev->has_counters);
    assert_false(blockdev->has_idle_time);
    const QmpBlockStats *cd = &g_array_index(disks, QmpBlockStats, 1);
    assert_string_equal(cd->qdev, "cd0");
    assert_null(cd->node_name);
    assert_false(cd->has_medium);
    assert_string_equal(g_array_index(disks, QmpBlockStats, 2).qdev, "sd0");
}

static void
test_counters(void **state)
{
    g_autoptr(Message) reply = read_reply("blockstats-frozen.json");
    g_autoptr(GArray) disks = qmp_parse_blockstats(reply->body);

    assert_int_equal(disks->len, 1);
    const QmpBlockStats *disk = &g_array_index(disks, QmpBlockStats, 0);
    assert_string_equal(disk->device, "d0");
    assert_true(disk->has_counters);
    assert_int_equal(disk->rd_ops, 4);
    assert_int_equal(disk->wr_ops, 9);
    assert_int_equal(disk->flush_ops, 9);
    assert_int_equal(disk->unmap_ops, 0);
    assert_int_equal(disk->rd_bytes, 12800);
    assert_int_equal(disk->wr_bytes, 589824);
    assert_int_equal(disk->total_time_ns, 41832215 + 30324131 + 2313550);
    assert_int_equal(disk->failed_ops, 0);
    assert_true(disk->has_idle_time);
    assert_int_equal(disk->idle_time_ns, 20752843249);
}

static void
test_failed_writes(void **state)
{
    g_autoptr(Message) reply = read_reply("blockstats-errors.json");
    g_autoptr(GArray) disks = qmp_parse_blockstats(reply->body);

    assert_int_equal(g_array_index(disks, QmpBlockStats, 0).failed_ops, 19);
    assert_int_equal(g_array_index(disks, QmpBlockStats, 0).wr_ops, 10);
}

static void
test_memdev(void **state)
{
    g_autoptr(Message) reply = read_reply("memdev.json");
    g_autoptr(GArray) memdevs = qmp_parse_memdev(reply->body);

    assert_int_equal(memdevs->len, 2);
    const QmpMemdev *ram = &g_array_index(memdevs, QmpMemdev, 0);
    assert_string_equal(ram->id, "pc.ram");
    assert_true(ram->has_size);
    assert_int_equal(ram->size_bytes, 128 * 1024 * 1024);
    assert_true(ram->has_share);
    assert_false(ram->is_shared);
    assert_true(g_array_index(memdevs, QmpMemdev, 1).is_shared);
}

static void
test_virtio(void **state)
{
    g_autoptr(Message) list = read_reply("virtio.json");
    g_autoptr(Message) device = read_reply("virtio-status.json");
    g_autoptr(Message) queue = read_reply("queue-status-frozen.json");
    g_autoptr(GArray) devices = qmp_parse_virtio_list(list->body);
    guint n_queues = 0;
    QmpQueueStatus status = {0};

    assert_int_equal(devices->len, 2);
    assert_string_equal(g_array_index(devices, QmpVirtio, 1).name, "virtio-blk");
    assert_string_equal(g_array_index(devices, QmpVirtio, 1).path,
                        "/machine/peripheral/v0/virtio-backend");
    assert_true(qmp_parse_virtio_status(device->body, &n_queues));
    assert_int_equal(n_queues, 1);
    assert_true(qmp_parse_queue_status(queue->body, &status));
    assert_int_equal(status.inuse, 1);
    assert_int_equal(status.used_idx, 21);
}

static void
test_jobs(void **state)
{
    g_autoptr(Message) reply = read_reply("block-jobs.json");
    g_autoptr(GArray) jobs = qmp_parse_block_jobs(reply->body);

    assert_int_equal(jobs->len, 1);
    const QmpBlockJob *job = &g_array_index(jobs, QmpBlockJob, 0);
    assert_string_equal(job->device, "job0");
    assert_string_equal(job->type, "mirror");
    assert_true(job->has_progress);
    assert_int_equal(job->offset_bytes, 8388608);
    assert_int_equal(job->length_bytes, 8388608);
}

static void
test_small_replies(void **state)
{
    g_autoptr(Message) status = read_reply("status.json");
    g_autoptr(Message) version = read_reply("version.json");
    g_autofree char *text = qmp_parse_version(version->body);

    assert_string_equal(qmp_parse_status(status->body), "prelaunch");
    assert_string_equal(text, "7.2.22");
}

static void
test_throttle(void **state)
{
    g_autoptr(Message) reply = read_reply("throttle-limits.json");
    g_autoptr(Message) partial = reply_with("{\"bps-total\": 5, \"iops-total\": 5}");
    QmpThrottle throttle = {0};

    assert_true(qmp_parse_throttle_limits(reply->body, &throttle));
    assert_int_equal(throttle.bps, 1000000);
    assert_int_equal(throttle.iops, 50);
    assert_false(qmp_parse_throttle_limits(partial->body, &throttle));
    assert_int_equal(throttle.bps, 1000000);
}

/* One disk whose reply is the recorded one with one text replaced. */
typedef struct {
    const char *name, *good, *bad;
    bool has_counters, has_idle_time;
} Hostile;

static const Hostile hostile[] = {
    {"an untouched disk has its counters", "", "", true, true},
    {"a negative counter is unknown", "\"rd_operations\": 4", "\"rd_operations\": -1", false, true},
    {"2^64 - 1 is unknown, not -1", "\"wr_bytes\": 589824", "\"wr_bytes\": 18446744073709551615",
     false, true},
    {"a missing counter is unknown", "\"rd_operations\"", "\"rd_operation\"", false, true},
    {"a fraction is no counter", "\"rd_operations\": 4", "\"rd_operations\": 4.5", false, true},
    {"a word is no counter", "\"rd_operations\": 4", "\"rd_operations\": \"4\"", false, true},
    {"null is no counter", "\"rd_operations\": 4", "\"rd_operations\": null", false, true},
    {"a list is no counter", "\"rd_operations\": 4", "\"rd_operations\": [4]", false, true},
    {"a negative idle time leaves the counters", "20752843249", "-1", true, false},
    {"a huge idle time leaves the counters", "20752843249", "1e999", true, false},
    {"stats of another type are unknown", "\"stats\": {", "\"stats\": 1, \"other\": {", false,
     false},
};

static void
test_hostile_disk(void **state)
{
    const Hostile *row = *state;
    g_autofree char *path = data_path("blockstats-frozen.json");
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    /* The disk's own stats come after its parent's. */
    char *at = row->good[0] ? g_strrstr(text, row->good) : text;
    assert_non_null(at);
    g_autofree char *line =
        g_strdup_printf("%.*s%s%s", (int)(at - text), text, row->bad, at + strlen(row->good));
    g_autoptr(Message) reply = message_parse(line, strlen(line), NULL);
    assert_non_null(reply);
    g_autoptr(GArray) disks = qmp_parse_blockstats(reply->body);

    assert_int_equal(disks->len, 1);
    const QmpBlockStats *disk = &g_array_index(disks, QmpBlockStats, 0);
    assert_true(disk->has_counters == row->has_counters);
    assert_true(disk->has_idle_time == row->has_idle_time);
    assert_int_equal(disk->wr_ops, row->has_counters ? 9 : 0);
    assert_string_equal(disk->qdev, "/machine/peripheral/disk0/virtio-backend");
}

static void
test_sums_do_not_wrap(void **state)
{
    g_autoptr(GString) value = g_string_new("[{\"node-name\": \"n\", \"stats\": {");
    static const char *const kinds[] = {"rd", "wr", "flush", "unmap"};

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        g_string_append_printf(value,
                               "\"%s_operations\": 1, \"failed_%s_operations\": 1, "
                               "\"invalid_%s_operations\": 1, "
                               "\"%s_total_time_ns\": 9223372036854775807, ",
                               kinds[i], kinds[i], kinds[i], kinds[i]);
    g_string_append(value, "\"rd_bytes\": 1, \"wr_bytes\": 1}}]");
    g_autoptr(Message) reply = reply_with(value->str);
    g_autoptr(GArray) disks = qmp_parse_blockstats(reply->body);

    assert_int_equal(disks->len, 1);
    assert_false(g_array_index(disks, QmpBlockStats, 0).has_counters);
    assert_int_equal(g_array_index(disks, QmpBlockStats, 0).total_time_ns, 0);
}

static void
test_many_disks(void **state)
{
    g_autoptr(GString) value = g_string_new("[1, null, []");

    for (guint i = 0; i < 5000; i++)
        g_string_append(value, ", {\"qdev\": \"twin\", \"device\": 7}");
    g_string_append_c(value, ']');
    g_autoptr(Message) reply = reply_with(value->str);
    g_autoptr(GArray) disks = qmp_parse_blockstats(reply->body);

    assert_int_equal(disks->len, 1024);
    assert_string_equal(g_array_index(disks, QmpBlockStats, 1023).qdev, "twin");
    assert_null(g_array_index(disks, QmpBlockStats, 0).device);
    assert_false(g_array_index(disks, QmpBlockStats, 0).has_counters);
}

static void
test_partial_records(void **state)
{
    g_autoptr(Message) job = reply_with("[{\"device\": \"d\", \"offset\": 5, \"len\": -1}]");
    g_autoptr(Message) memdev = reply_with("[{\"size\": \"big\", \"share\": 1}]");
    g_autoptr(GArray) jobs = qmp_parse_block_jobs(job->body);
    g_autoptr(GArray) memdevs = qmp_parse_memdev(memdev->body);

    assert_false(g_array_index(jobs, QmpBlockJob, 0).has_progress);
    assert_int_equal(g_array_index(jobs, QmpBlockJob, 0).offset_bytes, 0);
    assert_null(g_array_index(jobs, QmpBlockJob, 0).type);
    assert_false(g_array_index(memdevs, QmpMemdev, 0).has_size);
    assert_false(g_array_index(memdevs, QmpMemdev, 0).has_share);
    assert_null(g_array_index(memdevs, QmpMemdev, 0).id);
}

/* A reply of the wrong shape is no answer, whichever question it pretends to answer. */
static void
test_other_shape(void **state)
{
    const char *value = *state;
    g_autoptr(Message) reply = value ? reply_with(value) : NULL;
    JsonNode *body = reply ? reply->body : NULL;
    guint n_queues = 77;
    QmpQueueStatus queue = {77, 77};
    QmpThrottle throttle = {77, 77};

    assert_null(qmp_parse_blockstats(body));
    assert_null(qmp_parse_memdev(body));
    assert_null(qmp_parse_virtio_list(body));
    assert_null(qmp_parse_block_jobs(body));
    assert_null(qmp_parse_status(body));
    assert_null(qmp_parse_version(body));
    assert_false(qmp_parse_virtio_status(body, &n_queues));
    assert_false(qmp_parse_queue_status(body, &queue));
    assert_false(qmp_parse_throttle_limits(body, &throttle));
    assert_int_equal(n_queues + queue.inuse + queue.used_idx, 3 * 77);
    assert_int_equal(throttle.bps + throttle.iops, 2 * 77);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"every command stands in the table with its reason", test_table, NULL, NULL, NULL},
        {"what stats images is for captures only, and not safe",
         test_what_stats_images_is_for_captures, NULL, NULL, NULL},
        {"what is not in the table is not found", test_unknown_commands, NULL, NULL, NULL},
        {"disks are known by qdev, an empty CD has no medium", test_disks, NULL, NULL, NULL},
        {"counters of a recorded disk come out exactly", test_counters, NULL, NULL, NULL},
        {"failed writes are counted apart", test_failed_writes, NULL, NULL, NULL},
        {"guest memory has size and sharing", test_memdev, NULL, NULL, NULL},
        {"a request in flight shows in the virtqueue", test_virtio, NULL, NULL, NULL},
        {"a block job has its progress", test_jobs, NULL, NULL, NULL},
        {"status and version are words", test_small_replies, NULL, NULL, NULL},
        {"the tightest throttle limit counts", test_throttle, NULL, NULL, NULL},
        {"sums of counters do not wrap", test_sums_do_not_wrap, NULL, NULL, NULL},
        {"5000 twins of a disk end at 1024", test_many_disks, NULL, NULL, NULL},
        {"a record lacks only what it lacks", test_partial_records, NULL, NULL, NULL},
        {"no reply is no answer", test_other_shape, NULL, NULL, NULL},
        {"a number is no answer", test_other_shape, NULL, NULL, (void *)"5"},
        {"a word is no answer", test_other_shape, NULL, NULL, (void *)"\"running\""},
        {"an empty object is no answer", test_other_shape, NULL, NULL, (void *)"{}"},
        {"absurd numbers are no answer", test_other_shape, NULL, NULL,
         (void *)"{\"status\": 1, \"qemu\": {\"major\": -1, \"minor\": 2, \"micro\": 3}, "
                 "\"num-vqs\": 1025, \"inuse\": 4294967296, \"used-idx\": 65536}"},
    };
    enum { N_TESTS = G_N_ELEMENTS(tests), N_HOSTILE = G_N_ELEMENTS(hostile) };
    struct CMUnitTest all[N_TESTS + N_HOSTILE];

    memcpy(all, tests, sizeof(tests));
    for (guint i = 0; i < N_HOSTILE; i++)
        all[N_TESTS + i] = t_row(hostile[i].name, test_hostile_disk, &hostile[i]);
    return cmocka_run_group_tests(all, NULL, NULL);
}
