/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One capture, step by step, from harmless to intrusive:
 *
 *   memory    what the guardian knows already: the VM's state, the samples before
 *   /proc     of the process, its descriptors and threads, of the host and the memory group; the
 *             kernel's log; versions. Each in a child: one that hangs is left behind
 *   witness   what the host has written of the VM: its configuration, Proxmox's statistics, the
 *             journal of the last day
 *   monitor   questions that are safe in every freeze, one at a time (capture-qmp.c)
 *   after     the next samples, and the picture of all of them
 *   stacks    only when asked for (capture-stacks.c)
 *   media     query-block and query-named-block-nodes, only when every disk has just completed
 *             something and every open file can be looked at: else they would hang QEMU
 *
 * Each step has a box of time. A harmless step that hangs costs its own file. One that asks or
 * holds QEMU and hangs is the last of its kind: later ones are not done. After STEPS_US nothing
 * more begins. Between two steps the loop runs: other VMs are sampled as ever.
 */

#include "capture-private.h"
#include "capture-store.h"

#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECOND ((gint64)G_USEC_PER_SEC)
/* The rest of CAPTURE_TOTAL_US is for the move to the disk: some MiB and 25 fsyncs. */
#define STEPS_US (25 * SECOND)
/* What a step is given that has no time left: its deadline passes at once. */
#define LEFT_MIN_US 1000
/* For what comes after the deadline of a child: its end, and the manifest. */
#define MARGIN_US (SECOND / 2)
/* What a healthy host needs milliseconds for gets two seconds: a loaded one is not a hung one. */
#define BOX_US (2 * SECOND)

