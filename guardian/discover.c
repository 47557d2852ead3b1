/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "discover.h"

#include "units.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

/* A command line is text in memory: what takes longer waits for a lock. */
#define CMDLINE_DEADLINE_US (2 * G_USEC_PER_SEC)
/* Any user can call his processes qemu-system-x: this bounds what one of them can make us hold. */
#define VMS_MAX 4096
/* /run/qemu-server/<vmid>.pid holds one number. */
#define PIDFILE_BYTES_MAX 64

struct Discovery {
    const Host *host;
    Workers *workers;
    DiscoverFuncs funcs;
    const Config *config;    /* of the newest scan */
    GHashTable *proxmox_ids; /* pid -> vmid, of the newest scan */
    GHashTable *pending;     /* of Reading: its thread runs */
    GQueue waiting;          /* of Reading: for a free thread */
    GHashTable *ignored;     /* pid -> start time: looked at, and out of scope */
};

typedef struct {
    Discovery *discovery; /* NULL after discovery_free() */
    Proc *proc;
    char *proxmox_id;
} Reading;

static void
reading_free(Reading *reading)
{
    proc_free(reading->proc);
    g_free(reading->proxmox_id);
    g_free(reading);
}

Discovery *
discovery_new(const Host *host, Workers *workers, const DiscoverFuncs *funcs)
{
    Discovery *discovery = g_new0(Discovery, 1);

    discovery->host = host;
    discovery->workers = workers;
    discovery->funcs = *funcs;
    discovery->proxmox_ids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    discovery->pending = g_hash_table_new(NULL, NULL);
    g_queue_init(&discovery->waiting);
    discovery->ignored = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return discovery;
}

void
discovery_free(Discovery *discovery)
{
    GHashTableIter iter;
    gpointer reading;

    if (!discovery)
        return;
    g_hash_table_iter_init(&iter, discovery->pending);
    while (g_hash_table_iter_next(&iter, &reading, NULL))
        ((Reading *)reading)->discovery = NULL;
    g_queue_clear_full(&discovery->waiting, (GDestroyNotify)reading_free);
    g_hash_table_unref(discovery->pending);
    g_hash_table_unref(discovery->ignored);
    g_hash_table_unref(discovery->proxmox_ids);
    g_free(discovery);
}

guint
discovery_pending(const Discovery *discovery)
{
    return g_hash_table_size(discovery->pending) + discovery->waiting.length;
}

static bool
is_in_list(const char *list, const char *name, const char *id)
{
    g_auto(GStrv) words = g_strsplit_set(list, " \t,", -1);

    for (guint i = 0; words[i]; i++)
        if (*words[i] && (fnmatch(words[i], name, 0) == 0 || (id && fnmatch(words[i], id, 0) == 0)))
            return true;
    return false;
}

static bool
is_in_scope(const Vm *vm)
{
    const Limits *limits = &vm->limits;

    if (!limits->watch)
        return false;
    if (limits->include && !is_in_list(limits->include, vm->raw_name, vm->id))
        return false;
    return !limits->exclude || !is_in_list(limits->exclude, vm->raw_name, vm->id);
}

/* With two monitors the last one is ours: the first is the one that everybody finds first. */
static void
choose_argv_monitor(Vm *vm)
{
    guint n = vm->argv->monitors->len;

    if (n == 0)
        return;
    vm->monitor_path = g_strdup(((const ArgvMonitor *)vm->argv->monitors->pdata[n - 1])->path);
    vm->monitor_root = HOST_PROC;
    vm->monitor_is_ours = n > 1 || vm->limits.monitor_own;
}

void
discovery_configure(Vm *vm, const Config *config)
{
    ConfigSubject subject = {
        .name = vm->raw_name, .id = vm->id, .uuid = vm->uuid, .source = vm->source};

    limits_clear(&vm->limits);
    config_limits(config, &subject, &vm->limits);
    g_clear_pointer(&vm->monitor_path, g_free);
    vm->monitor_is_ours = false;
    if (g_str_equal(vm->source, "proxmox")) {
        vm->monitor_path = g_strdup_printf("qemu-server/%s.qmp", vm->id);
        vm->monitor_root = HOST_RUN;
        vm->monitor_is_ours = vm->limits.monitor_own;
    } else {
        choose_argv_monitor(vm);
    }
}

