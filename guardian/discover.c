/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "discover.h"

#include "discover-source.h"
#include "drift-look.h"
#include "units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A command line is text in memory: what takes longer waits for a lock. */
#define CMDLINE_DEADLINE_US (2 * G_USEC_PER_SEC)
/* Each keeps four descriptors; those past it are looked at again in every scan. */
#define IGNORED_MAX 1024
/* It has one child, or a few. */
#define CHILDREN_BYTES_MAX 4096

struct Discovery {
    const Host *host;
    Workers *workers;
    DiscoverFuncs funcs;
    gpointer *states;    /* one a source, its own */
    GHashTable *pending; /* of Reading, owned */
    GQueue waiting; /* pids of the newest scan, from the first one that found every worker busy */
    GHashTable *ignored; /* pid -> Proc, owned: its owner does not want it */
};

/* A command line that is being read: of QEMU itself, then of the witness to its name. */
typedef struct {
    Discovery *discovery;
    Proc *proc;   /* of QEMU; NULL once vm has it */
    Vm *vm;       /* NULL before QEMU's own words are known */
    guint source; /* whose it is */
    pid_t pid;    /* of QEMU */
    guint64 start_ticks;
} Reading;

static void
reading_free(gpointer data)
{
    Reading *reading = data;

    proc_free(reading->proc);
    vm_free(reading->vm);
    g_free(reading);
}

Discovery *
discovery_new(const Host *host, Workers *workers, const DiscoverFuncs *funcs)
{
    Discovery *discovery = g_new0(Discovery, 1);

    discovery->host = host;
    discovery->workers = workers;
    discovery->funcs = *funcs;
    discovery->states = g_new0(gpointer, n_sources);
    for (guint i = 0; i < n_sources; i++)
        discovery->states[i] = sources[i]->begin ? sources[i]->begin(host) : NULL;
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
    for (guint i = 0; i < n_sources; i++)
        if (sources[i]->end)
            sources[i]->end(discovery->states[i]);
    g_free(discovery->states);
    g_queue_clear(&discovery->waiting);
    g_hash_table_unref(discovery->ignored);
    g_free(discovery);
}

guint
discovery_pending(const Discovery *discovery)
{
    return g_hash_table_size(discovery->pending) + discovery->waiting.length;
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
    ConfigSubject subject = {.name = vm->raw_name,
                             .id = vm->id,
                             .uuid = vm->uuid,
                             .source = vm->source,
                             .space = vm->space,
                             .tags = vm->tags,
                             .owner = vm->owner};
    const Source *source = source_of(vm);

    for (guint i = 0; vm->owner && i < vm->owner->len; i++) {
        OwnerWord *word = vm->owner->pdata[i];

        g_free(word->problem);
        word->problem = config_owner_problem(config, word);
    }
    vm->owner_is_new = false;
    limits_clear(&vm->limits);
    config_limits(config, &subject, &vm->limits);
    drift_look_set_policies(vm->drift, config_disks(config, &subject));
    g_clear_pointer(&vm->monitor_path, g_free);
    vm->monitor_is_ours = false;
    if (source->choose_monitor)
        source->choose_monitor(vm);
    else
        source_choose_argv_monitor(vm);
    return is_in_scope(vm);
}

/* The index of the first source that claims it, below `end`; `end` for none. */
static guint
find_source(const Discovery *discovery, const Vm *vm, guint end)
{
    for (guint i = 0; i < end; i++)
        if (!sources[i]->claim || sources[i]->claim(discovery->states[i], vm))
            return i;
    return end;
}

static void
ignore(Discovery *discovery, pid_t pid, guint64 start_ticks)
{
    g_autoptr(Proc) proc = proc_open(discovery->host, pid, NULL);

    if (proc && proc_start_ticks(proc) == start_ticks &&
        g_hash_table_size(discovery->ignored) < IGNORED_MAX)
        g_hash_table_replace(discovery->ignored, GINT_TO_POINTER(pid), g_steal_pointer(&proc));
}

void
discovery_ignore(Discovery *discovery, const Vm *vm)
{
    ignore(discovery, proc_pid(vm->proc), proc_start_ticks(vm->proc));
}

