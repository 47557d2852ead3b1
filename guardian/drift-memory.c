/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drift-memory.h"

#include "libvirt-domain.h"
#include "meminfo.h"
#include "units.h"

#include <string.h>

/* A unit's file is a page at most. */
#define UNIT_BYTES_MAX (256 * 1024)
#define KEY "MemoryMax="

const char *
drift_memory_side_name(DriftMemorySide side)
{
    static const char *const names[] = {"configuration", "told", "live"};

    return names[side];
}

static void
memory_free(gpointer data)
{
    DriftMemory *memory = data;

    for (guint i = 0; i < DRIFT_MEMORY_N_SIDES; i++)
        memory_limit_free(memory->sides[i]);
    g_free(memory->group);
    g_free(memory);
}

static MemoryLimit *
limit_new(MemoryLimitForm form, bool is_limited, guint64 bytes)
{
    MemoryLimit *limit = memory_limit_absent(form);

    limit->is_limited = is_limited;
    limit->bytes = is_limited ? bytes / MEMORY_LIMIT_PAGE * MEMORY_LIMIT_PAGE : 0;
    return limit;
}

/* The last assignment in the text; NULL: there is none, or it cannot be read. */
static MemoryLimit *
last_assignment(const char *text, guint64 total_bytes)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const char *last = NULL;
    g_autofree char *wrong = NULL;

    for (guint i = 0; lines[i]; i++)
        if (g_str_has_prefix(g_strstrip(lines[i]), KEY))
            last = lines[i];
    return last ? memory_limit_parse(MEMORY_LIMIT_SYSTEMD, last, NULL, total_bytes, &wrong) : NULL;
}

/* `systemctl set-property` and the manager of transient units write drop-ins of this name; the
 * first directory that has one counts (systemd.unit(5)). Without one it is the unit's own file. */
MemoryLimit *
drift_memory_unit(const Host *host, const char *unit, guint64 total_bytes)
{
    static const struct {
        HostRoot root;
        const char *directory, *file;
    } places[] = {
        {HOST_ETC, "systemd/system.control", ".d/50-MemoryMax.conf"},
        {HOST_RUN, "systemd/system.control", ".d/50-MemoryMax.conf"},
        {HOST_RUN, "systemd/transient", ".d/50-MemoryMax.conf"},
        {HOST_ETC, "systemd/system", ".d/50-MemoryMax.conf"},
        {HOST_RUN, "systemd/transient", ""},
        {HOST_ETC, "systemd/system", ""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *path =
            g_strdup_printf("%s/%s%s", places[i].directory, unit, places[i].file);
        g_autofree char *text = host_read(host, places[i].root, path, UNIT_BYTES_MAX, NULL, NULL);
        MemoryLimit *limit = text ? last_assignment(text, total_bytes) : NULL;

        if (limit)
            return limit;
        if (text && !*places[i].file && !strstr(text, KEY))
            return memory_limit_absent(MEMORY_LIMIT_SYSTEMD);
    }
    return NULL;
}

static DriftMemory *
memory_new(const char *group, const char *owner, MemoryLimit *live)
{
    DriftMemory *memory = g_new0(DriftMemory, 1);

    memory->group = units_printable_path(group);
    memory->owner = owner;
    memory->sides[DRIFT_MEMORY_LIVE] = live;
    return memory;
}

static void
add_unit(GPtrArray *memories, const Host *host, const CgroupLimit *limit)
{
    HostMemory total = {0};
    guint64 total_bytes = meminfo_read(host, &total) ? total.total_bytes : 0;
    const char *unit = strrchr(limit->path, '/');
    MemoryLimit *owner = unit ? drift_memory_unit(host, unit + 1, total_bytes) : NULL;
    DriftMemory *memory;

    if (!owner)
        return;
    memory = memory_new(limit->path, "systemd",
                        limit_new(MEMORY_LIMIT_CGROUP2, true, limit->limit_bytes));
    memory->sides[DRIFT_MEMORY_TOLD] = owner;
    g_ptr_array_add(memories, memory);
}

static MemoryLimit *
hard_limit(const DomainXml *xml)
{
    return limit_new(MEMORY_LIMIT_LIBVIRT, xml->hard_limit_bytes.is_known,
                     xml->hard_limit_bytes.value);
}

/* limit: of the group that libvirt made for the VM; NULL: there is none. */
static void
add_domain(GPtrArray *memories, const Vm *vm, const CgroupLimit *limit)
{
    const DomainXml *xml = vm->domain ? libvirt_domain_xml(vm->domain, NULL) : NULL;
    const DomainXml *next = vm->domain ? libvirt_domain_persistent(vm->domain) : NULL;
    const CgroupPath *path = vm->cgroup ? cgroup_path(vm->cgroup) : NULL;
    bool is_told =
        (xml && xml->hard_limit_bytes.is_known) || (next && next->hard_limit_bytes.is_known);
    DriftMemory *memory;

    if (!xml || !path || !vm->group_limits || (!is_told && !limit))
        return;
    memory =
        memory_new(limit ? limit->path : path->path, "libvirt",
                   limit_new(MEMORY_LIMIT_CGROUP2, limit != NULL, limit ? limit->limit_bytes : 0));
    memory->sides[DRIFT_MEMORY_TOLD] = hard_limit(xml);
    if (next)
        memory->sides[DRIFT_MEMORY_CONFIGURATION] = hard_limit(next);
    g_ptr_array_add(memories, memory);
}

GPtrArray *
drift_memory_look(const Host *host, const Vm *vm)
{
    GPtrArray *memories = g_ptr_array_new_with_free_func(memory_free);
    const CgroupLimit *of_domain = NULL;

    for (guint i = 0; vm->group_limits && i < vm->group_limits->len; i++) {
        const CgroupLimit *limit = &g_array_index(vm->group_limits, CgroupLimit, i);

        if (!limit->is_own)
            continue;
        if (g_strcmp0(limit->owner, "systemd") == 0) {
            if (host)
                add_unit(memories, host, limit);
        } else if (!of_domain)
            of_domain = limit;
    }
    add_domain(memories, vm, of_domain);
    return memories;
}

static bool
differs(const DriftMemory *memory, DriftMemorySide a, DriftMemorySide b)
{
    return memory->sides[a] && memory->sides[b] &&
           !memory_limit_equal(memory->sides[a], memory->sides[b]);
}

bool
drift_memory_is_equal(const DriftMemory *memory)
{
    return *drift_memory_why(memory) == '\0';
}

const char *
drift_memory_why(const DriftMemory *memory)
{
    if (differs(memory, DRIFT_MEMORY_TOLD, DRIFT_MEMORY_LIVE))
        return "somebody wrote past its owner, who will write his own value back";
    if (differs(memory, DRIFT_MEMORY_CONFIGURATION, DRIFT_MEMORY_LIVE) ||
        differs(memory, DRIFT_MEMORY_CONFIGURATION, DRIFT_MEMORY_TOLD))
        return "the next start brings another limit";
    return "";
}
