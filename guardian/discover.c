/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "discover.h"

#include "units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A command line is text in memory: what takes longer waits for a lock. */
#define CMDLINE_DEADLINE_US (2 * G_USEC_PER_SEC)
/* /run/qemu-server/<vmid>.pid holds one number. */
#define PIDFILE_BYTES_MAX 64
/* Each keeps four descriptors; those past it are looked at again in every scan. */
#define IGNORED_MAX 1024

struct Discovery {
    const Host *host;
    Workers *workers;
    DiscoverFuncs funcs;
    GArray *pidfiles;    /* of PidFile, of the newest scan */
    GHashTable *pending; /* of Reading, owned */
    GQueue waiting; /* pids of the newest scan, from the first one that found every worker busy */
    GHashTable *ignored; /* pid -> Proc, owned: its owner does not want it */
};

typedef struct {
    pid_t pid;
    char *id;
} PidFile;

typedef struct {
    Discovery *discovery;
    Proc *proc;
} Reading;

static void
pidfile_clear(gpointer data)
{
    g_free(((PidFile *)data)->id);
}

static void
reading_free(gpointer data)
{
    Reading *reading = data;

    proc_free(reading->proc);
    g_free(reading);
}

Discovery *
discovery_new(const Host *host, Workers *workers, const DiscoverFuncs *funcs)
{
    Discovery *discovery = g_new0(Discovery, 1);

    discovery->host = host;
    discovery->workers = workers;
    discovery->funcs = *funcs;
    discovery->pidfiles = g_array_new(FALSE, FALSE, sizeof(PidFile));
    g_array_set_clear_func(discovery->pidfiles, pidfile_clear);
    discovery->pending = g_hash_table_new_full(NULL, NULL, reading_free, NULL);
    g_queue_init(&discovery->waiting);
    discovery->ignored = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)proc_free);
    return discovery;
}

void
discovery_free(Discovery *discovery)
{
    if (!discovery)
        return;
    g_hash_table_unref(discovery->pending);
    g_array_unref(discovery->pidfiles);
    g_queue_clear(&discovery->waiting);
    g_hash_table_unref(discovery->ignored);
    g_free(discovery);
}