static gboolean
is_dead(gpointer pid, gpointer proc, gpointer user_data)
{
    return !proc_is_alive(proc);
}

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

/* Takes proc, which the worker may keep for ever. false: a call for it is in flight or stuck, or
 * all workers are busy. */
static bool
read_in_worker(Reading *reading, Proc *proc, WorkerDoneFunc done)
{
    WorkerCall call = {.run = read_cmdline,
                       .data = proc,
                       .free_data = (GDestroyNotify)proc_free,
                       .free_result = (GDestroyNotify)g_strfreev,
                       .done = done,
                       .user_data = reading,
                       .deadline_us = CMDLINE_DEADLINE_US};
    g_autofree char *target = g_strdup_printf("cmdline:%d:%" G_GUINT64_FORMAT, (int)proc_pid(proc),
                                              proc_start_ticks(proc));

    return workers_run(reading->discovery->workers, target, &call);
}

/* Gives the VM away, and frees reading. */
static void
tell_of_vm(Reading *reading, char **witness)
{
    Discovery *discovery = reading->discovery;
    const Source *source = sources[reading->source];
    Vm *vm = g_steal_pointer(&reading->vm);
    bool is_nameless = vm->is_nameless;

    if (source->name_vm)
        source->name_vm(discovery->states[reading->source], vm, (const char *const *)witness);
    if (!discovery->funcs.found(vm, discovery->funcs.data) && !is_nameless)
        ignore(discovery, reading->pid, reading->start_ticks);
    g_hash_table_remove(discovery->pending, reading);
}

static void look_at_waiting(Discovery *discovery);

static void
witness_done(gpointer result, bool is_late, gpointer user_data)
{
    Discovery *discovery = ((Reading *)user_data)->discovery;
    g_auto(GStrv) words = result;

    tell_of_vm(user_data, words);
    if (!is_late)
        look_at_waiting(discovery);
}

static bool
is_qemu_by_name(const Discovery *discovery, pid_t pid)
{
    g_autofree char *comm = proc_peek_comm(discovery->host, pid);

    return comm && (g_str_has_prefix(comm, "qemu-system-") || argv_is_qemu(comm));
}

/* By its executable; by its name, which any process can take, only where that may not be seen.
 * Without one it is a kernel's thread, as most processes of a host are, or is just ending. */
static bool
is_qemu(const Discovery *discovery, pid_t pid)
{
    char link_path[32], exe[PATH_MAX];
    ssize_t length;

    g_snprintf(link_path, sizeof link_path, "%d/exe", (int)pid);
    length = readlinkat(host_root_fd(discovery->host, HOST_PROC), link_path, exe, sizeof exe - 1);
    if (length < 0 && errno == ENOENT)
        return false;
    if (length < 0)
        return is_qemu_by_name(discovery, pid);
    exe[length] = '\0';
    if (g_str_has_suffix(exe, " (deleted)")) /* upgraded under a running VM */
        exe[length - (ssize_t)strlen(" (deleted)")] = '\0';
    return argv_is_qemu(exe);
}

/* With -daemonize the QEMU that was started waits until its child's child runs, which is the VM;
 * the child has ended then, and has its name left. */
