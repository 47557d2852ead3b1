/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-subjects.h"

#include "group.h"
#include "memory-watch.h"

#include <string.h>

/* The log of a VM's death may be read after its end, not much later. */
#define FORGET_US (600 * (gint64)G_USEC_PER_SEC)

typedef struct {
    pid_t pid;
    guint64 start_ticks;
} Process;

struct OomSubjects {
    GHashTable *known; /* Process -> OomKnown */
};

static guint
process_hash(gconstpointer key)
{
    const Process *process = key;

    return (guint)process->pid ^ (guint)process->start_ticks;
}

static gboolean
process_equal(gconstpointer a, gconstpointer b)
{
    const Process *left = a, *right = b;

    return left->pid == right->pid && left->start_ticks == right->start_ticks;
}

static void
known_free(gpointer data)
{
    OomKnown *known = data;

    g_free(known->own);
    g_free(known->name);
    g_free(known->uuid);
    g_free(known->id);
    g_free(known);
}

OomSubjects *
oom_subjects_new(void)
{
    OomSubjects *subjects = g_new0(OomSubjects, 1);

    subjects->known = g_hash_table_new_full(process_hash, process_equal, g_free, known_free);
    return subjects;
}

void
oom_subjects_free(OomSubjects *subjects)
{
    g_hash_table_unref(subjects->known);
    g_free(subjects);
}

/* The topmost group that is the VM's alone, raw, so many characters of it; NULL: it has none. */
static const char *
own_group(const Vm *vm, gsize *ret_length)
{
    const CgroupPath *path = vm->cgroup ? cgroup_path(vm->cgroup) : NULL;
    const GroupPlace *place = path ? cgroup_group_place(vm->cgroup) : NULL;
    const char *own = path && !path->is_root && vm->memory.group_is_own ? path->path : NULL;

    if (place && place->own_length > 0) {
        *ret_length = place->own_length;
        return path->path;
    }
    for (guint i = 0; vm->group_limits && own && i < vm->group_limits->len; i++) {
        const CgroupLimit *limit = &g_array_index(vm->group_limits, CgroupLimit, i);

        if (limit->is_own && group_holds(limit->path, own))
            own = limit->path;
    }
    *ret_length = own ? strlen(own) : 0;
    return own;
}

/* As its monitor says, or its command line as long as that has not answered. */
static OomSize
guest_of(const Vm *vm)
{
    if (vm->memory.has_guest_ram)
        return (OomSize){true, vm->memory.guest_ram_bytes};
    return (OomSize){vm->argv->has_memory, vm->argv->memory_bytes};
}

/* The first length characters of text, or NULL; an equal one is kept. */
static void
keep(char **kept, const char *text, gsize length)
{
    if (text && *kept && strncmp(*kept, text, length) == 0 && (*kept)[length] == '\0')
        return;
    g_free(*kept);
    *kept = text ? g_strndup(text, length) : NULL;
}

static void
keep_text(char **kept, const char *text)
{
    keep(kept, text, text ? strlen(text) : 0);
}

static OomKnown *
known_of(OomSubjects *subjects, const Vm *vm)
{
    Process process = {proc_pid(vm->proc), proc_start_ticks(vm->proc)};
    OomKnown *known = g_hash_table_lookup(subjects->known, &process);

    if (!known) {
        known = g_new0(OomKnown, 1);
        g_hash_table_insert(subjects->known, g_memdup2(&process, sizeof process), known);
    }
    return known;
}

void
oom_subjects_note(OomSubjects *subjects, const Vm *vm, gint64 now_us)
{
    OomKnown *known = known_of(subjects, vm);
    const PressureVerdict *verdict = &vm->memory_watch->pressure.verdict;
    gsize length;
    const char *own = own_group(vm, &length);

    keep(&known->own, own, length);
    keep_text(&known->name, vm->name);
    keep_text(&known->uuid, vm->uuid);
    keep_text(&known->id, vm->id);
    if (vm->cgroup)
        memcpy(known->pod_uid, cgroup_group_place(vm->cgroup)->pod_uid, sizeof known->pod_uid);
    known->guest = guest_of(vm);
    known->level = verdict->level;
    known->level_age_us = MAX(vm->sample.now_us - verdict->since_us, 0);
    known->seen_us = now_us;
    known->subject =
        (OomSubject){.pid = proc_pid(vm->proc), .own = known->own, .pod_uid = known->pod_uid};
}

static gint
compare_seen(gconstpointer a, gconstpointer b)
{
    const OomKnown *left = *(const OomKnown *const *)a, *right = *(const OomKnown *const *)b;

    return left->seen_us < right->seen_us ? 1 : left->seen_us > right->seen_us ? -1 : 0;
}

/* A process id, and a name, may be a newer VM's by now: the newest come first. */
static GPtrArray *
newest_first(const OomSubjects *subjects)
{
    GPtrArray *known = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, subjects->known);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        g_ptr_array_add(known, value);
    g_ptr_array_sort(known, compare_seen);
    return known;
}

const OomKnown *
oom_subjects_find(const OomSubjects *subjects, const OomReport *report)
{
    g_autoptr(GPtrArray) known = newest_first(subjects);
    g_autofree OomSubject *list = g_new0(OomSubject, known->len + 1);
    int found;

    for (guint i = 0; i < known->len; i++)
        list[i] = ((const OomKnown *)known->pdata[i])->subject;
    found = oomstory_find(report, list, known->len);
    return found < 0 ? NULL : known->pdata[found];
}

static gboolean
is_forgotten(gpointer key, gpointer value, gpointer now_us)
{
    return ((const OomKnown *)value)->seen_us + FORGET_US < *(const gint64 *)now_us;
}

void
oom_subjects_forget(OomSubjects *subjects, gint64 now_us)
{
    g_hash_table_foreach_remove(subjects->known, is_forgotten, &now_us);
}
