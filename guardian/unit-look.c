/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit-look.h"

#include "files-read.h"
#include "lookup.h"
#include "meminfo.h"

#include <string.h>

/* As for the configuration of Proxmox: a person's change is seen a minute later. */
#define LOOK_US (60 * G_USEC_PER_SEC)
/* A disk that lives answers within milliseconds, a busy one within a second. */
#define READ_DEADLINE_US (5 * G_USEC_PER_SEC)
/* A drop-in has three lines, a unit a page; what is longer than this is not read. */
#define UNIT_BYTES_MAX (16 * 1024)
/* On a dead disk of the host one child of each VM would be stuck: half of the room stays for those
 * who look at the VMs' storage. */
#define ROOM (CHILD_STUCK_MAX / 2)

/* MemoryLimit= is the older one, of cgroup v1; systemd takes it on v2, too, and MemoryMax= before
 * it. */
static const char *const keys[] = {"MemoryMax=", "MemoryLimit="};
/* `systemctl set-property` and the manager of transient units write drop-ins of these names; the
 * first directory that has one counts (systemd.unit(5)). Without one it is the unit's own file. */
static const struct {
    HostRoot root;
    const char *directory, *file;
    const char *key; /* whose drop-in it is; NULL: the unit's own file */
} places[] = {
    {HOST_ETC, "systemd/system.control", ".d/50-MemoryMax.conf", "MemoryMax="},
    {HOST_RUN, "systemd/system.control", ".d/50-MemoryMax.conf", "MemoryMax="},
    {HOST_RUN, "systemd/transient", ".d/50-MemoryMax.conf", "MemoryMax="},
    {HOST_ETC, "systemd/system", ".d/50-MemoryMax.conf", "MemoryMax="},
    {HOST_ETC, "systemd/system.control", ".d/50-MemoryLimit.conf", "MemoryLimit="},
    {HOST_RUN, "systemd/system.control", ".d/50-MemoryLimit.conf", "MemoryLimit="},
    {HOST_RUN, "systemd/transient", ".d/50-MemoryLimit.conf", "MemoryLimit="},
    {HOST_ETC, "systemd/system", ".d/50-MemoryLimit.conf", "MemoryLimit="},
    {HOST_RUN, "systemd/transient", "", NULL},
    {HOST_ETC, "systemd/system", "", NULL},
};
#define N_PLACES G_N_ELEMENTS(places)
/* Of one VM: its scope, and perhaps a slice of its own. */
#define UNITS_MAX (FILES_READ_MAX / N_PLACES)

struct UnitLook {
    GHashTable *limits; /* unit -> MemoryLimit */
    const char *problem;
    gint64 due_us; /* monotonic */
    bool is_wanted;
    Lookup *reading;
    GPtrArray *units; /* of char *, being read, in the order of the files; NULL none yet */
};

UnitLook *
unit_look_new(void)
{
    UnitLook *look = g_new0(UnitLook, 1);

    look->limits =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)memory_limit_free);
    return look;
}

void
unit_look_free(UnitLook *look)
{
    if (!look)
        return;
    g_hash_table_unref(look->limits);
    g_clear_pointer(&look->units, g_ptr_array_unref);
    g_free(look);
}

static const char *
unit_of(const CgroupLimit *limit)
{
    const char *slash = strrchr(limit->path, '/');

    return slash ? slash + 1 : limit->path;
}

bool
unit_look_is_unit(const CgroupLimit *limit)
{
    return limit->is_own && g_strcmp0(limit->owner, "systemd") == 0;
}

/* The last assignment to key in the text; NULL: there is none, or it cannot be read. */
static MemoryLimit *
last_assignment(const char *text, const char *key, guint64 total_bytes)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const char *last = NULL;
    g_autofree char *wrong = NULL;

    for (guint i = 0; lines[i]; i++)
        if (g_str_has_prefix(g_strstrip(lines[i]), key))
            last = lines[i];
    return last ? memory_limit_parse(MEMORY_LIMIT_SYSTEMD, last + strlen(key), NULL, total_bytes,
                                     &wrong)
                : NULL;
}

/* What the files say of one key. NULL: nothing, or it cannot be read; *ret_has_unit: the unit's own
 * file was read then. */
static MemoryLimit *
limit_of_key(const FileRead *files, const char *key, guint64 total_bytes, bool *ret_has_unit)
{
    for (guint i = 0; i < N_PLACES; i++) {
        bool is_whole = files[i].text && files[i].length < UNIT_BYTES_MAX;
        g_autofree char *text = is_whole ? g_strndup(files[i].text, files[i].length) : NULL;
        MemoryLimit *limit = NULL;

        if (!text || (places[i].key && strcmp(places[i].key, key) != 0))
            continue;
        limit = last_assignment(text, key, total_bytes);
        *ret_has_unit = !places[i].key && !strstr(text, key);
        if (limit || *ret_has_unit)
            return limit;
    }
    return NULL;
}

