/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor.h"

#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* An event says that something happened to the VM: its status must be asked again. */
static void
monitor_event(QmpClient *client, const char *event, JsonNode *body, gpointer data)
{
    Vm *vm = data;

    vm->has_fresh_status = false;
    vm->n_stops += g_str_equal(event, "STOP");
    vm->n_resets += g_str_equal(event, "RESET");
}

/* The other client has left and it is our turn: ask now, not at the next period, and leave. */
static void
monitor_ready(QmpClient *client, gpointer data)
{
    Vm *vm = data;

    if (vm->sampling || vm->monitor_is_lent || !vm->tick)
        return;
    vm->next_us = 0;
    g_source_set_ready_time(vm->tick, 0);
}

static MonitorStage
stage_of_error(const GError *error)
{
    if (g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_BUSY))
        return MONITOR_NO_GREETING;
    if (g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_DENIED))
        return MONITOR_NOT_ASKED;
    return MONITOR_REFUSED;
}

static int
monitor_root_open(const Vm *vm, const Host *host)
{
    if (vm->monitor_root == HOST_RUN)
        return dup(host_root_fd(host, HOST_RUN));
    return openat(proc_dir_fd(vm->proc), *vm->monitor_path == '/' ? "root" : "cwd",
                  O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Before that client comes a QEMU has its main thread, RCU's and its iothreads', and no vCPU. */
static bool
monitor_awaits_its_owner(const Vm *vm)
{
    ProcStat stat;

    for (guint i = 0; i < vm->argv->monitors->len; i++) {
        const ArgvMonitor *monitor = vm->argv->monitors->pdata[i];

        if (monitor->is_awaited && g_str_equal(monitor->path, vm->monitor_path))
            return proc_read_stat(vm->proc, &stat, NULL) &&
                   stat.num_threads <= 2 + vm->argv->n_iothreads;
    }
    return false;
}

bool
monitor_connect(Vm *vm, const Host *host, GMainContext *context, MonitorStage *ret_stage)
{
    g_autoptr(GError) error = NULL;
    pid_t peer = 0;
    int root, fd;

    g_clear_pointer(&vm->client_error, g_free);
    if (monitor_awaits_its_owner(vm)) {
        vm->client_error = g_strdup("QEMU waits for its owner to connect (server without wait=off) "
                                    "and would begin for us");
        *ret_stage = MONITOR_NOT_ASKED;
        return false;
    }
    root = monitor_root_open(vm, host);
    fd = root < 0 ? -1 : host_connect_at(root, vm->monitor_path, &peer, &error);
    if (root < 0)
        vm->client_error =
            g_strdup_printf("cannot enter the process's root: %s", g_strerror(errno));
    else
        close(root);
    if (fd < 0) {
        if (error)
            vm->client_error = units_printable(error->message, -1);
        *ret_stage = error ? stage_of_error(error) : MONITOR_NOT_ASKED;
        return false;
    }
    if (peer != proc_pid(vm->proc)) {
        close(fd);
        vm->client_error =
            g_strdup_printf("the socket belongs to process %d, not to the VM", (int)peer);
        *ret_stage = MONITOR_NOT_ASKED;
        return false;
    }
    vm->client = qmp_client_new(fd, context, QMP_CLASS_TICK);
    qmp_client_set_event_func(vm->client, monitor_event, vm);
    qmp_client_set_ready_func(vm->client, monitor_ready, vm);
    vm->has_fresh_status = false;
    return true;
}
