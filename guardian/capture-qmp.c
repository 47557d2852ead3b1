/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The monitor's part: only commands of qmp/query.c's table that are safe in a freeze, one question
 * at a time, so that it is known which one hung; after that nothing more is sent.
 *
 * On a monitor of our own it goes over the connection that samples use. On a shared one it borrows
 * the monitor from the samples for sessions of half of hold_max and leaves between them, so that
 * others get in; it never connects where another client is being waited for already. */

#include "capture-private.h"

#include "arguments.h"
#include "hold.h"
#include "message.h"
#include "monitor.h"
#include "units.h"

/* Between two sessions: a client that retries has its turn within a few tries. */
#define PAUSE_US (100 * G_GINT64_CONSTANT(1000))
/* A sample that is under way ends within a period; looked at often, because we hold nobody. */
#define TURN_US (20 * G_GINT64_CONSTANT(1000))
/* As for samples: one queue a vCPU. */
#define QUEUES_MAX 64
#define DEVICES_MAX 64

/* What to do with an answer besides keeping it; result NULL: QEMU refused. */
typedef void (*ItemTakeFunc)(Capture *capture, const char *path, JsonNode *result);

typedef struct {
    QmpCommand command;
    char *path; /* of the device; NULL */
    char *arguments;
    ItemTakeFunc take;
} Item;

struct CaptureMonitor {
    GQueue items;  /* of Item, still to be asked; the head is the one under way */
    GString *text; /* answers */
    bool is_list;  /* more than one answer: an array of them */
    char *first_error;
};

static void
item_free(gpointer data)
{
    Item *item = data;

    g_free(item->path);
    g_free(item->arguments);
    g_free(item);
}

/* Takes arguments. */
static void
monitor_push(Capture *capture, QmpCommand command, const char *path, char *arguments,
             ItemTakeFunc take)
{
    Item *item = g_new0(Item, 1);

    item->command = command;
    item->path = g_strdup(path);
    item->arguments = arguments;
    item->take = take;
    g_queue_push_tail(&capture->monitor->items, item);
}

void
capture_leave_monitor(Capture *capture)
{
    Vm *vm = capture->vm;

    if (!capture->is_lent)
        return;
    capture->is_lent = false;
    vm->monitor_is_lent = false;
    /* one that still waits for its greeting stays the one pending connection */
    if (vm->client && qmp_client_stage(vm->client) != QMP_STAGE_GREETING)
        g_clear_pointer(&vm->client, qmp_client_free);
    if (vm->tick)
        g_source_set_ready_time(vm->tick, 0);
}

static void
monitor_free(struct CaptureMonitor *monitor)
{
    g_queue_clear_full(&monitor->items, item_free);
    g_string_free(monitor->text, TRUE);
    g_free(monitor->first_error);
    g_free(monitor);
}

void
capture_drop_monitor(Capture *capture)
{
    g_clear_pointer(&capture->monitor, monitor_free);
}

/* Ends the step. */
static void
monitor_end(Capture *capture, StepEnd end, const char *error)
{
    struct CaptureMonitor *monitor = g_steal_pointer(&capture->monitor);
    const char *wrong = NULL;

    if (monitor->is_list)
        g_string_append(monitor->text, "\n]\n");
    if (monitor->text->len > 0)
        wrong = capture_write(capture, capture_step(capture)->file, monitor->text->str);
    if (end == STEP_HUNG)
        capture_leave_monitor(capture);
    if (!error)
        error = monitor->first_error ? monitor->first_error : wrong;
    capture_step_end(capture, end == STEP_DONE && error ? STEP_FAILED : end, error);
    monitor_free(monitor);
}

/* Keeps an answer: alone as it stands, in a list with its question. */
static void
monitor_keep(struct CaptureMonitor *monitor, const Item *item, JsonNode *result, const char *error)
{
    g_autofree char *text = result ? json_to_string(result, TRUE) : NULL;
    g_autoptr(JsonNode) reason = json_node_init_string(json_node_alloc(), error ? error : "");
    g_autofree char *quoted = json_to_string(reason, FALSE);

    if (!monitor->is_list) {
        g_string_append_printf(monitor->text, "%s\n", text ? text : "");
        return;
    }
    g_string_append_printf(
        monitor->text, "%s{\"command\": \"%s\", \"arguments\": %s, \"%s\": %s}",
        monitor->text->len > 2 ? ",\n" : "", qmp_command_info(item->command)->name,
        item->arguments ? item->arguments : "{}", text ? "return" : "error", text ? text : quoted);
}

static void monitor_go_on(Capture *capture);

static gboolean
monitor_turn(gpointer data)
{
    Capture *capture = data;

    capture_clear_timer(capture);
    monitor_go_on(capture);
    return G_SOURCE_REMOVE;
}

/* Others must get in between two sessions. */
static bool
monitor_pauses(Capture *capture)
{
    if (!capture->is_lent ||
        g_get_monotonic_time() - capture->session_us < capture->vm->limits.hold_max_us / 2)
        return false;
    capture_leave_monitor(capture);
    capture_set_timer(capture, PAUSE_US, monitor_turn);
    return true;
}