/* Takes reading's proc. argv_words NULL: unreadable or too late; the VM is then known by its pid
 * only. */
static void
make_vm(Discovery *discovery, Reading *reading, char **argv_words)
{
    const char *const nothing[] = {NULL};
    Argv *argv = argv_parse(argv_words ? (const char *const *)argv_words : nothing);
    Vm *vm;

    vm = vm_new(g_steal_pointer(&reading->proc), argv, reading->proxmox_id ? "proxmox" : "bare");
    if (reading->proxmox_id) {
        g_free(vm->id);
        vm->id = g_strdup(reading->proxmox_id);
    }
    discovery_configure(vm, discovery->config);
    if (!is_in_scope(vm)) {
        guint64 start = proc_start_ticks(vm->proc);

        g_hash_table_insert(discovery->ignored, GINT_TO_POINTER(proc_pid(vm->proc)),
                            g_memdup2(&start, sizeof start));
        vm_free(vm);
        return;
    }
    vm->cgroup = cgroup_open(discovery->host, vm->proc, NULL);
    if (vm->cgroup)
        vm->group_path = units_printable(cgroup_path(vm->cgroup)->path, -1);
    discovery->funcs.found(vm, discovery->funcs.data);
}

static void start_waiting(Discovery *discovery);

static gpointer
read_cmdline(gpointer data)
{
    const Proc *proc = data;

    return proc ? proc_read_cmdline(proc, NULL) : NULL;
}

static void
cmdline_done(gpointer result, bool is_late, gpointer user_data)
{
    Reading *reading = user_data;
    g_auto(GStrv) words = result;

    /* an empty command line is a process that is just ending; one that is late may hang for ever,
     * and is a VM to be told about */
    if (reading->discovery) {
        g_hash_table_remove(reading->discovery->pending, reading);
        if (is_late || (words && words[0]))
            make_vm(reading->discovery, reading, words);
        start_waiting(reading->discovery);
    }
    reading_free(reading);
}

static bool
is_qemu(const Discovery *discovery, pid_t pid)
{
    g_autofree char *comm = proc_peek_comm(discovery->host, pid);
    g_autofree char *link_path = NULL;
    char exe[PATH_MAX];
    ssize_t length;

    if (!comm)
        return false;
    if (g_str_has_prefix(comm, "qemu-system-") || argv_is_qemu(comm))
        return true;
    link_path = g_strdup_printf("%d/exe", (int)pid);
    length = readlinkat(host_root_fd(discovery->host, HOST_PROC), link_path, exe, sizeof exe - 1);
    if (length <= 0)
        return false;
    exe[length] = '\0';
    if (g_str_has_suffix(exe, " (deleted)")) /* upgraded under a running VM */
        exe[length - (ssize_t)strlen(" (deleted)")] = '\0';
    return argv_is_qemu(exe);
}

static char *
target_of(const Reading *reading)
{
    return g_strdup_printf("cmdline:%d:%" G_GUINT64_FORMAT, (int)proc_pid(reading->proc),
                           proc_start_ticks(reading->proc));
}

static bool
start_reading(Discovery *discovery, Reading *reading)
{
    g_autofree char *target = target_of(reading);
    WorkerCall call = {.run = read_cmdline,
                       .free_data = (GDestroyNotify)proc_free,
                       .free_result = (GDestroyNotify)g_strfreev,
                       .done = cmdline_done,
                       .user_data = reading,
                       .deadline_us = CMDLINE_DEADLINE_US};

    call.data =
        proc_open(discovery->host, proc_pid(reading->proc), NULL); /* may be kept for ever */
    if (!workers_run(discovery->workers, target, &call))
        return false;
    g_hash_table_add(discovery->pending, reading);
    return true;
}

