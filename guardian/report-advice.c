/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What to do first, and what never to do: by layer, and by whose the VM is. */

#include "report-story.h"

#include "report-line.h"

#include "message.h"

#include <string.h>

/* How the VM is started again, by whose it is. New string. */
static char *
restart_of(JsonObject *vm)
{
    const char *source = report_text_of(vm, "source", ""), *id = report_text_of(vm, "id", "?");
    gint64 pid = 0;

    (void)report_number_of(vm, "pid", &pid);
    if (pid <= 0)
        return g_strdup("kill the process (its number is unknown) and start the VM again");
    if (strcmp(source, "proxmox") == 0)
        return g_strdup_printf(
            "kill -9 %" G_GINT64_FORMAT "; qm start %s (HA: set it to ignored first)", pid, id);
    if (strcmp(source, "libvirt") == 0)
        return g_strdup_printf("kill -9 %" G_GINT64_FORMAT "; virsh start %s", pid,
                               report_text_of(vm, "name", "?"));
    if (strcmp(source, "kubevirt") == 0)
        return g_strdup_printf(
            "kill -9 %" G_GINT64_FORMAT "; its run strategy starts it again, in a new pod", pid);
    return g_strdup_printf("kill -9 %" G_GINT64_FORMAT "; start it again", pid);
}

/* A VM that is only suspect is not killed. */
static char *
last_resort_of(JsonObject *vm, JsonObject *disk)
{
    JsonObject *monitor = message_get_object(vm, "monitor");
    const char *problem = report_text_of(monitor, "passthrough_problem", NULL);
    gint64 inflight;

    if (report_state_of(vm) == STATE_FROZEN)
        return restart_of(vm);
    if (disk && strcmp(report_text_of(monitor, "passthrough", ""), "off") == 0)
        return g_strdup("allow [libvirt] passthrough = suspect for it: its virtqueues tell what "
                        "hangs (libvirt then marks it as tainted)");
    if (disk && problem)
        return g_strdup_printf("look why libvirt does not pass questions on to QEMU: %s", problem);
    /* where the virtqueue shows what is in flight none is ever sent */
    if (disk && strcmp(report_text_of(disk, "canary", ""), "off") == 0 &&
        !report_number_of(disk, "inflight", &inflight))
        return g_strdup(
            "allow [freeze] canary = suspect for it: one read of 512 bytes tells where");
    return g_strdup("wait: it is named frozen when the evidence holds");
}

/* The step after the evidence, by layer. New string. */
static char *
remedy_of(JsonObject *vm, JsonObject *disk)
{
    g_autofree char *last_resort = last_resort_of(vm, disk);
    const char *storage =
        report_storage_of(disk, story_is_layer(vm, "storage") ? "the storage" : NULL);
    gint64 pid = 0, moving = 0;

    (void)report_number_of(vm, "pid", &pid);
    if (disk)
        (void)report_number_of(disk, "neighbours_moving", &moving);
    if (story_is_layer(vm, "process-stopped") &&
        strcmp(report_text_of(vm, "cause", ""), "cgroup-frozen") == 0)
        return g_strdup("thaw its cgroup, unless somebody wants it frozen: systemctl thaw UNIT, or "
                        "unpause its container");
    if (story_is_layer(vm, "process-stopped") && pid > 0)
        return g_strdup_printf("kill -CONT %" G_GINT64_FORMAT ", unless somebody debugs it", pid);
    if (story_is_layer(vm, "throttle"))
        return g_strdup("raise the disk's limit, to another nonzero value");
    if (story_is_layer(vm, "backup-target"))
        return g_strdup("make the backup's target answer: the guest goes on by itself then");
    if (storage && (story_is_layer(vm, "storage") || moving == 0))
        return g_strdup_printf("look at %s: when it answers again the VM goes on by itself. "
                               "When it does not: %s",
                               storage, last_resort);
    return g_steal_pointer(&last_resort);
}

static void append_step(GString *text, guint *n, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
append_step(GString *text, guint *n, const char *format, ...)
{
    Line line = line_begin("");
    g_autofree char *step = NULL;
    va_list arguments;

    va_start(arguments, format);
    step = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    line_say(&line, "%u %s", ++*n, step);
    line_end(&line, text, *n == 1 ? "do" : "");
}

static void
append_do(GString *text, JsonObject *vm, JsonObject *disk)
{
    const char *bundle = report_text_of(vm, "capture", NULL);
    gint64 pid = 0;
    g_autofree char *remedy = remedy_of(vm, disk), *call = NULL;
    bool is_capturing = false;
    guint n = 0;

    (void)report_number_of(vm, "pid", &pid);
    (void)message_get_bool(vm, "capturing", &is_capturing);
    call = report_call(report_text_of(vm, "name", ""), (pid_t)CLAMP(pid, 0, G_MAXINT32));
    if (bundle)
        append_step(text, &n, "guardianctl capture --show %s", bundle);
    else if (!is_capturing)
        append_step(text, &n,
                    "guardianctl capture %s --stacks (<= 30 s; a kill destroys the proof)", call);
    if (report_state_of(vm) == STATE_SUSPECT)
        append_step(text, &n, "guardianctl check %s --for 60s (it is only suspect)", call);
    append_step(text, &n, "%s", remedy);
}

static void
append_never(GString *text, JsonObject *vm)
{
    const char *source = report_text_of(vm, "source", "");
    Line line = line_begin(" ");

    line_say(&line, "%s, backup, limit to zero: they drain the disk and hang the monitor.",
             strcmp(source, "proxmox") == 0   ? "qm stop/reset/snapshot/migrate"
             : strcmp(source, "libvirt") == 0 ? "virsh shutdown/reset/snapshot/migrate"
             : strcmp(source, "kubevirt") == 0
                 ? "virtctl stop/restart/migrate, snapshot"
                 : "stop, quit, reset, snapshot, migrate, device_del");
    line_say(&line, "A guest reboot keeps this QEMU process.");
    line_end(&line, text, "never");
}

void
advice_append(GString *text, JsonObject *vm, JsonObject *disk)
{
    append_do(text, vm, disk);
    append_never(text, vm);
}
