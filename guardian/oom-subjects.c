/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "oom-subjects.h"

#include "group.h"
#include "memory-watch.h"
#include "message.h"
#include "run-file.h"

#include <string.h>
#include <unistd.h>

#define STORE_NAME "oom-vms.json"
/* Two thousand VMs with paths of half a KiB. */
#define STORE_VMS_MAX 2048
#define STORE_BYTES_MAX (2 * 1024 * 1024)
/* The log of a VM's death may be read after its end, not much later. */
#define FORGET_US (600 * (gint64)G_USEC_PER_SEC)

typedef struct {
    pid_t pid;
    guint64 start_ticks;
} Process;

struct OomSubjects {
    GHashTable *known; /* Process -> OomKnown */
    bool is_changed;   /* since it was saved */
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

/* The first length characters of text, or NULL; an equal one is kept. true: it is another one. */
static bool
keep(char **kept, const char *text, gsize length)
{
    if (text ? *kept && strncmp(*kept, text, length) == 0 && (*kept)[length] == '\0' : !*kept)
        return false;
    g_free(*kept);
    *kept = text ? g_strndup(text, length) : NULL;
    return true;
}

static bool
keep_text(char **kept, const char *text)
{
    return keep(kept, text, text ? strlen(text) : 0);
}

static OomKnown *
known_of(OomSubjects *subjects, Process process)
{
    OomKnown *known = g_hash_table_lookup(subjects->known, &process);

    if (!known) {
        known = g_new0(OomKnown, 1);
        g_hash_table_insert(subjects->known, g_memdup2(&process, sizeof process), known);
        subjects->is_changed = true;
    }
    return known;
}

void
oom_subjects_note(OomSubjects *subjects, const Vm *vm, gint64 now_us)
{
    OomKnown *known = known_of(subjects, (Process){proc_pid(vm->proc), proc_start_ticks(vm->proc)});
    const PressureVerdict *verdict = &vm->memory_watch->pressure.verdict;
    gsize length;
    const char *own = own_group(vm, &length);
    bool is_new = keep(&known->own, own, length);

    is_new = keep_text(&known->name, vm->name) || is_new;
    is_new = keep_text(&known->uuid, vm->uuid) || is_new;
    is_new = keep_text(&known->id, vm->id) || is_new;
    subjects->is_changed = subjects->is_changed || is_new || known->level != verdict->level;
    if (vm->cgroup)
        memcpy(known->pod_uid, cgroup_group_place(vm->cgroup)->pod_uid, sizeof known->pod_uid);
    known->guest = guest_of(vm);
    known->level = verdict->level;
    known->level_age_us = MAX(vm->sample.now_us - verdict->since_us, 0);
    memory_trail_add(&known->trail, &vm->memory, &vm->roles, verdict->level);
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

static bool
was_there(const Process *process, gint64 at_us)
{
    return (double)process->start_ticks / (double)sysconf(_SC_CLK_TCK) <=
           (double)at_us / G_USEC_PER_SEC;
}

/* A process id, and a name, may be a newer VM's by now: the newest come first. */
static GPtrArray *
newest_first(const OomSubjects *subjects, gint64 at_us)
{
    GPtrArray *known = g_ptr_array_new();
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, subjects->known);
    while (g_hash_table_iter_next(&iter, &key, &value))
        if (was_there(key, at_us))
            g_ptr_array_add(known, value);
    g_ptr_array_sort(known, compare_seen);
    return known;
}

const OomKnown *
oom_subjects_find(const OomSubjects *subjects, const OomReport *report, gint64 at_us)
{
    g_autoptr(GPtrArray) known = newest_first(subjects, at_us);
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

/* Over an end of the daemon. */

static void
set_text(JsonObject *object, const char *name, const char *text)
{
    if (text)
        json_object_set_string_member(object, name, text);
}

static void
add_known(JsonArray *list, const Process *process, const OomKnown *known)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "pid", process->pid);
    json_object_set_int_member(object, "start_ticks", (gint64)process->start_ticks);
    set_text(object, "group", known->own);
    set_text(object, "name", known->name);
    set_text(object, "uuid", known->uuid);
    set_text(object, "id", known->id);
    set_text(object, "pod", known->pod_uid);
    if (known->guest.is_known)
        json_object_set_int_member(object, "guest_bytes", (gint64)known->guest.bytes);
    json_object_set_int_member(object, "level", known->level);
    json_object_set_int_member(object, "level_age_us", known->level_age_us);
    json_array_add_object_element(list, object);
}