guint
discovery_pending(const Discovery *discovery)
{
    return g_hash_table_size(discovery->pending) + discovery->waiting.length;
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

static bool
is_in_scope(const Vm *vm)
{
    const Limits *limits = &vm->limits;
    bool is_included = !limits->include || setting_list_matches(limits->include, vm->raw_name) ||
                       setting_list_matches(limits->include, vm->id);

    return limits->watch && is_included && !setting_list_matches(limits->exclude, vm->raw_name) &&
           !setting_list_matches(limits->exclude, vm->id);
}

bool
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
    return is_in_scope(vm);
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

/* The id of the pid file that names this process and, as pids are used again and pid files stay,
 * that its command line agrees with. argv NULL: unreadable; then the one pid file that names it. */
static const char *
find_proxmox_id(const Discovery *discovery, pid_t pid, const Argv *argv)
{
    const char *found = NULL;

    for (guint i = 0; i < discovery->pidfiles->len; i++) {
        const PidFile *file = &g_array_index(discovery->pidfiles, PidFile, i);

        if (file->pid != pid || (argv && !argv_says_id(argv, file->id)))
            continue;
        if (found)
            return NULL;
        found = file->id;
    }
    return found;
}

static void
ignore(Discovery *discovery, pid_t pid, guint64 start_ticks)
{
    g_autoptr(Proc) proc = proc_open(discovery->host, pid, NULL);

    if (proc && proc_start_ticks(proc) == start_ticks &&
        g_hash_table_size(discovery->ignored) < IGNORED_MAX)
        g_hash_table_replace(discovery->ignored, GINT_TO_POINTER(pid), g_steal_pointer(&proc));
}

static gboolean
is_dead(gpointer pid, gpointer proc, gpointer user_data)
{
    return !proc_is_alive(proc);
}

/* Takes reading's proc. words NULL or empty: unreadable; the VM is then known by its pid only. */
static void
make_vm(Discovery *discovery, Reading *reading, char **words)
{
    bool is_nameless = !words || !words[0];
    const char *const nothing[] = {NULL};
    Argv *argv = argv_parse(words ? (const char *const *)words : nothing);
    pid_t pid = proc_pid(reading->proc);
    guint64 start_ticks = proc_start_ticks(reading->proc);
    const char *proxmox_id = find_proxmox_id(discovery, pid, is_nameless ? NULL : argv);
    Vm *vm = vm_new(g_steal_pointer(&reading->proc), argv, proxmox_id ? "proxmox" : "bare");

    vm->is_nameless = is_nameless;
    if (proxmox_id) {
        g_free(vm->id);
        vm->id = g_strdup(proxmox_id);
    }
    vm->cgroup = cgroup_open(discovery->host, vm->proc, NULL);
    if (vm->cgroup)
        vm->group_path = units_printable(cgroup_path(vm->cgroup)->path, -1);
    if (!discovery->funcs.found(vm, discovery->funcs.data) && !is_nameless)
        ignore(discovery, pid, start_ticks);
}

static void look_at_waiting(Discovery *discovery);

/* NULL: the process is gone, or just going; empty: it lives, and its command line cannot be read.
 */
static gpointer
read_cmdline(gpointer data)
{
    g_autoptr(GError) error = NULL;
    char **words = proc_read_cmdline(data, &error);

    if (words || g_error_matches(error, GUARDIAN_ERROR, GUARDIAN_ERROR_GONE))
        return words;
    return g_new0(char *, 1);
}

static void
cmdline_done(gpointer result, bool is_late, gpointer user_data)
{
    Reading *reading = user_data;
    Discovery *discovery = reading->discovery;
    g_auto(GStrv) words = result;

    g_hash_table_steal(discovery->pending, reading);
    if (words || is_late) /* one that is late may hang for ever, and is a VM to be told about */
        make_vm(discovery, reading, words);
    reading_free(reading);
    if (!is_late)
        look_at_waiting(discovery);
}

/* By its executable; by its name, which any process can take, only where that may not be seen.
 * Without one it is a kernel's thread, as most processes of a host are, or is just ending. */
static bool
is_qemu(const Discovery *discovery, pid_t pid)
{
    g_autofree char *comm = NULL;
    char link_path[32], exe[PATH_MAX];
    ssize_t length;

    g_snprintf(link_path, sizeof link_path, "%d/exe", (int)pid);
    length = readlinkat(host_root_fd(discovery->host, HOST_PROC), link_path, exe, sizeof exe - 1);
    if (length < 0 && errno == ENOENT)
        return false;
    if (length < 0) {
        comm = proc_peek_comm(discovery->host, pid);
        return comm && (g_str_has_prefix(comm, "qemu-system-") || argv_is_qemu(comm));
    }
    exe[length] = '\0';
    if (g_str_has_suffix(exe, " (deleted)")) /* upgraded under a running VM */
        exe[length - (ssize_t)strlen(" (deleted)")] = '\0';
    return argv_is_qemu(exe);
}

/* Is there nothing more to be learned of it? */
static bool
is_known_well(const Discovery *discovery, pid_t pid)
{
    const Vm *vm = discovery->funcs.find(pid, discovery->funcs.data);
    const Proc *ignored = g_hash_table_lookup(discovery->ignored, GINT_TO_POINTER(pid));

    if (ignored && proc_is_alive(ignored))
        return true;
    if (!vm || vm->is_nameless)
        return false;
    /* else it was seen before Proxmox had written its pid file: now it is known whose it is */
    return g_str_equal(vm->source, "proxmox") || !find_proxmox_id(discovery, pid, vm->argv);
}

/* false: every worker is busy. */
static bool
look_at(Discovery *discovery, pid_t pid)
{
    g_autofree char *target = NULL;
    bool is_new = !is_known_well(discovery, pid) && is_qemu(discovery, pid);
    g_autoptr(Proc) proc = is_new ? proc_open(discovery->host, pid, NULL) : NULL;
    WorkerCall call = {.run = read_cmdline,
                       .free_data = (GDestroyNotify)proc_free,
                       .free_result = (GDestroyNotify)g_strfreev,
                       .done = cmdline_done,
                       .deadline_us = CMDLINE_DEADLINE_US};
    Reading *reading;

    if (!proc)
        return true;
    target = g_strdup_printf("cmdline:%d:%" G_GUINT64_FORMAT, (int)pid, proc_start_ticks(proc));
    if (workers_is_busy(discovery->workers, target))
        return true;
    call.data = proc_open(discovery->host, pid, NULL); /* its own: it may keep it for ever */
    if (!call.data || proc_start_ticks(call.data) != proc_start_ticks(proc)) {
        proc_free(call.data);
        return true;
    }
    reading = g_new0(Reading, 1);
    reading->discovery = discovery;
    reading->proc = g_steal_pointer(&proc);
    call.user_data = reading;
    g_hash_table_add(discovery->pending, reading);
    if (workers_run(discovery->workers, target, &call))
        return true;
    g_hash_table_remove(discovery->pending, reading);
    return false;
}

static void
look_at_waiting(Discovery *discovery)
{
    while (!g_queue_is_empty(&discovery->waiting)) {
        if (!look_at(discovery, GPOINTER_TO_INT(g_queue_peek_head(&discovery->waiting))))
            return;
        g_queue_pop_head(&discovery->waiting);
    }
}

static void
read_proxmox_pidfile(Discovery *discovery, const char *name)
{
    g_autofree char *path = g_strdup_printf("qemu-server/%s", name);
    g_autofree char *text =
        host_read(discovery->host, HOST_RUN, path, PIDFILE_BYTES_MAX, NULL, NULL);
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
    g_array_append_val(discovery->pidfiles, file);
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

    g_array_set_size(discovery->pidfiles, 0);
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
discovery_scan(Discovery *discovery)
{
    DIR *dir = open_dir(discovery->host, HOST_PROC, ".");
    const struct dirent *entry;

    find_proxmox(discovery);
    g_hash_table_foreach_remove(discovery->ignored, is_dead, NULL);
    g_queue_clear(&discovery->waiting);
    while (dir && (entry = readdir(dir))) {
        guint64 pid = is_number(entry->d_name) ? g_ascii_strtoull(entry->d_name, NULL, 10) : 0;

        if (pid == 0 || pid > G_MAXINT)
            continue;
        if (discovery->waiting.length > 0 || !look_at(discovery, (pid_t)pid))
            g_queue_push_tail(&discovery->waiting, GINT_TO_POINTER((gint)pid));
    }
    if (dir)
        closedir(dir);
}

void
discovery_reconsider(Discovery *discovery)
{
    g_hash_table_remove_all(discovery->ignored);
}
