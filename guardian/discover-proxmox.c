/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Proxmox VE: /run/qemu-server/<vmid>.pid names the process, /run/qemu-server/<vmid>.qmp is its
 * monitor, which everybody shares. A second one (args: -qmp unix:...) is ours and preferred. As
 * pids are used again and pid files stay, the command line must agree. */

#include "discover-source.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* /run/qemu-server/<vmid>.pid holds one number. */
#define PIDFILE_BYTES_MAX 64

typedef struct {
    pid_t pid;
    char *id;
} PidFile;

typedef struct {
    const Host *host;
    GArray *pidfiles; /* of PidFile, of the newest scan */
} Proxmox;

static void
pidfile_clear(gpointer data)
{
    g_free(((PidFile *)data)->id);
}

static gpointer
proxmox_begin(const Host *host)
{
    Proxmox *proxmox = g_new0(Proxmox, 1);

    proxmox->host = host;
    proxmox->pidfiles = g_array_new(FALSE, FALSE, sizeof(PidFile));
    g_array_set_clear_func(proxmox->pidfiles, pidfile_clear);
    return proxmox;
}

static void
proxmox_end(gpointer state)
{
    Proxmox *proxmox = state;

    g_array_unref(proxmox->pidfiles);
    g_free(proxmox);
}

static void
read_pidfile(Proxmox *proxmox, const char *name)
{
    g_autofree char *path = g_strdup_printf("qemu-server/%s", name);
    g_autofree char *text = host_read(proxmox->host, HOST_RUN, path, PIDFILE_BYTES_MAX, NULL, NULL);
    PidFile file = {0};
    char *end;
    guint64 pid;

    if (!text)
        return;
    pid = g_ascii_strtoull(g_strstrip(text), &end, 10);
    if (end == text || *end || pid == 0 || pid > G_MAXINT)
        return;
    file.pid = (pid_t)pid;
    file.id = g_strndup(name, strlen(name) - strlen(".pid"));
    g_array_append_val(proxmox->pidfiles, file);
}

static bool
is_pidfile(const char *name)
{
    gsize digits = strspn(name, "0123456789");

    return digits > 0 && strcmp(name + digits, ".pid") == 0;
}

static void
proxmox_look(gpointer state)
{
    Proxmox *proxmox = state;
    int fd = host_open(proxmox->host, HOST_RUN, "qemu-server", O_RDONLY | O_DIRECTORY, NULL);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    g_array_set_size(proxmox->pidfiles, 0);
    while (dir && (entry = readdir(dir)))
        if (is_pidfile(entry->d_name))
            read_pidfile(proxmox, entry->d_name);
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
}

/* Does the command line itself say that it is Proxmox' VM of that id? */
static bool
argv_says_id(const Argv *argv, const char *id)
{
    g_autofree char *monitor = g_strdup_printf("/qemu-server/%s.qmp", id);

    if (g_strcmp0(argv->id, id) == 0)
        return true;
    for (guint i = 0; i < argv->monitors->len; i++)
        if (g_str_has_suffix(((const ArgvMonitor *)argv->monitors->pdata[i])->path, monitor))
            return true;
    return false;
}

/* The id of the pid file that names this process and that its command line agrees with; where that
 * cannot be read, of the one pid file that names it. */
static const char *
find_id(const Proxmox *proxmox, const Vm *vm)
{
    const char *found = NULL;

    for (guint i = 0; i < proxmox->pidfiles->len; i++) {
        const PidFile *file = &g_array_index(proxmox->pidfiles, PidFile, i);

        if (file->pid != proc_pid(vm->proc) ||
            (!vm->is_nameless && !argv_says_id(vm->argv, file->id)))
            continue;
        if (found)
            return NULL;
        found = file->id;
    }
    return found;
}

static bool
proxmox_claim(gpointer state, const Vm *vm)
{
    return find_id(state, vm) != NULL;
}

static void
proxmox_name_vm(gpointer state, Vm *vm, const char *const *witness)
{
    g_free(vm->id);
    vm->id = g_strdup(find_id(state, vm));
}

/* The last monitor that is not Proxmox' own: nobody adds one that nobody uses. */
static const char *
find_dedicated(const Vm *vm)
{
    g_autofree char *shared = g_strdup_printf("/qemu-server/%s.qmp", vm->id);

    for (guint i = vm->argv->monitors->len; i > 0; i--) {
        const ArgvMonitor *monitor = vm->argv->monitors->pdata[i - 1];

        if (!g_str_has_suffix(monitor->path, shared))
            return monitor->path;
    }
    return NULL;
}

static void
proxmox_choose_monitor(Vm *vm)
{
    const char *dedicated = find_dedicated(vm);

    if (dedicated) {
        vm->monitor_path = g_strdup(dedicated);
        vm->monitor_root = HOST_PROC;
        vm->monitor_is_ours = true;
        return;
    }
    vm->monitor_path = g_strdup_printf("qemu-server/%s.qmp", vm->id);
    vm->monitor_root = HOST_RUN;
    vm->monitor_is_ours = vm->limits.monitor_own;
}

const Source source_proxmox = {.name = "proxmox",
                               .begin = proxmox_begin,
                               .end = proxmox_end,
                               .look = proxmox_look,
                               .claim = proxmox_claim,
                               .name_vm = proxmox_name_vm,
                               .choose_monitor = proxmox_choose_monitor};