/* Of its N_PLACES files; NULL: nothing is written down, or it cannot be read. */
static MemoryLimit *
limit_of_files(const FileRead *files, guint64 total_bytes)
{
    bool has_unit = false, is_none = false;

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        MemoryLimit *limit = limit_of_key(files, keys[i], total_bytes, &has_unit);

        if (limit && limit->is_limited)
            return limit;
        is_none = is_none || limit || has_unit;
        memory_limit_free(limit);
    }
    return is_none ? memory_limit_absent(MEMORY_LIMIT_SYSTEMD) : NULL;
}

static void
look_take(UnitLook *look, const Host *host, const FileRead *files)
{
    HostMemory total = {0};
    guint64 total_bytes = meminfo_read(host, &total) ? total.total_bytes : 0;

    for (guint i = 0; i < look->units->len; i++) {
        MemoryLimit *limit = limit_of_files(files + i * N_PLACES, total_bytes);

        if (limit)
            g_hash_table_replace(look->limits, g_strdup(look->units->pdata[i]), limit);
    }
}

/* problem: why nothing is known of them; NULL. */
static void
look_clear(UnitLook *look, const char *problem)
{
    g_hash_table_remove_all(look->limits);
    look->problem = problem;
}

static void
on_files(const FileRead *files, gpointer data)
{
    const Host *host = ((const Lookup *)data)->host;
    Vm *vm = lookup_end(data);

    if (!vm)
        return;
    vm->units->is_wanted =
        vm->units->is_wanted && vm->units->due_us == 0; /* wanted after it had begun */
    look_clear(vm->units, files ? NULL : "reading its unit hangs");
    if (files)
        look_take(vm->units, host, files);
}

/* Of char *, new: the units among the VM's groups. */
static GPtrArray *
units_of(const Vm *vm)
{
    GPtrArray *units = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; vm->group_limits && i < vm->group_limits->len; i++) {
        const CgroupLimit *limit = &g_array_index(vm->group_limits, CgroupLimit, i);

        if (unit_look_is_unit(limit) && units->len < UNITS_MAX)
            g_ptr_array_add(units, g_strdup(unit_of(limit)));
    }
    return units;
}

/* false: no child could be started. */
static bool
look_begin(Vm *vm, const Host *host, Children *children, GPtrArray *units)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    FileWanted wanted[FILES_READ_MAX];
    Lookup *lookup;

    for (guint i = 0; i < units->len * N_PLACES; i++) {
        guint place = i % N_PLACES;
        const char *unit = units->pdata[i / N_PLACES];

        g_ptr_array_add(
            paths, g_strdup_printf("%s/%s%s", places[place].directory, unit, places[place].file));
        wanted[i] = (FileWanted){places[place].root, paths->pdata[i], UNIT_BYTES_MAX, false};
    }
    g_clear_pointer(&vm->units->units, g_ptr_array_unref);
    vm->units->units = g_ptr_array_ref(units);
    lookup = lookup_begin(&vm->units->reading, vm, host);
    if (children_running(children) < ROOM &&
        files_read(host, children, wanted, paths->len, READ_DEADLINE_US, on_files, lookup))
        return true;
    (void)lookup_end(lookup);
    return false;
}

void
unit_look_go_on(Vm *vm, const Host *host, Children *children, gint64 now_us)
{
    UnitLook *look = vm->units;
    g_autoptr(GPtrArray) units = NULL;

    if (look->reading || now_us < look->due_us)
        return;
    units = units_of(vm);
    if (units->len > 0 && look_begin(vm, host, children, units)) {
        look->due_us = now_us + LOOK_US;
        return;
    }
    look->is_wanted = false; /* at the next sample: its groups may be known, or there may be room */
    look_clear(look, units->len > 0 ? "too many reads hang" : NULL);
}

void
unit_look_forget(Vm *vm)
{
    lookup_forget(&vm->units->reading);
}

void
unit_look_want(Vm *vm)
{
    vm->units->is_wanted = true;
    vm->units->due_us = 0;
}

bool
unit_look_is_open(const UnitLook *look)
{
    return look->is_wanted;
}

const MemoryLimit *
unit_look_limit(const UnitLook *look, const CgroupLimit *limit)
{
    return g_hash_table_lookup(look->limits, unit_of(limit));
}

const char *
unit_look_problem(const UnitLook *look)
{
    return look->problem;
}