const CaptureStep capture_steps[] = {
    {"state", "state.json", KIND_HARMLESS, BOX_US, capture_state, 0},
    {"samples-before", "samples-before.txt", KIND_HARMLESS, BOX_US, capture_samples_before, 0},
    {"process", "process.txt", KIND_HARMLESS, BOX_US, capture_process, 0},
    {"descriptors", "descriptors.txt", KIND_HARMLESS, BOX_US, capture_descriptors, 0},
    {"threads", "threads.txt", KIND_HARMLESS, BOX_US, capture_threads, 0},
    {"command-line", "command-line.txt", KIND_HARMLESS, BOX_US, capture_command_line, 0},
    {"host", "host.txt", KIND_HARMLESS, BOX_US, capture_host_files, 0},
    {"group", "group.txt", KIND_HARMLESS, BOX_US, capture_group, 0},
    {"kernel-log", "kernel-log.txt", KIND_HARMLESS, BOX_US, capture_kernel_log, 0},
    {"versions", "versions.txt", KIND_HARMLESS, BOX_US, capture_versions, 0},
    {"configuration", "configuration.txt", KIND_HARMLESS, BOX_US, capture_configuration, 0},
    {"statistics", "statistics.rrd", KIND_HARMLESS, BOX_US, capture_statistics, 0},
    {"journal", "journal.txt", KIND_HARMLESS, 5 * SECOND, capture_journal, 0},
    {"status", "status.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_STATUS},
    {"blockstats", "blockstats.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_BLOCKSTATS},
    {"block-jobs", "block-jobs.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_BLOCK_JOBS},
    {"jobs", "jobs.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_JOBS},
    {"iothreads", "iothreads.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_IOTHREADS},
    {"cpus", "cpus.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_CPUS},
    {"memdev", "memdev.json", KIND_MONITOR, BOX_US, capture_ask, QMP_QUERY_MEMDEV},
    {"virtqueues", "virtqueues.json", KIND_MONITOR, 2 * BOX_US, capture_virtqueues,
     QMP_VIRTIO_LIST},
    {"samples-after", "samples-after.txt", KIND_HARMLESS, 5 * SECOND, capture_samples_after, 0},
    {"timeline", "timeline.svg", KIND_HARMLESS, BOX_US, capture_timeline, 0},
    {"stacks", "stacks.txt", KIND_STOP, BOX_US, capture_stacks, 0},
    {"media", NULL, KIND_HARMLESS, SECOND, capture_media, 0},
    {"block", "block.json", KIND_MONITOR, BOX_US, capture_ask_media, QMP_QUERY_BLOCK},
    {"nodes", "nodes.json", KIND_MONITOR, BOX_US, capture_ask_media, QMP_QUERY_NODES},
};
const guint capture_n_steps = G_N_ELEMENTS(capture_steps);

const Host *
capture_host(const Capture *capture)
{
    return capture->captures->host;
}

GMainContext *
capture_context(const Capture *capture)
{
    return capture->captures->context;
}

Children *
capture_children(const Capture *capture)
{
    return capture->captures->children;
}

const CaptureStep *
capture_step(const Capture *capture)
{
    return &capture->steps[capture->results->len];
}

bool
capture_is_late(const Capture *capture)
{
    return capture_left_us(capture) <= LEFT_MIN_US;
}

gint64
capture_left_us(const Capture *capture)
{
    gint64 now = g_get_monotonic_time();
    gint64 left = MIN(capture_step(capture)->box_us - (now - capture->step_us),
                      STEPS_US - (now - capture->started_us));

    return MAX(left, LEFT_MIN_US);
}

bool
capture_has_done(const Capture *capture, const char *name)
{
    for (guint i = 0; i < capture->results->len; i++) {
        const CaptureResult *result = &g_array_index(capture->results, CaptureResult, i);

        if (g_str_equal(result->step->name, name))
            return result->end == STEP_DONE;
    }
    return false;
}

void
capture_clear_timer(Capture *capture)
{
    if (!capture->timer)
        return;
    g_source_destroy(capture->timer);
    g_clear_pointer(&capture->timer, g_source_unref);
}

void
capture_set_timer(Capture *capture, gint64 after_us, GSourceFunc func)
{
    capture_clear_timer(capture);
    capture->timer = g_timeout_source_new((guint)(after_us / 1000));
    g_source_set_callback(capture->timer, func, capture, NULL);
    g_source_attach(capture->timer, capture_context(capture));
}

void
capture_forget(Capture *capture)
{
    if (!capture->vm)
        return;
    capture_leave_monitor(capture);
    capture->vm->capture = NULL;
    capture->vm = NULL;
}

void
capture_forget_vm(Vm *vm)
{
    if (vm->capture)
        capture_forget(vm->capture);
}

void
capture_free(gpointer data)
{
    Capture *capture = data;

    capture_forget(capture);
    capture_drop_monitor(capture);
    capture_clear_timer(capture);
    fd_clear(&capture->proc_fd);
    fd_clear(&capture->dir_fd);
    g_array_unref(capture->results);
    g_free(capture->problem);
    g_free(capture->journal_pattern);
    g_free(capture->vm_name);
    g_free(capture->vm_id);
    g_free(capture->vm_uuid);
    g_free(capture->name);
    g_free(capture);
}

static const char *
file_write(const Capture *capture, const char *file, const char *text, CaptureOut out)
{
    auto_fd fd = host_open_beneath(capture->dir_fd, file, O_WRONLY | O_CREAT | O_EXCL);

    if (fd < 0)
        return strerrordesc_np(errno);
    out.fd = fd;
    out_text(&out, text);
    if (out.error_number != 0)
        return strerrordesc_np(out.error_number);
    return out.is_cut ? CAPTURE_CUT : NULL;
}

const char *
capture_write(const Capture *capture, const char *file, const char *text)
{
    return file_write(capture, file, text, (CaptureOut){.left = capture_bytes_left(capture)});
}

guint64
capture_bytes_left(const Capture *capture)
{
    return capture->size_max - MIN(capture->bytes, capture->size_max);
}

void
capture_step_write(Capture *capture, const char *text)
{
    const char *wrong = capture_write(capture, capture_step(capture)->file, text);

    capture_step_end(capture, wrong ? STEP_FAILED : STEP_DONE, wrong);
}

/* Whole or not at all: it is read while it grows, and we may be killed at any time. */
static void
manifest_write(Capture *capture)
{
    static const char fresh[] = CAPTURE_MANIFEST ".new";
    g_autofree char *text = capture_manifest(capture);

    (void)unlinkat(capture->dir_fd, fresh, 0);
    if (!file_write(capture, fresh, text, (CaptureOut){.left = G_MAXUINT64}))
        (void)renameat(capture->dir_fd, fresh, capture->dir_fd, CAPTURE_MANIFEST);
}

static guint64
file_bytes(const Capture *capture, const char *file)
{
    struct stat st;

    return file && fstatat(capture->dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0
               ? (guint64)st.st_size
               : 0;
}

static void
capture_finish(Capture *capture)
{
    gint64 used_us = g_get_monotonic_time() - capture->started_us;

    capture->is_complete = true;
    manifest_write(capture);
    if (capture->vm) {
        g_free(capture->vm->bundle);
        capture->vm->bundle = g_strdup(capture->name);
    }
    capture_forget(capture);
    capture_store(capture, CAPTURE_TOTAL_US - used_us - MARGIN_US);
}

void
capture_stored(Capture *capture)
{
    if (capture->captures->is_ending)
        return;
    if (capture->problem)
        manifest_write(capture);
    captures_finished(capture->captures, capture);
}

static gboolean
capture_next(gpointer data)
{
    Capture *capture = data;
    gint64 now = g_get_monotonic_time();
    const CaptureStep *step;
    g_autofree char *why = NULL;

    capture_clear_timer(capture);
    if (capture->results->len == capture->n_steps) {
        capture_finish(capture);
        return G_SOURCE_REMOVE;
    }
    step = capture_step(capture);
    capture->step_us = now;
    if (step->kind != KIND_MONITOR)
        capture_leave_monitor(capture);
    if (now - capture->started_us >= STEPS_US)
        why = g_strdup("not done: the capture's time is over");
    else if (step->kind != KIND_HARMLESS && capture->hung)
        why = g_strdup_printf("not done: %s hung", capture->hung);
    if (why)
        capture_step_end(capture, STEP_SKIPPED, why);
    else
        step->begin(capture);
    return G_SOURCE_REMOVE;
}

void
capture_step_end(Capture *capture, StepEnd end, const char *error)
{
    const CaptureStep *step = capture_step(capture);
    CaptureResult result = {.step = step,
                            .end = end,
                            .started_us = capture->step_us - capture->started_us,
                            .duration_us = g_get_monotonic_time() - capture->step_us,
                            .bytes = file_bytes(capture, step->file)};

    if (capture->captures->is_ending)
        return;
    result.error = error ? units_printable(error, -1) : NULL;
    capture->bytes += result.bytes;
    if (end == STEP_HUNG && step->kind != KIND_HARMLESS)
        capture->hung = step->name;
    g_array_append_val(capture->results, result);
    manifest_write(capture);
    capture_set_timer(capture, 0, capture_next);
}

void
capture_start(Capture *capture)
{
    const Host *host = capture_host(capture);

    capture->monotonic_us = host_monotonic_us(host);
    capture->boottime_us = host_boottime_us(host);
    capture->realtime_us = host_realtime_us(host);
    capture->started_us = g_get_monotonic_time();
    capture_set_timer(capture, 0, capture_next);
}