/* As many as there are threads; the others wait for one that comes back. */
static void
start_waiting(Discovery *discovery)
{
    Reading *reading;

    while ((reading = g_queue_peek_head(&discovery->waiting))) {
        if (!start_reading(discovery, reading))
            return;
        g_queue_pop_head(&discovery->waiting);
    }
}

static bool
is_ignored(const Discovery *discovery, const Proc *proc)
{
    const guint64 *start = g_hash_table_lookup(discovery->ignored, GINT_TO_POINTER(proc_pid(proc)));

    return start && *start == proc_start_ticks(proc);
}

static void
look_at(Discovery *discovery, pid_t pid)
{
    const char *proxmox_id = g_hash_table_lookup(discovery->proxmox_ids, GINT_TO_POINTER(pid));
    g_autoptr(Proc) proc = NULL;
    g_autofree char *target = NULL;
    Reading *reading;

    if (!is_qemu(discovery, pid))
        return;
    proc = proc_open(discovery->host, pid, NULL);
    if (!proc || is_ignored(discovery, proc) ||
        discovery->funcs.is_known(pid, proc_start_ticks(proc), proxmox_id, discovery->funcs.data))
        return;
    reading = g_new0(Reading, 1);
    reading->discovery = discovery;
    reading->proc = g_steal_pointer(&proc);
    reading->proxmox_id = g_strdup(proxmox_id);
    target = target_of(reading);
    if (workers_is_busy(discovery->workers, target)) /* stuck since an earlier scan */
        reading_free(reading);
    else
        g_queue_push_tail(&discovery->waiting, reading);
}

static void
read_proxmox_pidfile(Discovery *discovery, const char *name)
{
    g_autofree char *path = g_strdup_printf("qemu-server/%s", name);
    g_autofree char *text = NULL;
    char *end;
    guint64 pid;

    text = host_read(discovery->host, HOST_RUN, path, PIDFILE_BYTES_MAX, NULL, NULL);
    if (!text)
        return;
    pid = g_ascii_strtoull(g_strstrip(text), &end, 10);
    if (end == text || *end || pid == 0 || pid > G_MAXINT)
        return;
    g_hash_table_replace(discovery->proxmox_ids, GINT_TO_POINTER((gint)pid),
                         g_strndup(name, strlen(name) - strlen(".pid")));
}

/* Names of a directory below a root; NULL when it cannot be read. */
static DIR *
open_dir(const Host *host, HostRoot root, const char *path)
{
    int fd = host_open(host, root, path, O_RDONLY | O_DIRECTORY, NULL);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

static bool
is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static void
find_proxmox(Discovery *discovery)
{
    DIR *dir = open_dir(discovery->host, HOST_RUN, "qemu-server");
    const struct dirent *entry;

    g_hash_table_remove_all(discovery->proxmox_ids);
    while (dir && (entry = readdir(dir))) {
        g_autofree char *stem = g_strdup(entry->d_name);

        if (!g_str_has_suffix(stem, ".pid"))
            continue;
        stem[strlen(stem) - strlen(".pid")] = '\0';
        if (is_number(stem))
            read_proxmox_pidfile(discovery, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

void
discovery_scan(Discovery *discovery, const Config *config)
{
    DIR *dir = open_dir(discovery->host, HOST_PROC, ".");
    const struct dirent *entry;

    if (discovery->config != config)
        g_hash_table_remove_all(discovery->ignored); /* it may be in scope now */
    discovery->config = config;
    g_queue_clear_full(&discovery->waiting, (GDestroyNotify)reading_free); /* found again below */
    find_proxmox(discovery);
    while (dir && (entry = readdir(dir)) && discovery->waiting.length < VMS_MAX) {
        guint64 pid = is_number(entry->d_name) ? g_ascii_strtoull(entry->d_name, NULL, 10) : 0;

        if (pid > 0 && pid <= G_MAXINT && (pid_t)pid != getpid())
            look_at(discovery, (pid_t)pid);
    }
    if (dir)
        closedir(dir);
    start_waiting(discovery);
}
