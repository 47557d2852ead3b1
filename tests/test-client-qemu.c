/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "t.h"

#include "arguments.h"
#include "client.h"
#include "proxy.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The client against a real QEMU, through the recording proxy. */

#define QEMU "qemu-system-x86_64"
/* A QEMU that starts on a loaded machine. */
#define PATIENT_US (30 * G_USEC_PER_SEC)
/* The longest a shared monitor may be held. */
#define HOLD_CAP_US (500 * 1000)
#define BLK "/machine/peripheral/v0/virtio-backend"

typedef struct {
    char *directory, *socket_path;
    GSubprocess *qemu;
    Proxy *proxy;
    GMainContext *context;
    QmpClient *client;
    JsonNode *result; /* of the last answer */
    char *error;
    guint n_answers;
} Monitor;

static struct sockaddr_un
unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_true(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) <
                sizeof(address.sun_path));
    return address;
}

static void
die_with_parent(gpointer data)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* QEMU inherits the listening socket, so there is nothing to wait for. */
static GSubprocess *
start_qemu(const char *socket_path)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GError) error = NULL;
    struct sockaddr_un address = unix_address(socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    g_subprocess_launcher_take_fd(launcher, fd, 3);
    g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
    GSubprocess *qemu = g_subprocess_launcher_spawn(
        launcher, &error, QEMU, "-S", "-nodefaults", "-display", "none", "-machine", "q35",
        "-accel", "tcg", "-m", "128", "-object", "throttle-group,id=tg0,x-bps-total=1000000",
        "-blockdev", "driver=null-co,node-name=n0", "-device", "virtio-blk-pci,id=v0,drive=n0",
        "-device", "ide-cd,id=cd0", "-chardev", "socket,id=q,fd=3,server=on,wait=off", "-mon",
        "chardev=q,mode=control", NULL);
    if (!qemu)
        fail_msg("%s", error->message);
    return qemu;
}