static void
store_write(const OomSubjects *subjects, const Host *host)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *boot = run_file_boot_id(host), *text = NULL;
    JsonObject *object = json_object_new();
    JsonArray *list = json_array_new();
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, subjects->known);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const OomKnown *known = value;

        /* a raw path that is no text is one of nobody we could name */
        if (!known->own || g_utf8_validate(known->own, -1, NULL))
            add_known(list, key, known);
    }
    json_object_set_string_member(object, "boot_id", boot);
    json_object_set_array_member(object, "vms", list);
    json_node_take_object(root, object);
    text = json_to_string(root, FALSE);
    if (strlen(text) < STORE_BYTES_MAX)
        run_file_save(host, STORE_NAME, text);
}

void
oom_subjects_save(OomSubjects *subjects, const Host *host)
{
    if (subjects->is_changed)
        store_write(subjects, host);
    subjects->is_changed = false;
}

static void
load_one(OomSubjects *subjects, JsonObject *object, gint64 now_us)
{
    guint64 pid, start_ticks, bytes = 0, level = 0, age_us = 0;
    const char *pod = message_get_string(object, "pod");
    OomKnown *known;

    if (!message_get_u64(object, "pid", &pid) || pid == 0 || pid > G_MAXINT32 ||
        !message_get_u64(object, "start_ticks", &start_ticks) ||
        !message_get_string(object, "name"))
        return;
    known = known_of(subjects, (Process){(pid_t)pid, start_ticks});
    (void)keep_text(&known->own, message_get_string(object, "group"));
    (void)keep_text(&known->name, message_get_string(object, "name"));
    (void)keep_text(&known->uuid, message_get_string(object, "uuid"));
    (void)keep_text(&known->id, message_get_string(object, "id"));
    g_strlcpy(known->pod_uid, pod ? pod : "", sizeof known->pod_uid);
    known->guest.is_known = message_get_u64(object, "guest_bytes", &bytes);
    known->guest.bytes = bytes;
    (void)message_get_u64(object, "level", &level);
    (void)message_get_u64(object, "level_age_us", &age_us);
    known->level = (PressureLevel)MIN(level, PRESSURE_IMMINENT);
    known->level_age_us = (gint64)MIN(age_us, G_MAXINT64);
    known->seen_us = now_us;
    known->subject = (OomSubject){.pid = (pid_t)pid, .own = known->own, .pod_uid = known->pod_uid};
}

void
oom_subjects_load(OomSubjects *subjects, const Host *host)
{
    g_autoptr(JsonNode) kept = run_file_load_json(host, STORE_NAME, STORE_BYTES_MAX);
    g_autofree char *boot = run_file_boot_id(host);
    JsonObject *root = kept ? json_node_get_object(kept) : NULL;
    JsonArray *list = root ? message_get_array(root, "vms") : NULL;

    if (!list || g_strcmp0(message_get_string(root, "boot_id"), boot) != 0)
        return;
    for (guint i = 0; i < MIN(json_array_get_length(list), STORE_VMS_MAX); i++) {
        JsonNode *node = json_array_get_element(list, i);

        if (JSON_NODE_HOLDS_OBJECT(node))
            load_one(subjects, json_node_get_object(node), host_monotonic_us(host));
    }
    subjects->is_changed = false;
}