static bool
is_starter(const Discovery *discovery, const Argv *argv, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("%d/task/%d/children", (int)pid, (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) children = NULL;

    if (!argv->is_daemonized)
        return false;
    text = host_read(discovery->host, HOST_PROC, path, CHILDREN_BYTES_MAX, NULL, NULL);
    children = g_strsplit(text ? text : "", " ", -1);
    for (guint i = 0; children[i]; i++) {
        gint64 child = g_ascii_strtoll(children[i], NULL, 10);

        if (child > 0 && child <= G_MAXINT32 && is_qemu_by_name(discovery, (pid_t)child))
            return true;
    }
    return false;
}

/* libvirt starts a QEMU without a machine to ask what it can do: it never becomes a VM. */
static bool
is_probe(const Argv *argv)
{
    return g_strcmp0(argv->machine, "none") == 0;
}

/* words NULL or empty: unreadable; the VM is then known by its pid only, and by its witness. */
static void
make_vm(Reading *reading, char **words)
{
    Discovery *discovery = reading->discovery;
    bool is_nameless = !words || !words[0];
    const char *const nothing[] = {NULL};
    Argv *argv = argv_parse(words ? (const char *const *)words : nothing);
    const Source *source;
    Proc *witness;
    Vm *vm;

    if (is_probe(argv)) {
        argv_free(argv);
        ignore(discovery, reading->pid, reading->start_ticks);
        g_hash_table_remove(discovery->pending, reading);
        return;
    }
    if (is_starter(discovery, argv, reading->pid)) { /* a later scan finds it gone */
        argv_free(argv);
        g_hash_table_remove(discovery->pending, reading);
        return;
    }
    vm = vm_new(g_steal_pointer(&reading->proc), argv, sources[n_sources - 1]->name);
    reading->vm = vm;
    vm->is_nameless = is_nameless;
    (void)vm_open_cgroup(vm, discovery->host);
    reading->source = find_source(discovery, vm, n_sources - 1);
    source = sources[reading->source];
    vm->source = source->name;
    witness = source->witness ? source->witness(discovery->states[reading->source], vm) : NULL;
    if (!witness || !read_in_worker(reading, witness, witness_done))
        tell_of_vm(reading, NULL);
}

static void
cmdline_done(gpointer result, bool is_late, gpointer user_data)
{
    Reading *reading = user_data;
    Discovery *discovery = reading->discovery;
    g_auto(GStrv) words = result;

    if (words || is_late) /* one that is late may hang for ever, and is a VM to be told about */
        make_vm(reading, words);
    else
        g_hash_table_remove(discovery->pending, reading);
    if (!is_late)
        look_at_waiting(discovery);
}

/* Is there nothing more to be learned of it? */
static bool
is_known_well(const Discovery *discovery, pid_t pid)
{
    const Vm *vm = discovery->funcs.find(pid, discovery->funcs.data);
    const Proc *ignored = g_hash_table_lookup(discovery->ignored, GINT_TO_POINTER(pid));
    guint source = 0;

    if (ignored && proc_is_alive(ignored))
        return true;
    if (!vm || vm->is_nameless)
        return false;
    /* it may have been seen before its host had put down whose it is, in a pid file */
    while (source < n_sources && !g_str_equal(sources[source]->name, vm->source))
        source++;
    return find_source(discovery, vm, source) == source;
}

/* Is it being looked at, up to the witness to its name? */
static bool
is_pending(const Discovery *discovery, const Proc *proc)
{
    GHashTableIter iter;
    gpointer reading;

    g_hash_table_iter_init(&iter, discovery->pending);
    while (g_hash_table_iter_next(&iter, &reading, NULL))
        if (((const Reading *)reading)->pid == proc_pid(proc) &&
            ((const Reading *)reading)->start_ticks == proc_start_ticks(proc))
            return true;
    return false;
}

/* false: every worker is busy. */
static bool
look_at(Discovery *discovery, pid_t pid)
{
    bool is_new = !is_known_well(discovery, pid) && is_qemu(discovery, pid);
    g_autoptr(Proc) proc = is_new ? proc_open(discovery->host, pid, NULL) : NULL;
    g_autofree char *target = NULL;
    Proc *kept; /* by the worker */
    Reading *reading;

    if (!proc)
        return true;
    target = g_strdup_printf("cmdline:%d:%" G_GUINT64_FORMAT, (int)pid, proc_start_ticks(proc));
    kept = workers_is_busy(discovery->workers, target) || is_pending(discovery, proc)
               ? NULL
               : proc_open(discovery->host, pid, NULL);
    if (!kept || proc_start_ticks(kept) != proc_start_ticks(proc)) {
        proc_free(kept);
        return true;
    }
    reading = g_new0(Reading, 1);
    reading->discovery = discovery;
    reading->pid = pid;
    reading->start_ticks = proc_start_ticks(proc);
    reading->proc = g_steal_pointer(&proc);
    g_hash_table_add(discovery->pending, reading);
    if (read_in_worker(reading, kept, cmdline_done))
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

void
discovery_scan(Discovery *discovery)
{
    DIR *dir = open_dir(discovery->host, HOST_PROC, ".");
    const struct dirent *entry;

    for (guint i = 0; i < n_sources; i++)
        if (sources[i]->look)
            sources[i]->look(discovery->states[i]);
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