static void
monitor_answered(QmpClient *client, JsonNode *result, const GError *error, gint64 waited_us,
                 gpointer data)
{
    Capture *capture = data;
    struct CaptureMonitor *monitor = capture->monitor;
    g_autofree char *text = error ? units_printable(error->message, -1) : NULL;
    Item *item;

    if (error && !g_error_matches(error, QMP_ERROR, QMP_ERROR_COMMAND)) {
        bool is_silent = g_error_matches(error, QMP_ERROR, QMP_ERROR_TIMEOUT) ||
                         g_error_matches(error, QMP_ERROR, QMP_ERROR_NO_GREETING) ||
                         g_error_matches(error, QMP_ERROR, QMP_ERROR_NO_NEGOTIATION);

        monitor_end(capture, is_silent ? STEP_HUNG : STEP_FAILED, text);
        return;
    }
    item = g_queue_pop_head(&monitor->items);
    monitor_keep(monitor, item, result, text);
    if (text && !monitor->first_error)
        monitor->first_error = g_strdup(text);
    if (item->take && result)
        item->take(capture, item->path, result);
    item_free(item);
    monitor_go_on(capture);
}

/* NULL when the monitor can be asked now; "" when it is not our turn yet; else why not. */
static const char *
monitor_take(Capture *capture)
{
    Vm *vm = capture->vm;
    MonitorStage stage = MONITOR_ANSWERED;

    if (!vm->monitor_is_ours && !capture->is_lent) {
        if (vm->sampling)
            return "";
        if (vm->client)
            return "not done: another client holds the monitor";
        vm->monitor_is_lent = capture->is_lent = true;
        capture->session_us = g_get_monotonic_time();
    }
    if (vm->client && qmp_client_stage(vm->client) == QMP_STAGE_CLOSED)
        g_clear_pointer(&vm->client, qmp_client_free);
    if (!vm->client &&
        !monitor_connect(vm, capture_host(capture), capture_context(capture), &stage))
        return "not done: the monitor cannot be connected";
    return NULL;
}

static void
monitor_ask(Capture *capture)
{
    Vm *vm = capture->vm;
    const Item *item = g_queue_peek_head(&capture->monitor->items);
    gint64 deadline_us = capture_left_us(capture);

    if (capture->is_lent)
        deadline_us = MIN(deadline_us, hold_allowed_us(&vm->limits) -
                                           (g_get_monotonic_time() - capture->session_us));
    qmp_client_set_class(vm->client, QMP_CLASS_CAPTURE);
    qmp_client_ask(vm->client, item->command, item->arguments, MAX(deadline_us, 1),
                   monitor_answered, capture);
    if (vm->client) /* an answer from within may have ended the session */
        qmp_client_set_class(vm->client, QMP_CLASS_SUSPECT);
}

static void
monitor_go_on(Capture *capture)
{
    const char *why;

    if (!capture->vm) {
        monitor_end(capture, STEP_SKIPPED, "not done: the VM has ended");
        return;
    }
    if (g_queue_is_empty(&capture->monitor->items)) {
        monitor_end(capture, STEP_DONE, NULL);
        return;
    }
    if (capture_is_late(capture)) {
        monitor_end(capture, STEP_FAILED, "not all was asked: its time is over");
        return;
    }
    if (monitor_pauses(capture))
        return;
    why = monitor_take(capture);
    if (!why)
        monitor_ask(capture);
    else if (*why)
        monitor_end(capture, STEP_SKIPPED, why);
    else
        capture_set_timer(capture, TURN_US, monitor_turn);
}

/* Begins the step with one question. */
static void
monitor_begin(Capture *capture, bool is_list, ItemTakeFunc take, const char *arguments)
{
    const Vm *vm = capture->vm;
    g_autofree char *why = NULL;

    if (!vm)
        why = g_strdup("not done: the VM has ended");
    else if (!vm->monitor_path)
        why = g_strdup("not done: no monitor is known");
    else if (!vm->has_sample || vm->sample.monitor != MONITOR_ANSWERED)
        why = g_strdup_printf("not done: the monitor is silent (%s)",
                              monitor_stage_name(vm->sample.monitor));
    if (why) {
        capture_leave_monitor(capture);
        capture_step_end(capture, STEP_SKIPPED, why);
        return;
    }
    capture->monitor = g_new0(struct CaptureMonitor, 1);
    capture->monitor->text = g_string_new(is_list ? "[\n" : NULL);
    capture->monitor->is_list = is_list;
    monitor_push(capture, capture_step(capture)->command, NULL, g_strdup(arguments), take);
    monitor_go_on(capture);
}

void
capture_ask(Capture *capture)
{
    monitor_begin(capture, false, NULL, NULL);
}

static void
take_size(Capture *capture, const char *path, JsonNode *result)
{
    guint n;

    if (!qmp_parse_virtio_status(result, &n))
        return;
    for (guint queue = 0; queue < MIN(n, QUEUES_MAX); queue++)
        monitor_push(capture, QMP_VIRTIO_QUEUE_STATUS, path, qmp_arguments_path_queue(path, queue),
                     NULL);
}

static void
take_list(Capture *capture, const char *path, JsonNode *result)
{
    g_autoptr(GArray) list = qmp_parse_virtio_list(result);

    for (guint i = 0; list && i < MIN(list->len, DEVICES_MAX); i++) {
        const char *device = g_array_index(list, QmpVirtio, i).path;

        if (device)
            monitor_push(capture, QMP_VIRTIO_STATUS, device, qmp_arguments_path(device), take_size);
    }
}

void
capture_virtqueues(Capture *capture)
{
    monitor_begin(capture, true, take_list, NULL);
}

/* fstat() of a dead file system in QEMU's main thread hangs QEMU and the guest for good, so this is
 * asked only when every disk has just completed something and each open file has let itself be
 * looked at from outside. */
void
capture_ask_media(Capture *capture)
{
    g_autofree char *why = capture_media_doubt(capture);

    if (why) {
        capture_step_end(capture, STEP_SKIPPED, why);
        return;
    }
    monitor_begin(capture, false, NULL,
                  capture_step(capture)->command == QMP_QUERY_NODES ? "{\"flat\":true}" : NULL);
}