static int
connect_monitor(const Monitor *monitor)
{
    struct sockaddr_un address = unix_address(monitor->socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int
setup(void **state)
{
    g_autofree char *qemu = g_find_program_in_path(QEMU);
    g_autoptr(GError) error = NULL;
    Monitor *monitor = g_new0(Monitor, 1);

    *state = monitor;
    if (!qemu)
        return 0;
    monitor->directory = g_dir_make_tmp("vm-guardian-XXXXXX", NULL);
    monitor->socket_path = g_build_filename(monitor->directory, "qmp", NULL);
    monitor->qemu = start_qemu(monitor->socket_path);
    monitor->proxy = proxy_new(-1, monitor->socket_path, NULL, NULL, &error);
    if (!monitor->proxy)
        fail_msg("%s", error->message);
    monitor->context = g_main_context_new();
    monitor->client = qmp_client_new(connect_monitor(monitor), monitor->context, QMP_CLASS_SUSPECT);
    return 0;
}

static int
teardown(void **state)
{
    Monitor *monitor = *state;

    qmp_client_free(monitor->client);
    proxy_free(monitor->proxy);
    g_clear_pointer(&monitor->context, g_main_context_unref);
    if (monitor->qemu) {
        g_subprocess_force_exit(monitor->qemu);
        g_subprocess_wait(monitor->qemu, NULL, NULL);
        g_object_unref(monitor->qemu);
        g_unlink(monitor->socket_path);
        g_rmdir(monitor->directory);
    }
    g_clear_pointer(&monitor->result, json_node_unref);
    g_free(monitor->error);
    g_free(monitor->socket_path);
    g_free(monitor->directory);
    g_free(monitor);
    return 0;
}

static void
on_answer(QmpClient *client, JsonNode *result, const GError *error, gint64 waited_us, gpointer data)
{
    Monitor *monitor = data;

    monitor->n_answers++;
    g_clear_pointer(&monitor->result, json_node_unref);
    g_free(monitor->error);
    monitor->result = result ? json_node_ref(result) : NULL;
    monitor->error = g_strdup(error ? error->message : NULL);
}

static JsonNode *
ask_with(Monitor *monitor, QmpCommand command, const char *arguments)
{
    guint before = monitor->n_answers;

    qmp_client_ask(monitor->client, command, arguments, PATIENT_US, on_answer, monitor);
    while (monitor->n_answers == before)
        g_main_context_iteration(monitor->context, TRUE);
    if (monitor->error)
        fail_msg("%s", monitor->error);
    return monitor->result;
}

static JsonNode *
ask(Monitor *monitor, QmpCommand command)
{
    return ask_with(monitor, command, NULL);
}

static void
test_tick_commands(void **state)
{
    Monitor *monitor = *state;
    t_skip_unless(monitor->qemu, "no " QEMU);
    g_autofree char *version = qmp_parse_version(ask(monitor, QMP_QUERY_VERSION));
    g_autoptr(GArray) disks = qmp_parse_blockstats(ask(monitor, QMP_QUERY_BLOCKSTATS));
    g_autoptr(GArray) memdevs = qmp_parse_memdev(ask(monitor, QMP_QUERY_MEMDEV));
    g_autoptr(GArray) jobs = qmp_parse_block_jobs(ask(monitor, QMP_QUERY_BLOCK_JOBS));
    ProxySummary summary;

    assert_non_null(version);
    assert_string_equal(qmp_parse_status(ask(monitor, QMP_QUERY_STATUS)), "prelaunch");
    assert_int_equal(disks->len, 2);
    const QmpBlockStats *disk = &g_array_index(disks, QmpBlockStats, 0);
    assert_string_equal(disk->qdev, BLK);
    assert_true(disk->has_counters && disk->has_medium);
    assert_false(g_array_index(disks, QmpBlockStats, 1).has_medium);
    assert_int_equal(memdevs->len, 1);
    assert_int_equal(g_array_index(memdevs, QmpMemdev, 0).size_bytes, 128 * 1024 * 1024);
    assert_int_equal(jobs->len, 0);

    proxy_get_summary(monitor->proxy, &summary);
    assert_int_equal(summary.n_commands, 6);
    assert_int_equal(summary.n_by_class[QMP_CLASS_TICK], 6);
}

static void
test_suspect_commands(void **state)
{
    Monitor *monitor = *state;
    t_skip_unless(monitor->qemu, "no " QEMU);
    g_autofree char *path = qmp_arguments_path(BLK);
    g_autofree char *queue = qmp_arguments_path_queue(BLK, 0);
    g_autofree char *limits = qmp_arguments_path_property("/objects/tg0", "limits");
    g_autoptr(GArray) devices = qmp_parse_virtio_list(ask(monitor, QMP_VIRTIO_LIST));
    guint n_queues = 0;
    QmpQueueStatus status = {77, 77};
    QmpThrottle throttle = {0};
    ProxySummary summary;

    assert_int_equal(devices->len, 1);
    assert_string_equal(g_array_index(devices, QmpVirtio, 0).path, BLK);
    assert_true(qmp_parse_virtio_status(ask_with(monitor, QMP_VIRTIO_STATUS, path), &n_queues));
    assert_int_equal(n_queues, 1);
    assert_true(qmp_parse_queue_status(ask_with(monitor, QMP_VIRTIO_QUEUE_STATUS, queue), &status));
    assert_int_equal(status.inuse, 0);
    assert_true(qmp_parse_throttle_limits(ask_with(monitor, QMP_QOM_GET, limits), &throttle));
    assert_int_equal(throttle.bps, 1000000);
    assert_int_equal(throttle.iops, 0);

    proxy_get_summary(monitor->proxy, &summary);
    assert_int_equal(summary.n_by_class[QMP_CLASS_SUSPECT], 4);
    assert_int_equal(summary.n_by_class[QMP_CLASS_TICK], 1);
    assert_int_equal(summary.n_foreign, 0);
}

/* Leaves in the callback, as on a shared monitor. */
static void
on_answer_leave(QmpClient *client, JsonNode *result, const GError *error, gint64 waited_us,
                gpointer data)
{
    Monitor *monitor = data;

    qmp_client_free(client);
    monitor->client = NULL;
    monitor->n_answers += result != NULL;
}

static void
test_connect_ask_leave(void **state)
{
    Monitor *monitor = *state;
    t_skip_unless(monitor->qemu, "no " QEMU);
    guint rounds = 50;
    ProxySummary summary = {0};

    ask(monitor, QMP_QUERY_STATUS);
    monitor->n_answers = 0;
    for (guint i = 0; i < rounds; i++) {
        g_clear_pointer(&monitor->client, qmp_client_free);
        monitor->client =
            qmp_client_new(connect_monitor(monitor), monitor->context, QMP_CLASS_TICK);
        qmp_client_ask(monitor->client, QMP_QUERY_BLOCKSTATS, NULL, PATIENT_US, on_answer_leave,
                       monitor);
        while (monitor->client)
            g_main_context_iteration(monitor->context, TRUE);
    }
    assert_int_equal(monitor->n_answers, rounds);
    proxy_get_summary(monitor->proxy, &summary);
    assert_int_equal(summary.n_connects, rounds + 1);
    assert_int_equal(summary.n_by_class[QMP_CLASS_TICK], summary.n_commands);
    assert_true(summary.held_median_us > 0 && summary.held_median_us < HOLD_CAP_US);
    print_message("# held: median %d us, max %d us\n", (int)summary.held_median_us,
                  (int)summary.held_max_us);
    g_clear_pointer(&monitor->proxy, proxy_free);
    /* The socket is QEMU's again. */
    monitor->client = qmp_client_new(connect_monitor(monitor), monitor->context, QMP_CLASS_TICK);
    assert_non_null(qmp_parse_status(ask(monitor, QMP_QUERY_STATUS)));
}

static void
test_proxy_sees_foreign_commands(void **state)
{
    Monitor *monitor = *state;
    t_skip_unless(monitor->qemu, "no " QEMU);
    static const char foreign[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"stop\"}\nxx\n";
    ProxySummary summary = {0};

    ask(monitor, QMP_QUERY_STATUS);
    close(connect_monitor(monitor));
    int fd = connect_monitor(monitor);
    assert_int_equal(send(fd, foreign, strlen(foreign), 0), strlen(foreign));
    g_clear_pointer(&monitor->client, qmp_client_free);
    gint64 end_us = g_get_monotonic_time() + PATIENT_US;
    while (summary.n_commands < 5 && g_get_monotonic_time() < end_us) {
        proxy_get_summary(monitor->proxy, &summary);
        g_thread_yield();
    }
    g_autofree char *record = proxy_dup_record(monitor->proxy);
    close(fd);
    assert_int_equal(summary.n_commands, 5);
    assert_int_equal(summary.n_foreign, 2);
    assert_int_equal(summary.n_connects, 3);
    assert_int_equal(summary.n_waited, 2);
    assert_int_equal(summary.n_dead, 1);
    assert_non_null(strstr(record, "\"command\":\"stop\",\"class\":\"foreign\""));
    assert_non_null(strstr(record, "\"command\":\"(garbage)\",\"class\":\"foreign\""));
    assert_non_null(strstr(record, "\"dir\":\"close\",\"held_us\":"));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        {"every tick command is answered and parsed", test_tick_commands, setup, teardown, NULL},
        {"every suspect command is answered and parsed", test_suspect_commands, setup, teardown,
         NULL},
        {"connect, ask, leave, fifty times", test_connect_ask_leave, setup, teardown, NULL},
        {"the proxy names a foreign command", test_proxy_sees_foreign_commands, setup, teardown,
         NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
