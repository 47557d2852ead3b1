/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drift-memory.h"

#include "libvirt-domain.h"
#include "unit-look.h"
#include "units.h"

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
add_unit(GPtrArray *memories, const UnitLook *look, const CgroupLimit *limit)
{
    const MemoryLimit *told = unit_look_limit(look, limit);
    const char *problem = unit_look_problem(look);
    DriftMemory *memory;

    if (!told && !problem)
        return;
    memory = memory_new(limit->path, "systemd",
                        limit_new(MEMORY_LIMIT_CGROUP2, true, limit->limit_bytes));
    memory->problem = problem;
    if (told)
        memory->sides[DRIFT_MEMORY_TOLD] =
            limit_new(MEMORY_LIMIT_SYSTEMD, told->is_limited, told->bytes);
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
drift_memory_look(const Vm *vm)
{
    GPtrArray *memories = g_ptr_array_new_with_free_func(memory_free);
    const CgroupLimit *of_domain = NULL;

    for (guint i = 0; vm->group_limits && i < vm->group_limits->len; i++) {
        const CgroupLimit *limit = &g_array_index(vm->group_limits, CgroupLimit, i);

        if (!limit->is_own)
            continue;
        if (unit_look_is_unit(limit))
            add_unit(memories, vm->units, limit);
        else if (!of_domain)
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
