/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The captures of a host, one at a time: a storage that dies under all VMs must not cost the host
 * all their evidence at once. */

#include "capture-private.h"
#include "capture-store.h"

#include "units.h"

#include <fcntl.h>
#include <string.h>

/* An alert that flaps must not push older evidence out. */
#define AUTOMATIC_APART_US (600 * (gint64)G_USEC_PER_SEC)
/* Waiting ones; at 30 s each the last has waited 8 minutes. More VMs than that at once are one
 * story, and the others would tell it again. */
#define WAITING_MAX 16
/* Finished ones that captures_status() still knows. */
#define REMEMBERED_MAX 32
/* Bundles that could not leave memory: the newest are worth 2 x size_max of it. */
#define RUN_KEPT 2

Captures *
captures_new(const Host *host, GMainContext *context)
{
    Captures *captures = g_new0(Captures, 1);

    captures->host = host;
    captures->context = g_main_context_ref(context);
    captures->zone = g_time_zone_new_local();
    captures->children = children_new(context);
    captures->all = g_ptr_array_new_with_free_func(capture_free);
    return captures;
}

void
captures_free(Captures *captures)
{
    if (!captures)
        return;
    captures->is_ending = true;
    if (captures->retry)
        g_source_destroy(captures->retry);
    g_clear_pointer(&captures->retry, g_source_unref);
    children_free(captures->children);
    g_ptr_array_unref(captures->all);
    g_time_zone_unref(captures->zone);
    g_main_context_unref(captures->context);
    g_free(captures);
}

void
captures_set_done_func(Captures *captures, CaptureDoneFunc func, gpointer data)
{
    captures->done = func;
    captures->done_data = data;
}

static bool
is_finished(const Capture *capture)
{
    return capture->is_stored || capture->problem;
}

guint
captures_open(const Captures *captures)
{
    guint n = 0;

    for (guint i = 0; i < captures->all->len; i++)
        n += !is_finished(captures->all->pdata[i]);
    return n;
}

static void
captures_go_on(Captures *captures)
{
    for (guint i = 0; i < captures->all->len && !captures->running; i++) {
        if (is_finished(captures->all->pdata[i]))
            continue;
        captures->running = captures->all->pdata[i];
        capture_start(captures->running);
    }
}

void
captures_finished(Captures *captures, Capture *capture)
{
    if (captures->done) {
        g_autoptr(JsonNode) summary = capture_summary(capture);

        captures->done(json_node_get_object(summary), captures->done_data);
    }
    captures->running = NULL;
    if (capture->problem)
        capture_rescue_later(captures);
    /* finished ones come first */
    while (captures->all->len > REMEMBERED_MAX && is_finished(captures->all->pdata[0]))
        g_ptr_array_remove_index(captures->all, 0);
    captures_go_on(captures);
}

static bool
may_begin(const Captures *captures, const Vm *vm, const CaptureOptions *options, GError **error)
{
    const char *why = NULL;

    if (vm->capture)
        why = "is being captured already";
    else if (captures_open(captures) > WAITING_MAX)
        why = "has to wait: too many others are being captured";
    else if (options->is_automatic && vm->auto_capture_us != 0 &&
             g_get_monotonic_time() - vm->auto_capture_us < AUTOMATIC_APART_US)
        why = "has just been captured";
    if (why)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY, "%s %s", vm->name, why);
    return !why;
}

/* What is known of the VM now: it may end before its turn comes. */
static Capture *
capture_new(Captures *captures, Vm *vm, const CaptureOptions *options)
{
    Capture *capture = g_new0(Capture, 1);

    capture->captures = captures;
    capture->vm = vm;
    capture->options = *options;
    capture->vm_name = g_strdup(vm->name);
    capture->vm_id = g_strdup(vm->id);
    capture->vm_uuid = g_strdup(vm->uuid);
    capture->source = vm->source;
    capture->pid = proc_pid(vm->proc);
    capture->proc_fd = fcntl(proc_dir_fd(vm->proc), F_DUPFD_CLOEXEC, 0);
    capture->results = g_array_new(FALSE, TRUE, sizeof(CaptureResult));
    g_array_set_clear_func(capture->results, capture_result_clear);
    capture->size_max = (guint64)vm->limits.capture_size_max_bytes;
    capture->keep = vm->limits.capture_keep;
    vm->capture = capture;
    return capture;
}

bool
captures_begin_steps(Captures *captures, Vm *vm, const CaptureOptions *options,
                     const CaptureStepList *list, char **ret_name, GError **error)
{
    Capture *capture;
    gint64 realtime_us;
    char *name;
    int dir_fd;

    if (!may_begin(captures, vm, options, error))
        return false;
    capture_prune_memory(captures->host, captures_open(captures) + RUN_KEPT);
    realtime_us = MAX(host_realtime_us(captures->host), captures->named_us + G_USEC_PER_SEC);
    dir_fd = capture_make_directory(captures->host, vm->raw_name, realtime_us, &name, error);
    if (dir_fd < 0)
        return false;
    captures->named_us = realtime_us;
    capture = capture_new(captures, vm, options);
    capture->name = name;
    capture->dir_fd = dir_fd;
    capture->steps = list->steps;
    capture->n_steps = list->n;
    if (options->is_automatic)
        vm->auto_capture_us = g_get_monotonic_time();
    g_ptr_array_add(captures->all, capture);
    *ret_name = g_strdup(name);
    captures_go_on(captures);
    return true;
}

bool
captures_begin(Captures *captures, Vm *vm, const CaptureOptions *options, char **ret_name,
               GError **error)
{
    const CaptureStepList list = {.steps = capture_steps, .n = capture_n_steps};

    return captures_begin_steps(captures, vm, options, &list, ret_name, error);
}

bool
captures_begin_named(Captures *captures, const GPtrArray *vms, const char *word,
                     const CaptureOptions *options, char **ret_name, GError **error)
{
    g_autofree char *printable = units_printable(word, -1);
    Vm *found = NULL;
    guint n = 0;

    for (guint i = 0; i < vms->len; i++) {
        if (!vm_matches(vms->pdata[i], word))
            continue;
        found = vms->pdata[i];
        n++;
    }
    if (n == 1)
        return captures_begin(captures, found, options, ret_name, error);
    if (n == 0)
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "no VM is called \"%s\"; see guardianctl list", printable);
    else
        g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE,
                    "more than one VM is called \"%s\"; use its process id", printable);
    return false;
}

void
captures_wait(Captures *captures)
{
    while (captures_open(captures) > 0)
        g_main_context_iteration(captures->context, TRUE);
}

JsonNode *
captures_status(const Captures *captures, const char *name, GError **error)
{
    g_autofree char *printable = NULL;

    for (guint i = 0; i < captures->all->len; i++) {
        const Capture *capture = captures->all->pdata[i];

        if (g_str_equal(capture->name, name))
            return capture_summary(capture);
    }
    printable = units_printable(name, -1);
    g_set_error(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE, "no capture is called \"%s\"",
                printable);
    return NULL;
}
